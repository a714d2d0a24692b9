//! Files of the host that a step changes: what it takes to write one, and to put the old one back.
//!
//! Owns where originals are kept (`/var/lib/infra/originals/<digest>/<name>`, for root alone) and the
//! operations around a file; knows nothing about what is in it. Entries: [`FileChange`], [`file_writes`].

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::diag::{Diagnostic, Span};
use crate::model::machine::{ConfigFile, ConfigFiles};
use crate::model::step::{Condition, Op, Step, Undo};
use crate::resources::difference::Difference;
use crate::resources::operations::{check, exec, output};

const KEPT: &str = "/var/lib/infra";

/// A file that shall have another content, or shall go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange<'a> {
    /// Where.
    pub path: String,
    before: Option<&'a ConfigFile>,
    after: Option<String>,
}

/// A file as a digest: of its content, or that it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// SHA-256 of its content, in hex.
    Content(String),
    /// It is not there.
    Absent,
}

impl FileState {
    /// The state of a file that was observed.
    #[must_use]
    pub fn of(file: Option<&ConfigFile>) -> Self {
        file.map_or(Self::Absent, |file| Self::Content(sha256(&file.content)))
    }
}

/// What a step did to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// Where.
    pub path: String,
    /// As the step found it.
    pub before: FileState,
    /// As the step left it.
    pub after: FileState,
}

