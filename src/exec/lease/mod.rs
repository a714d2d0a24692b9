//! One run at a time per site: a lease on the host that says who has it and that expires by itself.
//!
//! The lock is a directory in pmxcfs, whose `mkdir` is atomic in the whole cluster; the record beside
//! it says who holds it and when they last were heard of, on the host's clock. A lease whose process
//! on this very machine is gone, or whose heartbeat stopped, is taken over; any other one is respected.
//! Entry: [`Leases::acquire`].

mod process;
mod record;
mod site;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use process::ProcessId;
pub use record::{Owner, Record};
pub use site::{LeaseError, inspect, unlock};

use site::{BeatError, Held};

use crate::client::Doors;
use crate::model::{EnvironmentName, HostName};

/// Seconds after which a lease that nobody was heard of expires.
const TTL_S: u64 = 60;
/// How often the holder is heard of.
const BEAT: Duration = Duration::from_secs(15);

/// Which lease is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Of which inventory; different ones do not get in each other's way.
    pub inventory: EnvironmentName,
    /// For whom.
    pub owner: Owner,
    /// How long one that somebody else holds is waited for.
    pub wait: Duration,
}

/// The leases of a run, one per site, kept alive until they are released or dropped.
#[derive(Debug)]
pub struct Leases {
    held: Vec<Arc<Held>>,
    beats: JoinSet<()>,
    notes: Vec<String>,
    lost: Arc<Mutex<Option<String>>>,
}

impl Leases {
    /// Takes the lease of every site, on the first of its hosts that has SSH and answers.
    ///
    /// `sites` are hosts by site. `tell` hears what is waited for while somebody else holds a lease. When a lease is lost later on, `lost` is cancelled: nothing more may
    /// be begun then.
    ///
    /// # Errors
    /// When somebody holds a lease, or no host of a site that has SSH answers. Nothing is held then.
    pub async fn acquire(
        doors: &Doors,
        sites: &BTreeMap<String, Vec<HostName>>,
        ask: &Ask,
        lost: CancellationToken,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<Self, LeaseError> {
        let mut leases = Self { held: Vec::new(), beats: JoinSet::new(), notes: Vec::new(), lost: Arc::default() };
        for (site, hosts) in sites {
            match leases.acquire_site(doors, site, hosts, ask, tell).await {
                Ok(()) => {}
                Err(error) => {
                    leases.release().await;
                    return Err(error);
                }
            }
        }
        for held in &leases.held {
            leases.beats.spawn(keep(Arc::clone(held), Arc::clone(&leases.lost), lost.clone()));
        }
        Ok(leases)
    }

    async fn acquire_site(
        &mut self,
        doors: &Doors,
        site: &str,
        hosts: &[HostName],
        ask: &Ask,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<(), LeaseError> {
        let mut last = None;
        for host in hosts {
            let Some(shell) = doors.shell(host) else { continue };
            let clock = Arc::clone(doors.clock());
            match site::acquire(Arc::clone(shell), clock, ask, tell).await {
                Ok((held, note)) => {
                    self.held.push(Arc::new(held));
                    self.notes.extend(note.map(|note| format!("{site}: {note}")));
                    return Ok(());
                }
                Err(error @ LeaseError::Transport(_)) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        match last {
            Some(error) => Err(error),
            None => {
                self.notes.push(format!("{site}: no host of it has SSH, so nothing keeps a second run away meanwhile"));
                Ok(())
            }
        }
    }

    /// What the operator should know, one sentence each: a lease taken over, a site without one.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Why a lease was lost, if one was.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives every lease back. One that cannot be given back expires by itself within a minute; the
    /// reasons come back.
    pub async fn release(mut self) -> Vec<String> {
        self.beats.shutdown().await;
        let mut failed = Vec::new();
        for held in &self.held {
            if let Err(error) = held.release().await {
                failed.push(format!("the lease could not be given back and expires in {TTL_S} s: {error}"));
            }
        }
        failed
    }
}

/// Lets the holder be heard of until the lease is lost.
async fn keep(held: Arc<Held>, reason: Arc<Mutex<Option<String>>>, lost: CancellationToken) {
    let mut heard = held.clock().now();
    loop {
        held.clock().sleep(BEAT).await;
        let why = match held.beat().await {
            Ok(()) => {
                heard = held.clock().now();
                continue;
            }
            Err(BeatError::Lost(why)) => why,
            Err(BeatError::Unheard(error)) => {
                let silence = held.clock().now().duration_since(heard).as_secs();
                if silence < i64::try_from(TTL_S).unwrap_or(i64::MAX) {
                    continue;
                }
                format!("the host was not reached for {silence} s, so the lease expired: {error}")
            }
        };
        reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        lost.cancel();
        return;
    }
}
