//! From what was observed to what `infra status` says.

use std::collections::BTreeSet;

use super::{GuestLine, HostLine, Status};
use crate::blueprint::{Blueprint, Guest, GuestShape, Host};
use crate::model::observed::{Fact, GuestConfig, GuestListing, Observed, Power, Site};
use crate::model::{Addr, Kind, Size};
use crate::resources::owns;

impl Status {
    /// Joins what should be with what is. `drifted` are the resources that somebody changed since we
    /// applied them.
    #[must_use]
    pub fn of(blueprint: &Blueprint, observed: &Observed, drifted: &BTreeSet<Addr>) -> Self {
        Self {
            format: Self::FORMAT,
            inventory: blueprint.name.to_string(),
            hosts: blueprint.hosts.values().map(|host| host_line(host, observed)).collect(),
            guests: blueprint.guests.values().map(|guest| guest_line(blueprint, guest, observed, drifted)).collect(),
        }
    }
}

fn host_line(host: &Host, observed: &Observed) -> HostLine {
    let seen = observed.hosts.get(&host.name);
    let online = seen.map(|seen| &seen.online);
    let state = match online.and_then(Fact::value) {
        Some(true) => "online",
        Some(false) => "offline",
        None => "unknown",
    };
    let version = observed.sites.get(&host.site).and_then(|site| site.version.value()).cloned();
    let shell = seen.and_then(|seen| seen.datasets.why().map(|why| format!("not all could be read: {why}")));
    HostLine {
        name: host.name.to_string(),
        node: host.node.to_string(),
        state: state.to_owned(),
        version,
        address: format!("{}:{}", host.access.api.host, host.access.api.port),
        note: online.and_then(Fact::why).map(ToOwned::to_owned).or(shell),
    }
}

fn guest_line(blueprint: &Blueprint, guest: &Guest, observed: &Observed, drifted: &BTreeSet<Addr>) -> GuestLine {
    let host = blueprint.host_of(guest);
    let kind = match guest.shape {
        GuestShape::Vm(_) => Kind::Vm,
        GuestShape::Container(_) => Kind::Container,
    };
    let addr = Addr::new(kind, &guest.name);
    let site = observed.sites.get(&host.site);
    let listing = site.and_then(|site| site.guests.value()).and_then(|guests| guests.get(&guest.vmid));
    let config = site.and_then(|site| site.configs.get(&guest.vmid)).and_then(Fact::value);
    let foreign = listing.is_some_and(|listing| !owns(&blueprint.name, &addr, listing, config));
    let config = config.filter(|_| !foreign);
    let drift = drifted.iter().any(|a| *a == addr || (a.kind == Kind::GuestFirewall && a.name == guest.name.as_str()));
    GuestLine {
        name: guest.name.to_string(),
        kind: kind.as_str().to_owned(),
        vmid: guest.vmid.get(),
        node: listing.map_or(&host.node, |listing| &listing.node).to_string(),
        state: state(site, listing, foreign).to_owned(),
        address: guest.interface.address().to_string(),
        memory: memory(config).unwrap_or(guest.memory).to_string(),
        drift: drift && !foreign,
        note: note(site, host, listing, config, foreign),
    }
}

fn state(site: Option<&Site>, listing: Option<&GuestListing>, foreign: bool) -> &'static str {
    match listing.map(|listing| listing.status) {
        Some(_) if foreign => "foreign",
        Some(Power::Running) => "running",
        Some(Power::Stopped) => "stopped",
        Some(Power::Unknown) => "unknown",
        // Only from a complete list does "not in it" mean "not there".
        None if site.is_some_and(|site| site.guests.is_complete()) => "absent",
        None => "unknown",
    }
}

fn memory(config: Option<&GuestConfig>) -> Option<Size> {
    let text = config?.active("memory")?;
    // PVE 9 prints VM memory as a property string: `current=32768`.
    text.rsplit('=').next()?.parse().ok().map(Size::mib)
}

