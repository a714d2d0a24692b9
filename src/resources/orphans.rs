//! What is ours by its mark and not in the inventory any more: reported, and removed only when asked for
//! by name (safety rule 2).

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Fields, change};
use super::flow_firewall::PREFIX;
use super::guest::endpoints;
use super::ip_set::{DATACENTER, Set};
use super::operations::{answer, call, call_until, check, equals, exec, step, task, within};
use super::ownership::{is_marked, owner_tag};
use super::rules::rewrite;
use super::{Removal, all};
use crate::blueprint::{Blueprint, Host};
use crate::diag::Diagnostics;
use crate::model::change::{Action, Risk, Via};
use crate::model::observed::{GuestKind, GuestListing, Observed, Power, Site};
use crate::model::step::{Expect, Matcher, Op, Undo};
use crate::model::{Addr, HostName, Kind, Vmid};
use crate::proxmox::endpoints as api;

/// Something of ours that the inventory does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// What it is.
    pub addr: Addr,
    /// Where it is.
    pub host: HostName,
    /// What to know about it, such as `vmid 107 on node pve1, running`.
    pub description: String,
    /// How it is removed.
    pub removal: Removal,
}

/// Everything of ours that the inventory does not know, as far as it could be seen.
#[must_use]
pub fn orphans(blueprint: &Blueprint, observed: &Observed) -> Vec<Orphan> {
    let known: BTreeSet<Addr> = all(blueprint).iter().map(|resource| resource.addr()).collect();
    let mut orphans = Vec::new();
    for (name, speaker) in blueprint.sites() {
        let Some(site) = observed.sites.get(name) else { continue };
        orphans.extend(guests(blueprint, speaker, site));
        orphans.extend(shared(blueprint, speaker, site).into_iter().filter(|orphan| !known.contains(&orphan.addr)));
    }
    for host in blueprint.hosts.values() {
        orphans.extend(datasets(blueprint, host, observed).into_iter().filter(|orphan| !known.contains(&orphan.addr)));
    }
    orphans
}

fn removal(
    addr: &Addr,
    host: &HostName,
    title: String,
    ops: Vec<Op>,
    undo: Undo,
    holds_data: bool,
    seen: String,
) -> Removal {
    let mut step = step(addr, "destroy", title, host, ops);
    step.undo = undo;
    let mut change = change(addr.clone(), Action::Destroy, &[], &BTreeMap::<Addr, Fields>::new());
    change.reason = "is ours and not in the inventory".into();
    change.via = step.via;
    if holds_data {
        step.risk = Risk::DataLoss;
        change.risk = Risk::DataLoss;
    }
    Removal { change, steps: vec![step], holds_data, seen, refused: Diagnostics::new() }
}

fn guests(blueprint: &Blueprint, speaker: &Host, site: &Site) -> Vec<Orphan> {
    let tag = owner_tag(&blueprint.name);
    let wanted: BTreeSet<Vmid> = blueprint
        .guests
        .values()
        .filter(|guest| blueprint.host_of(guest).site == speaker.site)
        .map(|guest| guest.vmid)
        .collect();
    let ours = |listing: &GuestListing| listing.tags.iter().any(|written| written == tag.as_str());
    let listed = site.guests.value().into_iter().flatten();
    listed
        .filter(|(vmid, listing)| !wanted.contains(vmid) && ours(listing))
        .map(|(vmid, listing)| guest(blueprint, speaker, *vmid, listing))
        .collect()
}

fn guest(blueprint: &Blueprint, speaker: &Host, vmid: Vmid, listing: &GuestListing) -> Orphan {
    let kind = match listing.kind {
        GuestKind::Qemu => Kind::Vm,
        GuestKind::Lxc => Kind::Container,
    };
    // A name that the inventory uses for another guest would be the address of that one.
    let taken = |name: &String| blueprint.guests.keys().any(|guest| guest.as_str() == name);
    let name = listing.name.clone().filter(|name| !taken(name)).unwrap_or_else(|| vmid.to_string());
    let addr = Addr::new(kind, &name);
    let on = blueprint.hosts.values().find(|host| host.site == speaker.site && host.node == listing.node);
    let host = on.unwrap_or(speaker).name.clone();
    let status = match listing.status {
        Power::Running => "running",
        Power::Stopped => "stopped",
        Power::Unknown => "its node does not answer",
    };
    let (id, endpoints) = (vmid.to_string(), endpoints(listing.kind));
    let at = [listing.node.as_str(), id.as_str()];
    let gone = answer(
        endpoints.list.at(&[listing.node.as_str()]),
        vec![Expect::new("", Matcher::LacksItem("vmid".into(), id.clone()))],
    );
    let mut ops = Vec::new();
    if listing.status == Power::Running {
        ops.push(task(endpoints.stop.at(&at), answer(endpoints.status.at(&at), vec![equals("status", "stopped")])));
    }
    ops.push(task(endpoints.delete.at(&at).set("purge", 1), gone.clone()));
    ops.push(within(30, gone, "the guest is still listed"));
    let description = format!("vmid {vmid} on node {}, {status}", listing.node);
    let undo = Undo::irreversible("the guest's disks were removed with it");
    let removal = removal(&addr, &host, format!("destroy {name} {vmid}"), ops, undo, true, description.clone());
    Orphan { addr, host, description, removal }
}

