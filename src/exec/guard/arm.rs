//! Putting a guard on its host, and taking it off again.
//!
//! Who has it is told by the name of one file: `armed` becomes `reverting` by the host's hand or `confirmed` by
//! ours, and a rename can succeed only once. All that is done here may be done again.

use std::time::Duration;

use jiff::Timestamp;

use super::unit;
use crate::client::{CallError, Doors};
use crate::exec::ops::{Effect, OpError};
use crate::exec::teller::Teller;
use crate::model::HostName;
use crate::model::guard::Guard;
use crate::ports::{Batch, OnFailure, Output, PutError, Shell, TransportError, put};

/// How long a batch may take; `sync` on a busy pool is what takes its time.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a batch is sent while the connection fails.
const ATTEMPTS: u32 = 3;

/// A guard that its host has.
#[derive(Debug, Clone)]
pub(in crate::exec) struct Armed {
    pub(super) guard: Guard,
    pub(super) host: HostName,
    /// Before the timer was started: the host takes the change back no earlier than its seconds after this.
    pub(super) since: Timestamp,
}

impl Armed {
    /// Keeps the files and sets the timer; comes back only when systemd says that it is set.
    pub async fn arm(doors: &Doors, host: &HostName, guard: &Guard, teller: &Teller) -> Result<Self, OpError> {
        let shell = shell(doors, host)?;
        let directory = guard.directory();
        let here = |name: &str| format!("{directory}/{name}");
        let (armed, reverting) = (here("armed"), here("reverting"));
        let looks: [&[&str]; 2] = [&["test", "!", "-e", &armed], &["test", "!", "-e", &reverting]];
        if run(shell, doors, OnFailure::Continue, &looks).await?.iter().any(|look| look.code != 0) {
            let why = format!("{host} is about to take back an earlier change that nobody confirmed");
            let hint = "wait until it has, then plan anew".to_owned();
            return Err(OpError::new(why, Some(hint), Effect::None));
        }
        keep_originals(shell, doors, guard).await?;
        for (path, content) in unit::files(guard) {
            put(shell, &path, content.as_bytes(), if path.starts_with(&directory) { 0o600 } else { 0o644 })
                .await
                .map_err(put_failed)?;
        }
        let held = Self { guard: guard.clone(), host: host.clone(), since: doors.clock().now() };
        if let Err(error) = held.set(shell, doors).await {
            // What it would bring back is what is there.
            held.abandon(shell, doors).await;
            return Err(error);
        }
        let timer = unit::timer_name(guard);
        let seconds = guard.seconds;
        teller.note(format!("{host} takes this change back by itself in {seconds} s unless it is confirmed ({timer})"));
        Ok(held)
    }

    async fn set(&self, shell: &dyn Shell, doors: &Doors) -> Result<(), OpError> {
        let (armed, timer) = (format!("{}/armed", self.guard.directory()), unit::timer_name(&self.guard));
        let set: [&[&str]; 5] = [
            &["touch", &armed],
            &["systemctl", "daemon-reload"],
            &["systemctl", "enable", "--now", &timer],
            // A host that loses its power right after the change must have it, too.
            &["sync"],
            &["systemctl", "is-active", &timer],
        ];
        all(&run(shell, doors, OnFailure::Stop, &set).await?)
    }

    /// Takes a guard off that could not be armed as a whole.
    async fn abandon(&self, shell: &dyn Shell, doors: &Doors) {
        let here = |name: &str| format!("{}/{name}", self.guard.directory());
        let confirm: [&[&str]; 1] = [&["mv", "-T", &here("armed"), &here("confirmed")]];
        if run(shell, doors, OnFailure::Continue, &confirm).await.is_ok() {
            let _ = self.tidy(shell, doors).await;
        }
    }

    /// Refuses to begin anything more under a guard of which half the time is gone: what is sent last must have
    /// happened before the host takes it back.
    pub fn still_holds(&self, doors: &Doors) -> Result<(), OpError> {
        let gone = doors.clock().now().duration_since(self.since).as_secs();
        if gone * 2 < i64::from(self.guard.seconds) {
            return Ok(());
        }
        let why = format!("the change took longer than half of the {} s that it is guarded for", self.guard.seconds);
        Err(OpError::new(why, None, Effect::None))
    }

    /// Tells the host that all is well, removes what was put there, and looks that nothing of it is left.
    pub async fn disarm(&self, doors: &Doors) -> Result<Option<String>, OpError> {
        let shell = shell(doors, &self.host)?;
        let here = |name: &str| format!("{}/{name}", self.guard.directory());
        let (armed, confirmed) = (here("armed"), here("confirmed"));
        let confirm: [&[&str]; 2] = [&["mv", "-T", &armed, &confirmed], &["test", "-e", &confirmed]];
        let outputs = run(shell, doors, OnFailure::Continue, &confirm).await?;
        if outputs[1].code != 0 {
            let why = format!("{} has taken the change back before it was confirmed", self.host);
            return Err(OpError::new(why, None, Effect::None));
        }
        let left = self.tidy(shell, doors).await;
        let timer = unit::timer_name(&self.guard);
        let look: [&[&str]; 2] = [&["systemctl", "is-active", &timer], &["test", "!", "-e", &armed]];
        let looks = run(shell, doors, OnFailure::Continue, &look).await?;
        if looks[0].code == 0 || looks[1].code != 0 {
            let why = format!("{timer} is still set, although the change was confirmed");
            return Ok(Some(format!(
                "{why}: it finds nothing to take back; `systemctl disable --now {timer}` ends it"
            )));
        }
        Ok(left.err().map(|error| format!("something of the guard is left on {}: {}", self.host, error.why)))
    }