fn note(
    site: Option<&Site>,
    host: &Host,
    listing: Option<&GuestListing>,
    config: Option<&GuestConfig>,
    foreign: bool,
) -> Option<String> {
    let Some(listing) = listing else {
        return site.and_then(|site| site.guests.why()).map(ToOwned::to_owned);
    };
    if foreign {
        let name = listing.name.as_deref().unwrap_or("without a name");
        return Some(format!("its vmid is taken by `{name}`, which is not ours"));
    }
    let mut notes = Vec::new();
    if listing.node != host.node {
        notes.push(format!("not on {}", host.node));
    }
    if let Some(lock) = &listing.lock {
        notes.push(format!("locked: {lock}"));
    }
    if let Some(waiting) = config.map(|config| config.pending.len()).filter(|count| *count > 0) {
        notes.push(format!("{} for a restart", super::plural(waiting, "value waits", "values wait")));
    }
    (!notes.is_empty()).then(|| notes.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Terminal, sample, status_text};
    use super::*;
    use crate::model::Vmid;
    use crate::model::observed::GuestKind;

    fn listing(node: &str, tags: &[&str]) -> GuestListing {
        GuestListing {
            kind: GuestKind::Lxc,
            node: node.parse().unwrap(),
            name: Some("mail".to_owned()),
            status: Power::Running,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            pool: None,
            lock: Some("backup".to_owned()),
            template: false,
            memory: None,
        }
    }

    fn observed(guests: Fact<BTreeMap<Vmid, GuestListing>>) -> Observed {
        let mut observed = Observed::default();
        let site = Site { guests, version: Fact::complete("9.2.11".to_owned()), ..Site::default() };
        observed.sites.insert("hq".to_owned(), site);
        observed
    }

    /// The state and note of the sample's only guest, vmid 104, meant for node pve1.
    fn line(guests: Fact<BTreeMap<Vmid, GuestListing>>) -> (String, Option<String>) {
        let status = Status::of(&sample::blueprint(), &observed(guests), &BTreeSet::new());
        (status.guests[0].state.clone(), status.guests[0].note.clone())
    }

    fn with(listing: GuestListing) -> BTreeMap<Vmid, GuestListing> {
        [(104.try_into().unwrap(), listing)].into()
    }

    #[test]
    fn a_guest_is_absent_only_when_the_list_is_complete() {
        assert_eq!(line(Fact::complete(BTreeMap::new())), ("absent".to_owned(), None));
        let partial = Fact::Partial { value: BTreeMap::new(), why: "pve2 is offline".to_owned() };
        assert_eq!(line(partial), ("unknown".to_owned(), Some("pve2 is offline".to_owned())));
    }

    #[test]
    fn a_vmid_of_somebody_else_is_foreign() {
        let (state, note) = line(Fact::complete(with(listing("pve1", &["prod"]))));
        assert_eq!(state, "foreign");
        assert_eq!(note.as_deref(), Some("its vmid is taken by `mail`, which is not ours"));
    }

    #[test]
    fn a_guest_that_moved_or_is_locked_says_so() {
        let (state, note) = line(Fact::complete(with(listing("pve2", &["infra-vrooli"]))));
        assert_eq!((state.as_str(), note.as_deref()), ("running", Some("not on pve1, locked: backup")));
    }

    #[test]
    fn memory_is_what_the_guest_has_and_waiting_values_are_counted() {
        let mut observed = observed(Fact::complete(with(listing("pve1", &["infra-vrooli"]))));
        let mut config = GuestConfig::default();
        config.current.insert("memory".to_owned(), "current=2048".to_owned());
        config.pending.insert("cores".to_owned(), Some("4".to_owned()));
        let site = observed.sites.get_mut("hq").unwrap();
        site.configs.insert(104.try_into().unwrap(), Fact::complete(config));
        let drifted = BTreeSet::from(["guest_firewall.proj-x".parse().unwrap()]);
        let status = Status::of(&sample::blueprint(), &observed, &drifted);
        insta::assert_snapshot!(status_text(&status, &Terminal::plain().with_width(120)), @r"
        hq      host    pve1  unknown  192.168.10.2:8006  PVE 9.2.11
        proj-x  ct 104  pve1  running  10.0.0.123         2GiB        [drift, locked: backup, 1 value waits for a restart]
        ");
    }
}