fn datasets(blueprint: &Blueprint, host: &Host, observed: &Observed) -> Vec<Orphan> {
    let there = observed.hosts.get(&host.name).and_then(|there| there.datasets.value());
    let ours =
        there.into_iter().flatten().filter(|(_, dataset)| dataset.owner.as_deref() == Some(blueprint.name.as_str()));
    ours.map(|(name, dataset)| {
        let addr = super::dataset::addr(&host.name, name);
        let description = format!("{} in it", crate::model::Size::bytes(dataset.used));
        let undo = Undo::irreversible("what was in the dataset is gone");
        let ops = vec![exec(["zfs", "destroy", name.as_str()])];
        let mut removal =
            removal(&addr, &host.name, format!("destroy dataset {name}"), ops, undo, true, description.clone());
        removal.change.via = Via::Ssh;
        Orphan { addr, host: host.name.clone(), description, removal }
    })
    .collect()
}

/// Pools, mappings, aliases, sets and groups: they hold no data. Proxmox refuses to remove pools that have members; what
/// else is still used is for the plan to see (`in_use`).
fn shared(blueprint: &Blueprint, speaker: &Host, site: &Site) -> Vec<Orphan> {
    let mine = |comment: &str| is_marked(&blueprint.name, comment);
    let orphan = |kind: Kind, name: &str, ops: Vec<Op>| {
        let addr = Addr::placed(kind, &speaker.site, name);
        let why = "the next apply makes it again if it is asked for";
        let removal =
            removal(&addr, &speaker.name, format!("remove {name}"), ops, Undo::nothing(why), false, String::new());
        Orphan { addr, host: speaker.name.clone(), description: "no guest of the inventory uses it".into(), removal }
    };
    let gone = |list: api::Endpoint, key: &str, name: &str| {
        answer(list.at(&[]), vec![Expect::new("", Matcher::LacksItem(key.into(), name.to_owned()))])
    };
    let mut orphans = Vec::new();
    for (name, _) in site.pools.value().into_iter().flatten().filter(|(_, comment)| mine(comment)) {
        let gone = gone(api::POOLS, "poolid", name);
        let request = api::POOL_DELETE.at(&[]).set("poolid", name);
        orphans.push(orphan(
            Kind::Pool,
            name,
            vec![call_until(request, gone.clone()), check(gone, "it is still listed")],
        ));
    }
    for (name, _) in site.mappings.value().into_iter().flatten().filter(|(_, mapping)| mine(&mapping.description)) {
        let gone = gone(api::PCI_MAPPINGS, "id", name.as_str());
        let request = api::PCI_MAPPING_DELETE.at(&[name.as_str()]);
        let ops = vec![call_until(request, gone.clone()), check(gone, "it is still listed")];
        orphans.push(orphan(Kind::PciMapping, name.as_str(), ops));
    }
    let firewall = site.firewall.value();
    let aliases = firewall.map(|firewall| &firewall.aliases);
    for (name, _) in aliases.into_iter().flatten().filter(|(_, alias)| mine(&alias.comment)) {
        let gone = gone(api::ALIASES, "name", name);
        let ops = vec![call_until(api::ALIAS_DELETE.at(&[name]), gone.clone()), check(gone, "it is still listed")];
        orphans.push(orphan(Kind::FirewallAlias, name, ops));
    }
    let sets = firewall.map(|firewall| &firewall.ipsets);
    for (name, set) in sets.into_iter().flatten().filter(|(name, set)| name.starts_with(PREFIX) && mine(&set.comment)) {
        let set = Set { endpoints: &DATACENTER, at: &[], name }.gone(set);
        orphans.push(orphan(Kind::FirewallIpset, name, set.ops));
    }
    let groups = firewall.map(|firewall| &firewall.groups);
    for (name, group) in groups.into_iter().flatten().filter(|(_, group)| mine(&group.comment)) {
        let mut ops = rewrite(super::firewall_group::place(&[name]), &group.rules, &[]);
        ops.push(call(api::GROUP_DELETE.at(&[name])));
        ops.push(check(gone(api::GROUPS, "group", name), "it is still listed"));
        orphans.push(orphan(Kind::FirewallGroup, name, ops));
    }
    orphans
}
