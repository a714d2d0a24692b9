//! What an OPNsense keeps: overrides as they are written, those that Unbound has read, and who may ask.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A host override as the configuration holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// `1` or `0`.
    pub enabled: String,
    /// The first label.
    pub hostname: String,
    /// What follows.
    pub domain: String,
    /// `A`, `AAAA`, `MX`.
    pub rr: String,
    /// Of a mail server.
    pub mxprio: String,
    /// Of a mail server.
    pub mx: String,
    /// The address.
    pub server: String,
    /// What somebody says of it.
    pub description: String,
}

/// A further name of a host override.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// `1` or `0`.
    pub enabled: String,
    /// The id of the override.
    pub host: String,
    /// The first label.
    pub hostname: String,
    /// What follows.
    pub domain: String,
    /// What somebody says of it.
    pub description: String,
}

/// An OPNsense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpnSense {
    /// The first part of a key that may do everything.
    pub key: String,
    /// Its second part.
    pub secret: String,
    /// The first part of a key whose owner may not touch Unbound.
    pub stranger: String,
    /// Host overrides by id.
    pub hosts: BTreeMap<String, Host>,
    /// Their aliases by id.
    pub aliases: BTreeMap<String, Alias>,
    /// What Unbound answers: names with their addresses, as of its last start.
    pub answers: BTreeMap<String, Vec<String>>,
    /// How often Unbound was restarted.
    pub restarts: u32,
    /// How often the configuration was saved.
    pub saves: u32,
}

fn word(length: usize) -> String {
    let mut dice = fastrand::Rng::new();
    (0..length).map(|_| dice.alphanumeric()).collect()
}

impl OpnSense {
    /// A new one without any override.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: word(80),
            secret: word(80),
            stranger: word(80),
            hosts: BTreeMap::new(),
            aliases: BTreeMap::new(),
            answers: BTreeMap::new(),
            restarts: 0,
            saves: 0,
        }
    }

    /// Somebody adds an override by hand; gives its id.
    pub fn add(&mut self, hostname: &str, domain: &str, address: &str, description: &str) -> String {
        let uuid = new_uuid();
        let host = Host {
            enabled: "1".to_owned(),
            hostname: hostname.to_owned(),
            domain: domain.to_owned(),
            rr: if address.contains(':') { "AAAA" } else { "A" }.to_owned(),
            server: address.to_owned(),
            description: description.to_owned(),
            ..Host::default()
        };
        self.hosts.insert(uuid.clone(), host);
        uuid
    }

    /// Unbound is stopped, its configuration written anew from what is enabled, and started.
    pub(super) fn reconfigure(&mut self) {
        self.restarts += 1;
        self.answers.clear();
        let name = |hostname: &str, domain: &str| {
            if hostname.is_empty() { domain.to_owned() } else { format!("{hostname}.{domain}") }
        };
        for (uuid, host) in self.hosts.iter().filter(|(_, host)| host.enabled == "1" && host.rr != "MX") {
            let of_it = self.aliases.values().filter(|alias| alias.enabled == "1" && alias.host == *uuid);
            let further = of_it.map(|alias| {
                let hostname = if alias.hostname.is_empty() { &host.hostname } else { &alias.hostname };
                let domain = if alias.domain.is_empty() { &host.domain } else { &alias.domain };
                name(hostname, domain)
            });
            for name in std::iter::once(name(&host.hostname, &host.domain)).chain(further) {
                self.answers.entry(name).or_default().push(host.server.clone());
            }
        }
    }
}

impl Default for OpnSense {
    fn default() -> Self {
        Self::new()
    }
}

/// A random id of the fourth version.
pub(super) fn new_uuid() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
