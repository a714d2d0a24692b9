//! Whether a twin is like its original: both looked at in the same way, and what differs named.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

use crate::model::observed::{Fact, Host, Observed, Site};

/// What differs between two looks, one line each; empty where the twin is like the original.
///
/// Running tasks and the index of templates are left out: the first end before anything is planned, of the second
/// only the names are known. What could not be read of the original is not looked for in the twin.
#[must_use]
pub fn unlike(original: &Observed, twin: &Observed) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, site) in &original.sites {
        match twin.sites.get(name) {
            Some(other) => of_site(name, site, other, &mut lines),
            None => lines.push(format!("{name}: there is no such site")),
        }
    }
    for (name, host) in &original.hosts {
        match twin.hosts.get(name) {
            Some(other) => of_host(name.as_str(), host, other, &mut lines),
            None => lines.push(format!("{name}: there is no such host")),
        }
    }
    lines
}

fn of_site(name: &str, site: &Site, twin: &Site, lines: &mut Vec<String>) {
    let mut differ = Differ { of: name, lines };
    differ.value("nodes", &site.nodes, &twin.nodes);
    differ.value("quorum", &site.quorate, &twin.quorate);
    differ.entries("guest", &site.guests, &twin.guests);
    for (vmid, config) in &site.configs {
        let none = Fact::default();
        differ.value(&format!("configuration of {vmid}"), config, twin.configs.get(vmid).unwrap_or(&none));
    }
    differ.entries("pool", &site.pools, &twin.pools);
    differ.entries("mapping", &site.mappings, &twin.mappings);
    differ.value("datacenter firewall", &site.firewall, &twin.firewall);
    differ.entries("firewall of", &site.guest_firewalls, &twin.guest_firewalls);
    let permissions = |site: &Site| match &site.permissions {
        Fact::Complete { value } | Fact::Partial { value, .. } => Fact::complete(value.0.clone()),
        Fact::Unavailable { why } => Fact::unavailable(why),
    };
    differ.entries("permissions on", &permissions(site), &permissions(twin));
}

fn of_host(name: &str, host: &Host, twin: &Host, lines: &mut Vec<String>) {
    let mut differ = Differ { of: name, lines };
    differ.value("online", &host.online, &twin.online);
    differ.value("PCI devices", &host.pci, &twin.pci);
    differ.entries("storage", &host.storages, &twin.storages);
    for (storage, volumes) in &host.volumes {
        let none = Fact::default();
        differ.entries("file", volumes, twin.volumes.get(storage).unwrap_or(&none));
    }
    differ.entries("dataset", &host.datasets, &twin.datasets);
    differ.entries("file", &host.files, &twin.files);
    differ.value("bridges", &host.bridges, &twin.bridges);
}

struct Differ<'a> {
    of: &'a str,
    lines: &'a mut Vec<String>,
}

impl Differ<'_> {
    fn value<T: PartialEq + Debug>(&mut self, what: &str, original: &Fact<T>, twin: &Fact<T>) {
        let Some(was) = original.value() else { return };
        match twin.value() {
            Some(is) if is == was => {}
            Some(is) => self.lines.push(format!("{}: {what}: {was:?} is {is:?}", self.of)),
            None => self.lines.push(format!("{}: {what}: {}", self.of, twin.why().unwrap_or_default())),
        }
    }

    fn entries<K: Ord + Display, T: PartialEq + Debug>(
        &mut self,
        what: &str,
        original: &Fact<BTreeMap<K, T>>,
        twin: &Fact<BTreeMap<K, T>>,
    ) {
        let Some(was) = original.value() else { return };
        let Some(is) = twin.value() else {
            self.lines.push(format!("{}: {what}: {}", self.of, twin.why().unwrap_or_default()));
            return;
        };
        for (key, value) in was {
            match is.get(key) {
                Some(other) if other == value => {}
                Some(other) => self.lines.push(format!("{}: {what} {key}: {value:?} is {other:?}", self.of)),
                None => self.lines.push(format!("{}: {what} {key}: not there", self.of)),
            }
        }
        for key in is.keys().filter(|key| !was.contains_key(key)) {
            self.lines.push(format!("{}: {what} {key}: only in the twin", self.of));
        }
    }
}
