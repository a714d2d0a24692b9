//! Runs on disk: `<state>/runs/<inventory>/<run>/{plan.json,events.jsonl}` and the inventory's memory.
//!
//! Owns the files and their durability: an event that anything builds on is on disk before
//! [`Journal::append`] comes back. A journal whose last line is torn is a journal of a killed run, and
//! reads as one. What is written here holds no secret, yet is for its owner's eyes only.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use crate::event::{Event, Outcome, RunId, RunState, What, fold};
use crate::model::EnvironmentName;
use crate::model::step::StepId;
use crate::plan::{Memory, Plan};

const EVENTS: &str = "events.jsonl";
const PLAN: &str = "plan.json";
const MEMORY: &str = "memory.json";

/// Why a journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file could not be written or read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}, line {line}: {why}")]
    Content {
        /// Which.
        path: Utf8PathBuf,
        /// In which line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

fn at(path: &Utf8Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::File { path, source }
}

/// The journal of the run under way.
#[derive(Debug)]
pub struct Journal {
    path: Utf8PathBuf,
    file: File,
}

impl Journal {
    /// Makes the directory of a new run and saves its plan; gives the plan's SHA-256 as well.
    ///
    /// # Errors
    /// When something cannot be written, or that run exists.
    pub fn create(state_dir: &Utf8Path, run: &RunId, plan: &Plan) -> Result<(Self, String), JournalError> {
        let inventory = inventory_dir(state_dir, &plan.inventory);
        make_dirs(&inventory)?;
        let dir = inventory.join(&run.0);
        std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(at(&dir))?;
        let text = serde_json::to_vec_pretty(plan).expect("a plan has only text keys");
        write_whole(&dir.join(PLAN), &text)?;
        let path = dir.join(EVENTS);
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(at(&path))?;
        sync_dir(&dir)?;
        sync_dir(&inventory)?;
        let digest = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((Self { path, file }, digest))
    }

    #[cfg(test)]
    pub(super) fn fill_the_disk(&mut self) {
        self.file = OpenOptions::new().append(true).open("/dev/full").unwrap();
    }

    /// Writes one event down. All but log lines and waits are on disk when this comes back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, event: &Event) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(event).expect("an event has only text keys");
        line.push(b'\n');
        self.file.write_all(&line).map_err(at(&self.path))?;
        if !matches!(event.what, What::TaskLog { .. } | What::Waiting { .. }) {
            self.file.sync_data().map_err(at(&self.path))?;
        }
        Ok(())
    }
}

/// The directory of an inventory's runs.
#[must_use]
pub fn inventory_dir(state_dir: &Utf8Path, inventory: &EnvironmentName) -> Utf8PathBuf {
    state_dir.join("runs").join(inventory.as_str())
}

/// Every event of a run. A torn last line is left out: the run was killed while it was written.
///
/// # Errors
/// When the journal cannot be read, or another line is not an event.
pub fn events(state_dir: &Utf8Path, inventory: &EnvironmentName, run: &RunId) -> Result<Vec<Event>, JournalError> {
    let path = inventory_dir(state_dir, inventory).join(&run.0).join(EVENTS);
    let text = std::fs::read(&path).map_err(at(&path))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    text[..whole]
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|error| JournalError::Content {
                path: path.clone(),
                line: index + 1,
                why: error.to_string(),
            })
        })
        .collect()
}

/// The plan of a run.
///
/// # Errors
/// When it cannot be read.
pub fn plan(state_dir: &Utf8Path, inventory: &EnvironmentName, run: &RunId) -> Result<Plan, JournalError> {
    let path = inventory_dir(state_dir, inventory).join(&run.0).join(PLAN);
    read_json(&path)?.ok_or_else(|| at(&path)(io::Error::from(io::ErrorKind::NotFound)))
}

/// Every run of an inventory, oldest first, as far as its journal tells.
///
/// # Errors
/// When the directory cannot be read, or a journal holds something else than events.
pub fn history(state_dir: &Utf8Path, inventory: &EnvironmentName) -> Result<Vec<(RunId, RunState)>, JournalError> {
    let dir = inventory_dir(state_dir, inventory);
    let entries = match dir.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(&dir)(error)),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(at(&dir))?;
        // a run that was killed before its first event has no journal
        if entry.path().join(EVENTS).is_file() {
            runs.push(RunId(entry.file_name().to_owned()));
        }
    }
    runs.sort();
    runs.into_iter().map(|run| Ok((run.clone(), fold(&events(state_dir, inventory, &run)?)))).collect()
}

/// Steps that were begun and did not end well when they were begun last: what they left on the host is
/// ours.
///
/// # Errors
/// When a journal cannot be read.
pub fn unfinished(state_dir: &Utf8Path, inventory: &EnvironmentName) -> Result<BTreeSet<StepId>, JournalError> {
    let mut unfinished = BTreeSet::new();
    for (_, run) in history(state_dir, inventory)? {
        for (id, step) in run.steps {
            match step.outcome {
                Some(Outcome::Done | Outcome::Warning { .. }) => unfinished.remove(&id),
                _ => unfinished.insert(id),
            };
        }
    }
    Ok(unfinished)
}

