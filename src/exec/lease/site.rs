//! The lease of one site: taking, keeping, taking over, giving back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::record::{Owner, Record};
use super::{Ask, TTL_S};
use crate::model::EnvironmentName;
use crate::ports::{Batch, BatchError, Clock, OnFailure, Output, PutError, Shell, TransportError, put};

/// How long a lock without a record is respected: its owner is about to write one, or was killed before.
const GRACE: Duration = Duration::from_secs(10);
/// How often a lease that somebody holds is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often a command is sent while the connection fails. Every one of them may be repeated.
const ATTEMPTS: u32 = 3;

/// Why a lease was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody holds it.
    #[error("this site is being changed by {owner}")]
    Held {
        /// Who, and when they were last heard of.
        owner: String,
    },
    /// The host was not reached.
    #[error("the lease could not be taken: {0}")]
    Transport(#[from] TransportError),
    /// The host did not do as it should.
    #[error("the lease could not be taken: {0}")]
    Failed(String),
}

impl LeaseError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Held { .. } => {
                Some(format!("wait for it (`--lock-wait`); it expires {TTL_S} s after its owner was last heard of"))
            }
            Self::Transport(TransportError::Refused { hint, .. }) => Some(hint.clone()),
            Self::Transport(_) => None,
            Self::Failed(_) => {
                Some("is pmxcfs mounted and writable there? see `systemctl status pve-cluster`".to_owned())
            }
        }
    }
}

