//! One file per kind of resource, pure: what should be, what differs, which steps mend it.
//!
//! Owns the trait [`Resource`] and its kinds. A kind looks at the blueprint and at what was observed,
//! and answers with a [`Finding`]; it sends nothing and knows no clock. `docs/adding-a-resource.md`
//! shows how to add one.

mod container;
mod datacenter_firewall;
mod dataset;
mod deploy;
mod difference;
mod dns_records;
mod firewall_alias;
mod firewall_group;
mod firewall_ipset;
mod flow_firewall;
mod form;
pub mod gpu_device;
mod guarded;
mod guest;
mod guest_config;
mod guest_firewall;
pub mod host;
mod host_firewall;
mod image;
mod in_use;
mod ip_set;
mod lockout;
mod operations;
mod orphans;
mod ownership;
mod pci_mapping;
mod place;
mod pool;
mod references;
mod routes;
mod rules;
mod setting;
mod snippet;
mod storage;
mod switch;
mod switched_on;
mod tailnet_device;
mod tailnet_policy;
mod vm;
mod way_in;
pub mod written;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

pub use dataset::datasets_of_interest;
pub use deploy::{docker_questions, is_in_guest, secret_files};
pub use difference::Fields;
pub use flow_firewall::{PREFIX as FIREWALL_PREFIX, alias as firewall_alias_name, site_firewall};
pub use guest::may_hold;
pub use guest_config::guest_questions;
pub use guest_firewall::{foreign_rules, wanted as guest_firewall_wanted};
pub use in_use::still_named;
pub use orphans::{Orphan, orphans};
pub use ownership::{owner_tag, owns};
pub use place::{guest_of, place_of};
pub use references::Object as FirewallObject;
pub use snippet::snippets_of_interest;
pub use storage::{Kept, files_kept, problem as storage_problem};
pub use tailnet_device::strangers as tailnet_strangers;
pub use way_in::{Ways, decides as decides_who_gets_in};

use serde::{Deserialize, Serialize};

use crate::blueprint::Blueprint;
use crate::diag::Diagnostics;
use crate::model::change::Change;
use crate::model::observed::Observed;
use crate::model::step::{Step, StepId};
use crate::model::{Addr, HostName, Kind};

/// Something that the inventory asks for.
pub trait Resource {
    /// Its address.
    fn addr(&self) -> Addr;

    /// The host that it is placed on, or that speaks for its site.
    fn host(&self) -> &HostName;

    /// What differs from what was observed, and the steps that mend it.
    fn find(&self, context: &Context<'_>) -> Finding;

    /// How to remove it; `None` where there is nothing of ours to remove.
    fn removal(&self, context: &Context<'_>) -> Option<Removal>;
}

/// What a finding is based on.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What should be.
    pub blueprint: &'a Blueprint,
    /// What is.
    pub observed: &'a Observed,
    /// What we applied last, field by field: tells drift from intent.
    pub memory: &'a BTreeMap<Addr, Fields>,
    /// What the operator allowed to be lost, by name.
    pub allowed: &'a Allowed,
    /// Steps that an earlier run began and of whose end nothing is known.
    pub unfinished: &'a BTreeSet<StepId>,
    /// Whether everything of the inventory is planned together, and not a part that somebody named.
    pub together: bool,
    /// Which part is planned.
    pub part: Part,
}

/// Objects that the operator named, each for what may become of it: one licence is not the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// May be destroyed with their data.
    pub destroy: BTreeSet<Addr>,
    /// May be removed and made anew.
    pub replace: BTreeSet<Addr>,
    /// What somebody else changed in our part of them may be written over.
    pub take_over: BTreeSet<Addr>,
}

impl Allowed {
    /// Whether a guest may be removed and made anew. Who lets its data be destroyed lets that happen, too.
    #[must_use]
    pub fn replaces(&self, addr: &Addr) -> bool {
        self.replace.contains(addr) || self.destroy.contains(addr)
    }

    /// Names that a licence means nothing for, with the flag that gave it.
    pub fn pointless(&self) -> impl Iterator<Item = (&'static str, &Addr)> {
        let holds_data = |addr: &&Addr| matches!(addr.kind, Kind::Vm | Kind::Container | Kind::Dataset);
        let guest = |addr: &&Addr| matches!(addr.kind, Kind::Vm | Kind::Container);
        let shared = |addr: &&Addr| addr.kind == Kind::TailnetPolicy;
        let destroy = self.destroy.iter().filter(move |addr| !holds_data(addr)).map(|addr| ("--allow-destroy", addr));
        let replace = self.replace.iter().filter(move |addr| !guest(addr)).map(|addr| ("--allow-replace", addr));
        let take_over = self.take_over.iter().filter(move |addr| !shared(addr)).map(|addr| ("--take-over", addr));
        destroy.chain(replace).chain(take_over)
    }
}