/// What was applied last, to tell drift from intent; empty if nothing ever was.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn recall(state_dir: &Utf8Path, inventory: &EnvironmentName) -> Result<Memory, JournalError> {
    Ok(read_json(&inventory_dir(state_dir, inventory).join(MEMORY))?.unwrap_or_default())
}

/// Remembers what was applied, in place of what was remembered before.
///
/// # Errors
/// When it cannot be written; what was remembered before then still is.
pub fn remember(state_dir: &Utf8Path, inventory: &EnvironmentName, memory: &Memory) -> Result<(), JournalError> {
    let dir = inventory_dir(state_dir, inventory);
    make_dirs(&dir)?;
    // addresses serialise as text, but serde_json only knows so at run time
    let text = serde_json::to_vec_pretty(memory).expect("addresses are text keys");
    write_whole(&dir.join(MEMORY), &text)
}

/// What another room remembers in a file of its own; nothing, if there is none.
///
/// # Errors
/// When it cannot be read.
pub fn kept<T: serde::de::DeserializeOwned>(path: &Utf8Path) -> Result<Option<T>, JournalError> {
    read_json(path)
}

/// Keeps it, in place of what was kept before.
///
/// # Errors
/// When it cannot be written; what was kept before then still is.
pub fn keep<T: serde::Serialize>(path: &Utf8Path, value: &T) -> Result<(), JournalError> {
    if let Some(dir) = path.parent() {
        make_dirs(dir)?;
    }
    let text = serde_json::to_vec_pretty(value).expect("only values with text keys are kept");
    write_whole(path, &text)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Utf8Path) -> Result<Option<T>, JournalError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| JournalError::Content {
        path: path.to_owned(),
        line: error.line(),
        why: error.to_string(),
    })
}

fn make_dirs(dir: &Utf8Path) -> Result<(), JournalError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))
}

/// Writes a file so that it is either the old one or the new one.
fn write_whole(path: &Utf8Path, content: &[u8]) -> Result<(), JournalError> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(at(&temporary))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at(&temporary))?;
    std::fs::rename(&temporary, path).map_err(at(path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Utf8Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::{Outcome, RunOutcome};
    use crate::exec::testing::{plan_of, step};
    use crate::model::step::StepId;

    fn event(what: What) -> Event {
        Event { at: "2026-11-21T11:45:00Z".parse().unwrap(), what }
    }

    fn state_dir() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    #[test]
    fn a_torn_last_line_is_a_killed_run_and_a_torn_middle_is_not_a_journal() {
        let (_guard, state) = state_dir();
        let plan = plan_of(vec![step("a", Vec::new())]);
        let run = RunId("r1".into());
        let (mut journal, digest) = Journal::create(&state, &run, &plan).unwrap();
        assert_eq!(digest.len(), 64);
        let started = event(What::StepStarted { step: StepId("a".into()) });
        let finished = event(What::StepFinished { step: StepId("a".into()), outcome: Outcome::Done });
        journal.append(&started).unwrap();
        journal.append(&finished).unwrap();
        let path = inventory_dir(&state, &plan.inventory).join("r1").join(EVENTS);
        let whole = std::fs::read_to_string(&path).unwrap();
        for cut in (whole.find('\n').unwrap() + 1)..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(events(&state, &plan.inventory, &run).unwrap(), std::slice::from_ref(&started), "cut at {cut}");
        }
        std::fs::write(&path, format!("{{\"at\":\n{whole}")).unwrap();
        let error = events(&state, &plan.inventory, &run).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn history_is_the_fold_of_every_journal_oldest_first() {
        let (_guard, state) = state_dir();
        let plan = plan_of(Vec::new());
        assert!(history(&state, &plan.inventory).unwrap().is_empty());
        for name in ["20261121T114600Z-b", "20261121T114500Z-a"] {
            let (mut journal, _) = Journal::create(&state, &RunId(name.into()), &plan).unwrap();
            if name.ends_with('a') {
                journal.append(&event(What::RunFinished { outcome: RunOutcome::Failed })).unwrap();
            }
        }
        remember(&state, &plan.inventory, &BTreeMap::new()).unwrap();
        let runs = history(&state, &plan.inventory).unwrap();
        let seen: Vec<_> = runs.iter().map(|(run, state)| (run.0.as_str(), state.outcome)).collect();
        assert_eq!(seen, [("20261121T114500Z-a", Some(RunOutcome::Failed)), ("20261121T114600Z-b", None)]);
        assert_eq!(super::plan(&state, &plan.inventory, &runs[0].0).unwrap(), plan);
        assert!(Journal::create(&state, &runs[0].0, &plan).is_err(), "a run is never written over");
    }

    #[test]
    fn memory_reads_back_and_nothing_is_for_others_eyes() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_guard, state) = state_dir();
        let inventory = plan_of(Vec::new()).inventory;
        assert!(recall(&state, &inventory).unwrap().is_empty());
        let fields = BTreeMap::from([("memory".to_owned(), "512".to_owned())]);
        let memory = BTreeMap::from([("ct.proj-x".parse().unwrap(), fields)]);
        remember(&state, &inventory, &memory).unwrap();
        assert_eq!(recall(&state, &inventory).unwrap(), memory);
        let file = inventory_dir(&state, &inventory).join(MEMORY);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "{").unwrap();
        assert!(recall(&state, &inventory).is_err(), "a memory that cannot be read is not forgotten silently");
    }
}
