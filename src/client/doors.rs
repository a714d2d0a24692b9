//! The doors of every host.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Session;
use crate::model::HostName;
use crate::ports::{Api, Clock, Shell};

/// The doors of one host.
#[derive(Clone)]
pub struct Door {
    /// Its API.
    pub api: Arc<dyn Api>,
    /// Its shell, if SSH access is declared for it.
    pub shell: Option<Arc<dyn Shell>>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("shell", &self.shell.is_some()).finish_non_exhaustive()
    }
}

/// The doors of every host that may be talked to, and the clock.
#[derive(Clone)]
pub struct Doors {
    hosts: BTreeMap<HostName, (Door, Session)>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.hosts.iter().map(|(name, (door, _))| (name, door))).finish()
    }
}

impl Doors {
    /// Joins doors and clock; `seed` makes the jitter of retries repeatable.
    #[must_use]
    pub fn new(hosts: BTreeMap<HostName, Door>, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let hosts = hosts
            .into_iter()
            .zip(0u64..)
            .map(|((name, door), index)| {
                let session = Session::new(Arc::clone(&door.api), Arc::clone(&clock), seed.wrapping_add(index));
                (name, (door, session))
            })
            .collect();
        Self { hosts, clock }
    }

    /// The API of a host.
    #[must_use]
    pub fn session(&self, host: &HostName) -> Option<&Session> {
        self.hosts.get(host).map(|(_, session)| session)
    }

    /// The shell of a host.
    #[must_use]
    pub fn shell(&self, host: &HostName) -> Option<&Arc<dyn Shell>> {
        self.hosts.get(host).and_then(|(door, _)| door.shell.as_ref())
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Every host that has a door.
    pub fn names(&self) -> impl Iterator<Item = &HostName> {
        self.hosts.keys()
    }
}