impl From<BatchError> for LeaseError {
    fn from(error: BatchError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<PutError> for LeaseError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Transport(error) => Self::Transport(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Why the holder was not heard of.
#[derive(Debug)]
pub(super) enum BeatError {
    /// The lease is somebody else's by now, or nobody's.
    Lost(String),
    /// The host was not reached.
    Unheard(String),
}

/// Where the lease of an inventory is. Directories below `priv/lock` are PVE's own distributed locks;
/// only the names that it uses itself expire there.
struct Paths {
    lock: String,
    takeover: String,
    record: String,
}

impl Paths {
    fn new(inventory: &EnvironmentName) -> Self {
        Self {
            lock: format!("/etc/pve/priv/lock/infra-{inventory}"),
            takeover: format!("/etc/pve/priv/lock/infra-{inventory}.takeover"),
            record: format!("/etc/pve/priv/infra-{inventory}.lease"),
        }
    }
}

/// A lease that is ours.
pub(super) struct Held {
    host: Host,
    owner: Owner,
    /// Seconds that the host's clock is ahead of ours.
    ahead: i64,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("owner", &self.owner).finish_non_exhaustive()
    }
}

struct Host {
    shell: Arc<dyn Shell>,
    clock: Arc<dyn Clock>,
    paths: Paths,
}

impl Host {
    async fn run(&self, on_failure: OnFailure, commands: &[&[&str]]) -> Result<Vec<Output>, LeaseError> {
        let mut attempt = 1;
        loop {
            let mut batch = Batch::new(fastrand::u128(..), on_failure);
            for argv in commands {
                batch.push(argv.iter().copied());
            }
            match self.shell.run(&batch.command(Duration::from_secs(30))).await {
                Ok(output) => return Ok(batch.read(&output)?),
                Err(error @ TransportError::Refused { .. }) => return Err(error.into()),
                Err(error) if attempt == ATTEMPTS => return Err(error.into()),
                Err(_) => self.clock.sleep(Duration::from_millis(500) * attempt).await,
            }
            attempt += 1;
        }
    }

    /// The record's text; `None` if there is none.
    async fn text(&self) -> Result<Option<String>, LeaseError> {
        Ok(text(&self.run(OnFailure::Continue, &[&["cat", &self.paths.record]]).await?[0]))
    }

    async fn write(&self, owner: &Owner, heard: i64) -> Result<(), LeaseError> {
        let record = Record { owner: owner.clone(), heard, ttl_s: TTL_S };
        let text = serde_json::to_string(&record).expect("a record has only text keys") + "\n";
        Ok(put(&*self.shell, &self.paths.record, text.as_bytes(), 0o600).await?)
    }

    async fn remove(&self) -> Result<(), LeaseError> {
        let commands: [&[&str]; 2] = [&["rm", "-f", &self.paths.record], &["rmdir", &self.paths.lock]];
        let outputs = self.run(OnFailure::Stop, &commands).await?;
        match outputs.iter().find(|output| output.code != 0 && !says(output, "No such file")) {
            Some(output) => Err(failed(output)),
            None => Ok(()),
        }
    }
}

fn text(output: &Output) -> Option<String> {
    (output.code == 0).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn says(output: &Output, words: &str) -> bool {
    String::from_utf8_lossy(&output.stderr).contains(words)
}

fn failed(output: &Output) -> LeaseError {
    LeaseError::Failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Takes the lease; also says so if it was taken over from somebody.
pub(super) async fn acquire(
    shell: Arc<dyn Shell>,
    clock: Arc<dyn Clock>,
    ask: &Ask,
    tell: &mut (dyn FnMut(String) + Send),
) -> Result<(Held, Option<String>), LeaseError> {
    let Ask { inventory, owner, wait } = ask;
    let host = Host { shell, clock, paths: Paths::new(inventory) };
    let began = host.clock.now();
    let waited = |host: &Host| Duration::try_from(host.clock.now().duration_since(began)).unwrap_or_default();
    let mut nameless_since = None;
    loop {
        let commands: [&[&str]; 3] = [&["date", "+%s"], &["mkdir", &host.paths.lock], &["cat", &host.paths.record]];
        let outputs = host.run(OnFailure::Continue, &commands).await?;
        let now: i64 = String::from_utf8_lossy(&outputs[0].stdout)
            .trim()
            .parse()
            .map_err(|_| LeaseError::Failed("`date` did not print a number".to_owned()))?;
        let ahead = now - host.clock.now().as_second();
        if outputs[1].code == 0 {
            if let Err(error) = host.write(owner, now).await {
                // without a record it would be respected for a while for nothing
                let _ = host.remove().await;
                return Err(error);
            }
            return Ok((Held { host, owner: owner.clone(), ahead }, None));
        }
        if !says(&outputs[1], "File exists") {
            return Err(failed(&outputs[1]));
        }
        let seen = text(&outputs[2]);
        let record = seen.as_deref().and_then(|text| serde_json::from_str::<Record>(text).ok());
        let (stale, holder) = match &record {
            Some(record) => {
                nameless_since = None;
                let silence = now.saturating_sub(record.heard);
                (record.stale(now), format!("{}, heard of {silence} s ago", record.owner))
            }
            None => {
                let since = *nameless_since.get_or_insert_with(|| host.clock.now());
                let silence = Duration::try_from(host.clock.now().duration_since(since)).unwrap_or_default();
                let stale = (silence >= GRACE).then(|| "took over a lease that its owner never signed".to_owned());
                (stale, "somebody who has not said who they are".to_owned())
            }
        };
        if let Some(note) = stale {
            if take_over(&host, seen.as_deref(), owner, now).await? {
                return Ok((Held { host, owner: owner.clone(), ahead }, Some(note)));
            }
        } else if waited(&host) >= *wait && record.is_some() {
            return Err(LeaseError::Held { owner: holder });
        } else {
            tell(format!("waiting for the lease, held by {holder}"));
        }
        host.clock.sleep(LOOK).await;
    }
}

/// Puts our record in place of the one that was judged stale, if it still is that one. Two that judge
/// at the same time are kept apart by a second directory.
async fn take_over(host: &Host, judged: Option<&str>, owner: &Owner, now: i64) -> Result<bool, LeaseError> {
    let outputs = host.run(OnFailure::Continue, &[&["mkdir", &host.paths.takeover]]).await?;
    if outputs[0].code != 0 {
        // its maker needs a second for the rest; if they were killed in that second, nobody else removes it
        host.clock.sleep(GRACE).await;
        host.run(OnFailure::Continue, &[&["rmdir", &host.paths.takeover]]).await?;
        return Ok(false);
    }
    let unchanged = host.text().await?.as_deref() == judged;
    let written = if unchanged { host.write(owner, now).await } else { Ok(()) };
    host.run(OnFailure::Continue, &[&["rmdir", &host.paths.takeover]]).await?;
    written.map(|()| unchanged)
}

impl Held {
    pub fn clock(&self) -> &dyn Clock {
        &*self.host.clock
    }

    /// Lets the holder be heard of.
    pub async fn beat(&self) -> Result<(), BeatError> {
        let unheard = |error: LeaseError| BeatError::Unheard(error.to_string());
        let record =
            self.host.text().await.map_err(unheard)?.and_then(|text| serde_json::from_str::<Record>(&text).ok());
        match record {
            Some(record) if record.owner.run == self.owner.run => {
                let now = self.host.clock.now().as_second() + self.ahead;
                self.host.write(&self.owner, now).await.map_err(unheard)
            }
            Some(record) => Err(BeatError::Lost(format!("the lease was taken over by {}", record.owner))),
            None => Err(BeatError::Lost("somebody removed the lease".to_owned())),
        }
    }

    /// Gives it back, unless it is somebody else's by now.
    pub async fn release(&self) -> Result<(), LeaseError> {
        let record = self.host.text().await?.and_then(|text| serde_json::from_str::<Record>(&text).ok());
        if record.is_some_and(|record| record.owner.run == self.owner.run) { self.host.remove().await } else { Ok(()) }
    }
}

/// Who holds the lease of a site, for `status` and `unlock`; `None` if nobody does.
///
/// # Errors
/// When the host was not reached.
pub async fn inspect(
    shell: Arc<dyn Shell>,
    clock: Arc<dyn Clock>,
    inventory: &EnvironmentName,
) -> Result<Option<Record>, LeaseError> {
    let host = Host { shell, clock, paths: Paths::new(inventory) };
    Ok(host.text().await?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Removes the lease of a site, whoever holds it: for an operator who knows that its owner is gone.
///
/// # Errors
/// When the host was not reached.
pub async fn unlock(
    shell: Arc<dyn Shell>,
    clock: Arc<dyn Clock>,
    inventory: &EnvironmentName,
) -> Result<(), LeaseError> {
    let host = Host { shell, clock, paths: Paths::new(inventory) };
    host.run(OnFailure::Continue, &[&["rmdir", &host.paths.takeover]]).await?;
    host.remove().await
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