    /// Removes units and directory of a guard that has had its last word.
    pub(super) async fn tidy(&self, shell: &dyn Shell, doors: &Doors) -> Result<(), OpError> {
        let (directory, timer) = (self.guard.directory(), unit::timer_name(&self.guard));
        let files: Vec<String> = unit::files(&self.guard).into_iter().map(|(path, _)| path).collect();
        let mut remove = vec!["rm", "-f"];
        remove.extend(files.iter().map(String::as_str));
        let disable: [&[&str]; 3] =
            [&["systemctl", "disable", "--now", &timer], &remove, &["systemctl", "daemon-reload"]];
        let outputs = run(shell, doors, OnFailure::Continue, &disable).await?;
        all(&outputs[1..])?;
        empty(shell, doors, &self.guard).await?;
        all(&run(shell, doors, OnFailure::Stop, &[&["rmdir", &directory]]).await?)
    }
}

/// Copies every file, having looked that it is there or not as the plan has it.
async fn keep_originals(shell: &dyn Shell, doors: &Doors, guard: &Guard) -> Result<(), OpError> {
    let directory = guard.directory();
    let fresh: [&[&str]; 2] = [&["mkdir", "-p", &directory], &["chmod", "0700", &directory]];
    all(&run(shell, doors, OnFailure::Stop, &fresh).await?)?;
    // What an earlier one left has had its last word.
    empty(shell, doors, guard).await?;
    let mut commands: Vec<Vec<String>> = Vec::new();
    for (index, file) in guard.files.iter().enumerate() {
        if file.present {
            commands.push(unit::copy(&file.path, &unit::original(guard, index)));
        } else {
            commands.push(["test", "!", "-e", &file.path].map(str::to_owned).to_vec());
        }
    }
    let commands: Vec<Vec<&str>> = commands.iter().map(|argv| argv.iter().map(String::as_str).collect()).collect();
    let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    all(&run(shell, doors, OnFailure::Stop, &commands).await?)
}

/// Removes every file of a guard's directory.
async fn empty(shell: &dyn Shell, doors: &Doors, guard: &Guard) -> Result<(), OpError> {
    let directory = guard.directory();
    let names = ["armed", "reverting", "reverted", "confirmed", "revert"];
    let mut files: Vec<String> = names.iter().map(|name| format!("{directory}/{name}")).collect();
    files.extend((0..guard.files.len().max(16)).map(|index| unit::original(guard, index)));
    let mut remove = vec!["rm", "-f"];
    remove.extend(files.iter().map(String::as_str));
    all(&run(shell, doors, OnFailure::Stop, &[&remove]).await?)
}

pub(super) fn shell<'a>(doors: &'a Doors, host: &HostName) -> Result<&'a dyn Shell, OpError> {
    doors.shell(host).map(|shell| &**shell).ok_or_else(|| {
        let hint = "declare `ssh` for this host in the inventory".to_owned();
        OpError::new("a change that can cut our own path needs SSH to be guarded", Some(hint), Effect::None)
    })
}

/// Runs a batch, and again while the connection fails.
pub(super) async fn run(
    shell: &dyn Shell,
    doors: &Doors,
    on_failure: OnFailure,
    commands: &[&[&str]],
) -> Result<Vec<Output>, OpError> {
    let mut attempt = 1;
    loop {
        let mut batch = Batch::new(fastrand::u128(..), on_failure);
        for argv in commands {
            batch.push(argv.iter().copied());
        }
        match shell.run(&batch.command(LIMIT)).await {
            Ok(output) => {
                return batch.read(&output).map_err(|error| OpError::new(error.to_string(), None, Effect::None));
            }
            Err(TransportError::NotSent { .. } | TransportError::Uncertain { .. }) if attempt < ATTEMPTS => {
                doors.clock().sleep(Duration::from_millis(500) * attempt).await;
                attempt += 1;
            }
            Err(error) => return Err(CallError::Transport(error).into()),
        }
    }
}

/// Whether all of them succeeded; what the first that did not had to say.
fn all(outputs: &[Output]) -> Result<(), OpError> {
    let Some(failed) = outputs.iter().find(|output| output.code != 0) else { return Ok(()) };
    let said = String::from_utf8_lossy(&failed.stderr).trim().to_owned();
    let why = format!("the revert cannot be kept on the host (exit code {}): {said}", failed.code);
    Err(OpError::new(why, None, Effect::None))
}

fn put_failed(error: PutError) -> OpError {
    match error {
        PutError::Transport(error) => CallError::Transport(error).into(),
        other => OpError::new(other.to_string(), None, Effect::None),
    }
}
