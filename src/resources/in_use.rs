//! Whether aliases, sets and groups that are to go are still named by something that stays.
//!
//! Proxmox would not say a word: what names a missing alias or set has a rule less then, and a guest that names a
//! missing group has no firewall at all (`compile_iptables_filter` dies for it, and leaves it out).

use std::collections::BTreeSet;

use super::references::{Object, Referrer, referrers};
use super::{firewall_group, firewall_ipset};
use crate::blueprint::Blueprint;
use crate::diag::Diagnostic;
use crate::model::observed::{Observed, Site};
use crate::model::{Addr, Kind};

/// What of all that is `going` must stay, and why: something that does not go names it, whoever that is of.
#[must_use]
pub fn still_named(blueprint: &Blueprint, observed: &Observed, going: &BTreeSet<Addr>) -> Vec<(Addr, Diagnostic)> {
    let mut problems = Vec::new();
    for addr in going {
        let Some((site_name, name)) = addr.name.split_once(':') else { continue };
        let name_there = name.to_ascii_lowercase();
        let object = match addr.kind {
            Kind::FirewallAlias => Object::Alias(name_there),
            Kind::FirewallIpset => Object::Set(name_there),
            Kind::FirewallGroup => Object::Group(name_there),
            _ => continue,
        };
        let Some(site) = observed.sites.get(site_name) else { continue };
        let stays: Vec<String> = match referrers(site, &object) {
            Ok(found) => found
                .iter()
                .filter(|referrer| !goes(blueprint, (site_name, site), going, referrer))
                .map(ToString::to_string)
                .collect(),
            Err(why) => {
                let problem = Diagnostic::error("plan.firewall-use-unknown", format!("who names {addr} is not known"))
                    .cause(why)
                    .hint("give the host `ssh` access as root: firewall files are read over it");
                problems.push((addr.clone(), problem));
                continue;
            }
        };
        if stays.is_empty() {
            continue;
        }
        let without = match addr.kind {
            Kind::FirewallGroup => "without it Proxmox makes no firewall at all for a guest that names it",
            _ => "without it Proxmox leaves their rules out",
        };
        let problem = Diagnostic::error("plan.firewall-in-use", format!("{addr} is named by {}", stays.join(", ")))
            .cause(format!("{without}, and says so to nobody"))
            .hint("take it out of those rules first, or leave it where it is");
        problems.push((addr.clone(), problem));
    }
    problems
}

fn goes(blueprint: &Blueprint, (name, site): (&str, &Site), going: &BTreeSet<Addr>, referrer: &Referrer) -> bool {
    let is_going = |addr: &Addr| {
        // Groups are kept in lower case, and go by the name that the inventory gave them.
        going.iter().any(|one| one.kind == addr.kind && one.name.eq_ignore_ascii_case(&addr.name))
    };
    match referrer {
        Referrer::Group(group) => is_going(&firewall_group::addr(name, group)),
        Referrer::Set(set) => is_going(&firewall_ipset::addr(name, set)),
        Referrer::Guest(vmid) => {
            let ours =
                blueprint.guests.values().find(|guest| guest.vmid == *vmid && blueprint.host_of(guest).site == name);
            let name = match ours {
                Some(guest) => guest.name.to_string(),
                // What is not in the inventory goes by its own name, unless that is another guest's there.
                None => site
                    .guests
                    .value()
                    .and_then(|guests| guests.get(vmid)?.name.clone())
                    .filter(|name| !blueprint.guests.keys().any(|guest| guest.as_str() == name))
                    .unwrap_or_else(|| vmid.to_string()),
            };
            // A file that is left of a guest that is gone names nothing for anybody.
            let gone =
                site.guests.is_complete() && site.guests.value().is_some_and(|guests| !guests.contains_key(vmid));
            gone || [Kind::Vm, Kind::Container].into_iter().any(|kind| going.contains(&Addr::new(kind, &name)))
        }
        Referrer::Datacenter | Referrer::Host(_) | Referrer::File(_) => false,
    }
}