pub fn sha256(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl<'a> FileChange<'a> {
    /// What it takes for `path` to hold `after` (not to be there, if that is `None`); nothing if it is so.
    ///
    /// # Errors
    /// When it is a symbolic link: what it points to belongs to somebody else.
    pub fn new(
        config: &'a ConfigFiles,
        path: &str,
        after: Option<String>,
        place: Option<Span>,
    ) -> Result<Option<Self>, Diagnostic> {
        let before = config.get(path);
        if before.map(|file| &file.content) == after.as_ref() {
            return Ok(None);
        }
        if let Some(link) = before.and_then(|file| file.link.as_ref()) {
            let problem = Diagnostic::error("prepare.link", format!("`{path}` is a symbolic link to `{link}`"))
                .hint("make it a file of its own, or take what is declared for it out of the inventory");
            return Err(match place {
                Some(place) => problem.at(place, "needs that file"),
                None => problem,
            });
        }
        Ok(Some(Self { path: path.to_owned(), before, after }))
    }

    /// As it will be.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The change of one field: the whole text, which is shown as lines that go and come.
    pub fn difference(&self) -> Difference {
        Difference::new(&self.path, self.before.map(|file| file.content.as_str()), self.after.as_deref())
    }

    /// The directory that its original is kept in; another content has another one.
    fn kept(&self) -> Option<(String, String)> {
        let before = self.before?;
        let digest = sha256(&format!("{}\0{}", self.path, before.content));
        let directory = format!("{KEPT}/originals/{}", &digest[..12]);
        let name = self.path.rsplit('/').next().unwrap_or_default();
        Some((format!("{directory}/{name}"), directory))
    }

    /// Keeps the original, in a step of its own: what comes after can rely on it.
    pub fn keep(&self) -> Vec<Op> {
        let (Some((copy, directory)), Some(before)) = (self.kept(), self.before) else { return Vec::new() };
        let digest = sha256(&before.content);
        vec![
            check(
                output(["sha256sum", &self.path], format!("{digest}  {}", self.path)),
                format!("`{}` was changed since the plan was made", self.path),
            ),
            exec(["mkdir", "-p", &directory]),
            exec(["chmod", "0700", KEPT]),
            exec(["cp", "-p", &self.path, &copy]),
            check(output(["sha256sum", &copy], format!("{digest}  {copy}")), "the copy differs from the original"),
        ]
    }

    /// Writes it, or removes it, and reads it back.
    pub fn write(&self) -> Vec<Op> {
        let Some(after) = &self.after else {
            return vec![exec(["rm", "-f", &self.path]), absent(&self.path)];
        };
        let mode = self.before.map_or(0o644, |file| file.mode);
        let directory = self.path.rsplit_once('/').map_or("/", |(directory, _)| directory);
        let mut ops = vec![
            exec(["mkdir", "-p", directory]),
            Op::PutFile { path: self.path.clone(), content: after.clone().into(), mode },
        ];
        if let Some(file) = self.before.filter(|file| (file.uid, file.gid) != (0, 0)) {
            ops.push(exec(["chown", &format!("{}:{}", file.uid, file.gid), &self.path]));
        }
        ops.push(holds(&self.path, &sha256(after)));
        ops
    }

    /// Puts the original back: its bytes, owner and permissions, or its absence.
    pub fn restore(&self) -> Vec<Op> {
        let (Some((copy, _)), Some(before)) = (self.kept(), self.before) else {
            return vec![exec(["rm", "-f", &self.path]), absent(&self.path)];
        };
        let (directory, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        // Beside the target, so that it is there as a whole or not at all.
        let temporary = format!("{directory}/.{name}.infra-original");
        vec![
            exec(["cp", "-p", &copy, &temporary]),
            exec(["mv", "-T", &temporary, &self.path]),
            holds(&self.path, &sha256(&before.content)),
        ]
    }
}

fn holds(path: &str, digest: &str) -> Op {
    check(output(["sha256sum", path], format!("{digest}  {path}")), format!("`{path}` reads back differently"))
}

fn absent(path: &str) -> Op {
    check(output(["test", "!", "-e", path], ""), format!("`{path}` is still there"))
}

/// Files that a step wrote or removed, with what they were before: told from its own operations, so that the
/// plan of an old run is all that it takes to take it back.
#[must_use]
pub fn file_writes(step: &Step) -> Vec<FileWrite> {
    let Undo::Ops { ops: undo } = &step.undo else { return Vec::new() };
    let before = states(undo);
    states(&step.ops)
        .into_iter()
        .filter_map(|(path, after)| {
            let (_, before) = before.iter().find(|(of, _)| *of == path)?;
            Some(FileWrite { path, before: before.clone(), after })
        })
        .collect()
}

/// Files with the states that a list of operations proves.
fn states(ops: &[Op]) -> Vec<(String, FileState)> {
    let proven = |op: &Op| match op {
        Op::Await { condition: Condition::Output { argv, stdout }, .. } => match &argv[..] {
            [program, path] if program == "sha256sum" => {
                Some((path.clone(), FileState::Content(stdout.split_whitespace().next()?.to_owned())))
            }
            [test, not, exists, path] if test == "test" && not == "!" && exists == "-e" => {
                Some((path.clone(), FileState::Absent))
            }
            _ => None,
        },
        _ => None,
    };
    ops.iter().filter_map(proven).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Addr, Kind};
    use crate::resources::operations::step;

    fn config(files: &[(&str, &str)]) -> ConfigFiles {
        let file = |content: &str| ConfigFile { content: content.to_owned(), mode: 0o640, ..ConfigFile::default() };
        ConfigFiles { files: files.iter().map(|(path, content)| ((*path).to_owned(), file(content))).collect() }
    }

    fn written(change: &FileChange<'_>) -> Vec<FileWrite> {
        let mut step = step(&Addr::new(Kind::Modules, "hq"), "write", "write", &"hq".parse().unwrap(), change.write());
        step.undo = Undo::Ops { ops: change.restore() };
        file_writes(&step)
    }

    #[test]
    fn what_a_step_did_to_a_file_is_told_from_the_step_itself() {
        let there = config(&[("/etc/a", "old")]);
        let change =
            |after: Option<&str>, path| FileChange::new(&there, path, after.map(str::to_owned), None).unwrap().unwrap();
        let (old, new) = (FileState::Content(sha256("old")), FileState::Content(sha256("new")));
        let of = |path: &str, before, after| vec![FileWrite { path: path.to_owned(), before, after }];
        assert_eq!(written(&change(Some("new"), "/etc/a")), of("/etc/a", old.clone(), new.clone()));
        assert_eq!(written(&change(None, "/etc/a")), of("/etc/a", old, FileState::Absent));
        assert_eq!(written(&change(Some("new"), "/etc/b")), of("/etc/b", FileState::Absent, new));
        assert_eq!(FileChange::new(&there, "/etc/a", Some("old".to_owned()), None), Ok(None));
    }

    #[test]
    fn a_link_is_nobody_s_to_write_over() {
        let mut there = config(&[("/etc/a", "old")]);
        there.files.get_mut("/etc/a").unwrap().link = Some("../b".to_owned());
        let refused = FileChange::new(&there, "/etc/a", None, None).unwrap_err();
        assert!(refused.summary.contains("symbolic link to `../b`"), "{}", refused.summary);
    }
}
