//! Who has a device in the tailnet, and where hosts and routes are among them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::blueprint::Host;
use crate::model::tailnet::TailnetDevice;

/// Who has a device in the tailnet. A test about a tag or a login that has none fails, however right the policy is
/// (Headscale: "resolved to no IP addresses"; Tailscale: "must be a valid user with registered machines").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    /// Tags of devices.
    pub tags: BTreeSet<String>,
    /// Logins of untagged devices.
    pub users: BTreeSet<String>,
    /// The devices themselves.
    pub devices: Vec<TailnetDevice>,
}

impl Presence {
    /// What the devices of a tailnet say.
    #[must_use]
    pub fn of(devices: &[TailnetDevice]) -> Self {
        let owned = devices.iter().filter(|device| device.tags.is_empty()).map(|device| device.user.clone());
        Self {
            tags: devices.iter().flat_map(|device| device.tags.clone()).collect(),
            users: owned.collect(),
            devices: devices.to_vec(),
        }
    }

    /// Whether a test may name it. Autogroups are none of what tests document as their source.
    pub(super) fn has(&self, who: &str) -> bool {
        self.tags.contains(who) || self.users.contains(who)
    }

    /// Whether a device is this host: by an address, or by its name.
    pub(super) fn is_host(device: &TailnetDevice, host: &Host) -> bool {
        let known = host.addresses();
        let named = |name: &str| {
            let label = name.split('.').next().unwrap_or_default();
            !label.is_empty() && device.hostname.eq_ignore_ascii_case(label)
        };
        // By an address that begins with a digit nobody is called.
        let access = Some(host.access.api.host.as_str()).filter(|name| name.parse::<IpAddr>().is_err());
        device.addresses.iter().filter_map(|address| address.parse().ok()).any(|own: IpAddr| known.contains(&own))
            || [Some(host.name.as_str()), Some(host.node.as_str()), access].into_iter().flatten().any(named)
    }
}

/// By which names of a policy a device is meant: its tags, or who it belongs to.
pub(super) fn identities(device: &TailnetDevice) -> impl Iterator<Item = &str> {
    let login = Some(device.user.as_str()).filter(|user| device.tags.is_empty() && !user.is_empty());
    device.tags.iter().map(String::as_str).chain(login)
}

/// The networks that a tailnet's addresses are from (<https://tailscale.com/kb/1015>).
pub(super) fn tailnet_networks() -> [IpNet; 2] {
    ["100.64.0.0/10", "fd7a:115c:a1e0::/48"].map(|network| network.parse().expect("a network"))
}
