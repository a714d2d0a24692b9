//! The site that a twin is made of, as it was looked at, and what of it the twin has not.

use std::collections::BTreeSet;

use crate::lab::world::GuestKind;
use crate::model::observed::{Fact, Host, Site};
use crate::model::{HostName, NodeName};

/// A site as it was looked at.
#[derive(Debug, Clone)]
pub struct Original<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its hosts share.
    pub site: &'a Site,
    /// Its hosts of the inventory; the first that answered spoke for the site.
    pub hosts: Vec<OriginalHost<'a>>,
}

/// A host as it was looked at.
#[derive(Debug, Clone)]
pub struct OriginalHost<'a> {
    /// What the inventory calls it.
    pub name: &'a HostName,
    /// What Proxmox VE calls it.
    pub node: &'a NodeName,
    /// Name or address of its API.
    pub address: &'a str,
    /// The token that we come with.
    pub token_id: &'a str,
    /// What was read of it.
    pub there: &'a Host,
}

/// Something that the twin has not, or has otherwise than the original.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Untwinned {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Collects what could not be taken over.
#[derive(Debug, Default)]
pub(super) struct Told(pub BTreeSet<Untwinned>);

impl Told {
    pub fn say(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.0.insert(Untwinned { what: what.into(), why: why.into() });
    }

    /// The value of a fact; what is missing of it is said.
    pub fn take<'a, T>(&mut self, what: &str, fact: &'a Fact<T>) -> Option<&'a T> {
        if let Some(why) = fact.why() {
            self.say(what, why);
        }
        fact.value()
    }
}

/// The lab's word for a kind.
pub(super) fn kind(kind: crate::model::observed::GuestKind) -> GuestKind {
    match kind {
        crate::model::observed::GuestKind::Qemu => GuestKind::Qemu,
        crate::model::observed::GuestKind::Lxc => GuestKind::Lxc,
    }
}
