//! Guests that we come through ourselves, and what of the datacenter's firewall decides about them and the hosts.
//!
//! A guest may be the operator's way in: a VPN, a jump host, a router, the gateway. Whatever its firewall names can cut
//! us off as a host's own firewall can, and is guarded alike (safety rule 6).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::guarded::FirewallGuard;
use super::host_firewall::in_force;
use super::references::{Object, Referrer, in_the_end};
use super::{Context, Finding};
use crate::blueprint::{Blueprint, Guest, Host, SshAccess};
use crate::model::change::Via;
use crate::model::observed::Observed;
use crate::model::step::{Step, Undo};
use crate::model::{GuestName, Vmid};

/// Where the datacenter's firewall is kept.
const DATACENTER: &str = "/etc/pve/firewall/cluster.fw";

/// The guests that we come through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways(BTreeMap<GuestName, String>);

impl Ways {
    /// Looks for them: a guest that a host sees us come from, that `ssh.jump` names, or that is a network's gateway.
    #[must_use]
    pub fn of(blueprint: &Blueprint, observed: &Observed) -> Self {
        let mut ways = BTreeMap::new();
        for guest in blueprint.guests.values() {
            if let Some(why) = blueprint.hosts.values().find_map(|host| through(guest, host, observed)) {
                ways.insert(guest.name.clone(), why);
            }
        }
        Self(ways)
    }

    /// Why a guest is one of them.
    #[must_use]
    pub fn why(&self, guest: &GuestName) -> Option<&str> {
        self.0.get(guest).map(String::as_str)
    }

    /// Their numbers in a site.
    #[must_use]
    pub fn numbers(&self, blueprint: &Blueprint, site: &str) -> BTreeSet<Vmid> {
        let guests = self.0.keys().filter_map(|name| blueprint.guests.get(name));
        guests.filter(|guest| blueprint.host_of(guest).site == site).map(|guest| guest.vmid).collect()
    }
}

fn through(guest: &Guest, host: &Host, observed: &Observed) -> Option<String> {
    let address = guest.interface.address();
    let operator = observed.hosts.get(&host.name).and_then(|there| there.entrance.operator.value());
    if operator == Some(&address) {
        return Some(format!("{} sees us come from {address}", host.name));
    }
    let mut jump = host.access.ssh.as_ref().and_then(|ssh| ssh.jump.as_deref());
    while let Some(SshAccess { host: named, jump: next, .. }) = jump {
        if named.parse::<IpAddr>() == Ok(address) || named == guest.name.as_str() {
            return Some(format!("it is a jump to {}", host.name));
        }
        jump = next.as_deref();
    }
    (host.network.gateway == address).then(|| format!("it is the gateway of {}'s network", host.name))
}

/// Whether an object of the datacenter decides who gets in at a host, or at a guest that we come through: a rule of
/// theirs names it. It does, if nobody knows.
pub fn decides(blueprint: &Blueprint, observed: &Observed, site: &str, object: &Object) -> bool {
    let Some(there) = observed.sites.get(site) else { return true };
    let Ok(found) = in_the_end(there, object) else { return true };
    let ways = Ways::of(blueprint, observed).numbers(blueprint, site);
    found.iter().any(|referrer| match referrer {
        Referrer::Datacenter | Referrer::Host(_) => true,
        Referrer::Guest(vmid) => ways.contains(vmid),
        Referrer::Group(_) | Referrer::Set(_) | Referrer::File(_) => false,
    })
}

/// As [`guard`], if the object that a step makes or changes decides who gets in.
///
/// # Errors
/// As [`guard`].
pub fn guard_if_it_decides(
    context: &Context<'_>,
    host: &Host,
    object: &Object,
    step: &mut Step,
) -> Result<(), Finding> {
    match decides(context.blueprint, context.observed, &host.site, object) {
        true => guard(context, host, None, step),
        false => Ok(()),
    }
}

/// Puts a step under guard: `file` is what it changes, beside the datacenter's own file.
///
/// # Errors
/// Why it cannot be: no host of the site keeps a revert, or one is pending.
pub fn guard(context: &Context<'_>, host: &Host, file: Option<(String, bool)>, step: &mut Step) -> Result<(), Finding> {
    let site = &host.site;
    let hosts = || context.blueprint.hosts.values().filter(|one| one.site == *site);
    let keeper = std::iter::once(host).chain(hosts()).find(|one| one.access.ssh.is_some());
    let Some(keeper) = keeper else {
        let why = "it can cut our own way in, and no host has `ssh` access to take it back by itself";
        return Err(Finding::Gap { why: why.to_owned() });
    };
    let there = |one: &Host| context.observed.hosts.get(&one.name);
    if let Some((guard, _)) = there(keeper).and_then(|there| there.entrance.pending()) {
        let why = format!("`{}` is about to take back an earlier change that nobody confirmed ({guard})", keeper.name);
        return Err(Finding::Gap { why });
    }
    let up = hosts().filter(|one| there(one).is_some_and(|there| there.online.value() == Some(&true)));
    let guard = |present: bool| FirewallGuard {
        files: match &file {
            Some((path, was)) => vec![(path.clone(), present || *was)],
            None => vec![(DATACENTER.to_owned(), true)],
        },
        in_force: in_force(context, site),
        hosts: up.clone().map(|one| one.name.clone()).collect(),
    };
    step.host = keeper.name.clone();
    step.via = step.via.and(Via::Ssh);
    step.ops = guard(false).around(std::mem::take(&mut step.ops));
    if let Undo::Ops { ops } = &mut step.undo {
        *ops = guard(true).around(std::mem::take(ops));
    }
    let turn = format!("{site}/firewall");
    if !step.exclusive.contains(&turn) {
        step.exclusive.push(turn);
    }
    Ok(())
}
