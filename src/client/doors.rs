//! The doors of every host.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::neighbours::Neighbours;
use super::{InGuest, Session};
use crate::model::HostName;
use crate::model::step::Step;
use crate::ports::{Api, Clock, SecretStore, Shell};

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

/// What a host's doors are talked to through.
#[derive(Clone)]
struct Open {
    door: Door,
    /// Its own door and no other.
    own: Session,
    /// Its own door, or that of another node of its cluster.
    any: Session,
}

/// The doors of every host that may be talked to, and the clock.
#[derive(Clone)]
pub struct Doors {
    hosts: BTreeMap<HostName, Open>,
    tailnet: Option<Session>,
    opnsense: Option<Session>,
    secrets: Option<Arc<dyn SecretStore>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.hosts.iter().map(|(name, open)| (name, &open.door))).finish()
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
                let own = Session::new(Arc::clone(&door.api), Arc::clone(&clock), seed.wrapping_add(index));
                (name, Open { door, any: own.clone(), own })
            })
            .collect();
        Self { hosts, tailnet: None, opnsense: None, secrets: None, clock }
    }

    /// Lets hosts of one site answer for one another; `site` names that of a host.
    #[must_use]
    pub fn in_sites<'a>(mut self, site: impl Fn(&HostName) -> Option<&'a str>) -> Self {
        let apis: Vec<(HostName, Arc<dyn Api>)> =
            self.hosts.iter().map(|(name, open)| (name.clone(), Arc::clone(&open.door.api))).collect();
        for (name, open) in &mut self.hosts {
            let neighbour = |other: &HostName| other != name && site(other).is_some() && site(other) == site(name);
            let others: Vec<Arc<dyn Api>> =
                apis.iter().filter(|(other, _)| neighbour(other)).map(|(_, api)| Arc::clone(api)).collect();
            if !others.is_empty() {
                let all = Neighbours::new(Arc::clone(&open.door.api), others);
                open.any = open.own.through(Arc::new(all));
            }
        }
        self
    }

    /// Lets every host's door lead to the tailnet's control plane as well.
    #[must_use]
    pub fn with_tailnet(mut self, api: Arc<dyn Api>) -> Self {
        self.tailnet = Some(self.forked(crate::tailnet::requests::ROOT, api));
        self
    }

    /// Lets steps put secrets of the inventory into files.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Arc<dyn SecretStore>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// Who gives out secrets, if anybody does.
    #[must_use]
    pub fn secrets(&self) -> Option<&dyn SecretStore> {
        self.secrets.as_deref()
    }

    /// Lets every host's door lead to an OPNsense as well.
    #[must_use]
    pub fn with_opnsense(mut self, api: Arc<dyn Api>) -> Self {
        self.opnsense = Some(self.forked(crate::opnsense::requests::ROOT, api));
        self
    }

    fn forked(&mut self, root: &'static str, api: Arc<dyn Api>) -> Session {
        for open in self.hosts.values_mut() {
            open.any = open.any.forked(root, Arc::clone(&api));
            open.own = open.own.forked(root, Arc::clone(&api));
        }
        Session::new(api, Arc::clone(&self.clock), 0)
    }

    /// The OPNsense that keeps names, if there is one.
    #[must_use]
    pub fn opnsense(&self) -> Option<&Session> {
        self.opnsense.as_ref()
    }

    /// The control plane of the tailnet, if there is one.
    #[must_use]
    pub fn tailnet(&self) -> Option<&Session> {
        self.tailnet.as_ref()
    }

    /// The API of a host, through whichever node of its cluster answers.
    #[must_use]
    pub fn session(&self, host: &HostName) -> Option<&Session> {
        self.hosts.get(host).map(|open| &open.any)
    }

    /// The API of a host through its own door: whether that one opens.
    #[must_use]
    pub fn own(&self, host: &HostName) -> Option<&Session> {
        self.hosts.get(host).map(|open| &open.own)
    }

    /// The shell of a host.
    #[must_use]
    pub fn shell(&self, host: &HostName) -> Option<&Arc<dyn Shell>> {
        self.hosts.get(host).and_then(|open| open.door.shell.as_ref())
    }

    /// Where a step's commands run: the shell of its host, or of the guest that it is in.
    #[must_use]
    pub fn shell_of(&self, step: &Step) -> Option<Arc<dyn Shell>> {
        let host = Arc::clone(self.shell(&step.host)?);
        Some(match step.inside {
            Some(inside) => Arc::new(InGuest::new(host, inside)),
            None => host,
        })
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