/// What was found about one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Unchanged {
        /// What it should be, field by field.
        desired: Fields,
    },
    /// It differs.
    Changed(Changed),
    /// It cannot be told: something could not be observed.
    Gap {
        /// Why not.
        why: String,
    },
    /// It must not be touched, or cannot be what it should be.
    Refused(Diagnostics),
}

/// A difference and its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What differs.
    pub change: Change,
    /// What mends it, in order.
    pub steps: Vec<Step>,
    /// What it should be, field by field.
    pub desired: Fields,
    /// What was observed of it, as text: a precondition of the steps.
    pub seen: String,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// How to remove a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What goes.
    pub change: Change,
    /// How.
    pub steps: Vec<Step>,
    /// Whether data goes with it: then it must be named by the operator.
    pub holds_data: bool,
    /// What was observed of it, as text.
    pub seen: String,
    /// Why it cannot be removed, if so.
    pub refused: Diagnostics,
}

/// The resources of one kind.
pub type Desired = for<'a> fn(&'a Blueprint) -> Vec<Box<dyn Resource + 'a>>;

/// Every kind with its resources, in dependency order. A new kind is one file and one line here.
pub const KINDS: [(Kind, Desired); 16] = [
    (Kind::Pool, pool::desired),
    (Kind::PciMapping, pci_mapping::desired),
    (Kind::Image, image::desired),
    (Kind::Snippet, snippet::desired),
    (Kind::Dataset, dataset::desired),
    (Kind::FirewallAlias, firewall_alias::desired),
    (Kind::FirewallIpset, firewall_ipset::desired),
    (Kind::FirewallGroup, firewall_group::desired),
    (Kind::Vm, vm::desired),
    (Kind::Container, container::desired),
    (Kind::GuestFirewall, guest_firewall::desired),
    (Kind::Routes, routes::desired),
    (Kind::Zones, zones::desired),
    (Kind::TailnetPolicy, tailnet_policy::desired),
    (Kind::DnsRecords, dns_records::desired),
    (Kind::TailnetDevice, tailnet_device::desired),
];

/// Every kind of what is put into guests that run, in dependency order: what `deploy` plans.
pub const SERVICE_KINDS: [(Kind, Desired); 4] = [
    (Kind::GpuDriver, deploy::gpu_driver::desired),
    (Kind::DockerEngine, deploy::docker_engine::desired),
    (Kind::Service, deploy::service::desired),
    (Kind::Model, deploy::model::desired),
];

/// Every kind of what is of a host itself, in dependency order: what `prepare` plans, and no other verb. The parent
/// of all datasets is of both.
pub const HOST_KINDS: [(Kind, Desired); 9] = [
    (Kind::Dataset, dataset::parents),
    (Kind::Packages, host::packages::desired),
    (Kind::KernelCommandLine, host::kernel_command_line::desired),
    (Kind::Modules, host::modules::desired),
    (Kind::Modprobe, host::modprobe::desired),
    (Kind::ArcLimit, host::arc_limit::desired),
    (Kind::Sysctl, host::sysctl::desired),
    (Kind::HostFirewall, host_firewall::desired),
    (Kind::DatacenterFirewall, datacenter_firewall::desired),
];

/// Everything that a blueprint asks for beside the hosts themselves, in dependency order.
#[must_use]
pub fn all(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    of(Part::Guests, blueprint)
}

/// Everything of a part that a blueprint asks for, in dependency order.
#[must_use]
pub fn of(part: Part, blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let kinds: &[(Kind, Desired)] = match part {
        Part::Guests | Part::Everything => &KINDS,
        Part::Hosts => &HOST_KINDS,
        Part::Services => &SERVICE_KINDS,
    };
    let inside: &[(Kind, Desired)] = if part == Part::Everything { &SERVICE_KINDS } else { &[] };
    kinds.iter().chain(inside).flat_map(|(_, desired)| desired(blueprint)).collect()
}

/// What is planned together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Guests and all that they are made of.
    #[default]
    Guests,
    /// The hosts themselves.
    Hosts,
    /// What is put into guests that run.
    Services,
    /// Guests, all that they are made of, and what is put into them.
    Everything,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_and_in_order() {
        let hosts = HOST_KINDS.iter().filter(|(kind, _)| *kind != Kind::Dataset);
        let listed: Vec<Kind> = KINDS.iter().chain(&SERVICE_KINDS).chain(hosts).map(|(kind, _)| *kind).collect();
        assert_eq!(listed, Kind::ALL);
    }
}
