//! Who would lose what by another policy: ourselves on the way to a host first of all, then everybody else.
//!
//! Owns what a change of the policy takes away among the devices that there are. Where the policy does not say who is
//! meant (`autogroup:admin`), whoever could be counts as meant. Knows no host's own firewall.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::assertions::{HOST_PORTS, WITNESS};
use super::decide::{Packet, Side, network, port_matches};
use super::leaks::numbers;
use super::policy::{Policy, Rule};
use super::presence::{Presence, identities, tailnet_networks};
use super::wanted::member_tags;
use crate::blueprint::{Blueprint, Host};
use crate::model::tailnet::TailnetDevice;
use crate::model::{HostName, Transport};

/// A way to a host that leads over the tailnet, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    /// Which host.
    pub host: &'a Host,
    /// Its address on that way.
    pub address: IpAddr,
    /// The device that the host sees us come from, where that is one of the tailnet.
    pub operator: Option<&'a TailnetDevice>,
}

/// A path that is open now and would not be any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut<'a> {
    /// Which.
    pub path: Path<'a>,
    /// Devices that would lose it.
    pub devices: Vec<String>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Device(&'a TailnetDevice),
    Address(IpAddr),
}

/// How a device is called where people read it.
fn title(device: &TailnetDevice) -> String {
    let whose: Vec<&str> = identities(device).collect();
    if whose.is_empty() { device.hostname.clone() } else { format!("{} ({})", device.hostname, whose.join(", ")) }
}

fn has(device: &TailnetDevice, address: IpAddr) -> bool {
    device.addresses.iter().any(|own| own.parse() == Ok(address))
}

fn is_tailnet(address: IpAddr) -> bool {
    tailnet_networks().iter().any(|network| network.contains(&address))
}

/// Addresses of a host: those of the inventory, those of the device that it is called by, and those of the tailnet that
/// SSH goes through.
pub(super) fn host_addresses(host: &Host, presence: &Presence) -> BTreeSet<IpAddr> {
    let label = host.access.api.host.split('.').next().unwrap_or_default();
    let by_name = host.access.api.host.parse::<IpAddr>().is_err();
    let named = presence.devices.iter().filter(|device| by_name && device.hostname.eq_ignore_ascii_case(label));
    let named = named.flat_map(|device| &device.addresses).filter_map(|address| address.parse().ok());
    let mut jump = host.access.ssh.as_ref().and_then(|ssh| ssh.jump.as_deref());
    let mut between = Vec::new();
    while let Some(there) = jump {
        between.extend(there.host.parse::<IpAddr>().ok().filter(|address| is_tailnet(*address)));
        jump = there.jump.as_deref();
    }
    host.addresses().into_iter().chain(named).chain(between).collect()
}

/// Ways to the hosts that lead over the tailnet, or may: to an address of it, behind a subnet router, or from a device
/// of it. `operators` says from which address each host sees us come.
#[must_use]
pub fn paths<'a>(
    blueprint: &'a Blueprint,
    presence: &'a Presence,
    operators: &BTreeMap<HostName, IpAddr>,
) -> Vec<Path<'a>> {
    let routed = |address: IpAddr| {
        let routes = presence.devices.iter().flat_map(|device| &device.routes).filter_map(|route| network(route));
        // Whoever offers all of the internet is an exit node, and no way to a private address.
        routes.into_iter().any(|route| route.prefix_len() > 0 && route.contains(&address))
    };
    let mut paths = Vec::new();
    for host in blueprint.hosts.values() {
        let from = operators.get(&host.name).copied().filter(|address| is_tailnet(*address));
        let operator = from.and_then(|from| presence.devices.iter().find(|device| has(device, from)));
        for address in host_addresses(host, presence) {
            if is_tailnet(address) || from.is_some() || routed(address) {
                paths.push(Path { host, address, operator });
            }
        }
    }
    paths
}

/// Paths that `old` leaves open to us, or may, and `new` does not. Where it is not known which device we are, each
/// device that loses one counts, unless the inventory says who administers the hosts over the tailnet.
#[must_use]
pub fn cuts<'a>(
    blueprint: &Blueprint,
    (old, new): (&Policy, &Policy),
    presence: &Presence,
    paths: &[Path<'a>],
) -> Vec<Cut<'a>> {
    let declared = blueprint.tailnet.as_ref().is_some_and(|tailnet| tailnet.operators.is_some());
    let own = member_tags(blueprint);
    let candidate = |device: &&TailnetDevice| {
        !device.tags.iter().any(|tag| own.contains(tag))
            && !blueprint.hosts.values().any(|host| Presence::is_host(device, host))
    };
    let mut cuts = Vec::new();
    for path in paths {
        let to = match presence.devices.iter().find(|device| has(device, path.address)) {
            Some(device) => Place::Device(device),
            None => Place::Address(path.address),
        };
        let loses = |from: &&TailnetDevice| {
            HOST_PORTS.into_iter().any(|port| {
                let reaches = |policy: &Policy| policy.lets_device(from, to, (Transport::Tcp, port));
                reaches(old) && !reaches(new)
            })
        };
        let devices: Vec<String> = match path.operator {
            Some(operator) => std::iter::once(operator).filter(loses).map(title).collect(),
            None if declared => Vec::new(),
            None => presence.devices.iter().filter(candidate).filter(loses).map(title).collect(),
        };
        if !devices.is_empty() {
            cuts.push(Cut { path: path.clone(), devices });
        }
    }
    cuts
}

/// Who would lose what that is no guest of ours, a line per device.
#[must_use]
pub fn losses(blueprint: &Blueprint, (old, new): (&Policy, &Policy), presence: &Presence) -> Vec<String> {
    const SHOWN: usize = 10;
    let own = member_tags(blueprint);
    let mut ports: BTreeSet<u16> = [22, 443, 8006, WITNESS].into();
    ports.extend(old.rules.iter().flatten().flat_map(|rule| &rule.dst).flat_map(|(_, ports)| numbers(ports)));
    let guest = |device: &TailnetDevice| device.tags.iter().any(|tag| own.contains(tag));
    let mut lines = Vec::new();
    for from in &presence.devices {
        let lost: Vec<&str> = presence
            .devices
            .iter()
            .filter(|to| to.id != from.id && !guest(to))
            .filter(|to| {
                ports.iter().any(|port| {
                    [Transport::Tcp, Transport::Udp].into_iter().any(|transport| {
                        let reaches = |policy: &Policy| policy.lets_device(from, Place::Device(to), (transport, *port));
                        reaches(old) && !reaches(new)
                    })
                })
            })
            .map(|to| to.hostname.as_str())
            .collect();
        if let Some((shown, rest)) = lost.split_at_checked(lost.len().min(SHOWN)).filter(|_| !lost.is_empty()) {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            lines.push(format!(
                "{} does not reach {}{more} any more, or not on every port",
                title(from),
                shown.join(", ")
            ));
        }
    }
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.truncate(SHOWN);
        lines.push(format!("{more} more devices lose access to others"));
    }
    lines
}

impl Policy {
    /// Whether a device gets through, as far as the policy says who is meant.
    fn lets_device(&self, from: &TailnetDevice, to: Place<'_>, (transport, port): (Transport, u16)) -> bool {
        let Some(rules) = &self.rules else { return true };
        let lets = |rule: &&Rule| {
            rule.src.iter().any(|src| self.means(src, from, Side::From))
                && rule.dst.iter().any(|(dst, ports)| {
                    let packet = Packet { from: "", to: "", transport, port };
                    self.reaches_place(dst, from, to) && port_matches(rule, ports, &packet)
                })
        };
        rules.iter().any(|rule| lets(&rule))
    }

    /// Whether a selector means this very device.
    fn means(&self, selector: &str, device: &TailnetDevice, side: Side) -> bool {
        if ["*", "autogroup:danger-all"].contains(&selector) {
            return true;
        }
        let networks = self.networks(selector);
        if networks.is_empty() {
            return identities(device).any(|identity| self.covers(selector, identity, side));
        }
        let own = device.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
        own.into_iter().any(|address| networks.iter().any(|network| network.contains(&address)))
    }

    fn reaches_place(&self, dst: &str, from: &TailnetDevice, to: Place<'_>) -> bool {
        match to {
            Place::Device(to) if dst == "autogroup:self" => {
                from.tags.is_empty() && to.tags.is_empty() && from.user == to.user
            }
            Place::Device(to) => self.means(dst, to, Side::To),
            Place::Address(address) => {
                ["*", "autogroup:danger-all"].contains(&dst)
                    || self.networks(dst).iter().any(|network| network.contains(&address))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing;
    use crate::tailnet::{edit, wanted};

    const ALL: &str = r#"{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}"#;

    fn device(hostname: &str, tags: &[&str], user: &str, number: u8) -> TailnetDevice {
        TailnetDevice {
            id: hostname.to_owned(),
            hostname: hostname.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            user: user.to_owned(),
            addresses: vec![format!("100.64.0.{number}")],
            ..TailnetDevice::default()
        }
    }

    fn blueprint(address: &str, more: &str) -> Blueprint {
        testing::with(&format!(
            "hosts: {{ hq: {{ address: {address} }} }}\ntailnet: {{ key: secret:t, members: [proj-x]{more} }}"
        ))
    }

    fn there(routes: &[&str]) -> Presence {
        let mut router = device("router", &["tag:router"], "", 4);
        router.routes = routes.iter().map(|route| (*route).to_owned()).collect();
        Presence::of(&[
            device("hq", &[], "ann@example.com", 1),
            device("laptop", &[], "ann@example.com", 2),
            device("nas", &["tag:nas"], "", 3),
            router,
        ])
    }

    /// Devices that would lose each path by our section alone.
    fn cut(blueprint: &Blueprint, presence: &Presence, from: Option<&str>) -> Vec<Vec<String>> {
        let operators = from.map(|from| ("hq".parse().unwrap(), from.parse().unwrap())).into_iter().collect();
        let section = wanted(blueprint, &Policy::default(), presence);
        let new = Policy::read(&edit("{}", "test", &section).unwrap()).unwrap();
        let paths = paths(blueprint, presence, &operators);
        let cuts = cuts(blueprint, (&Policy::read(ALL).unwrap(), &new), presence, &paths);
        cuts.into_iter().map(|cut| cut.devices).collect()
    }

    #[test]
    fn an_operator_who_comes_over_the_tailnet_is_not_cut_off_unseen() {
        let laptop = vec![vec!["laptop (ann@example.com)".to_owned()]];
        for (address, from) in [("100.64.0.1", "100.64.0.2"), ("192.168.10.2", "100.64.0.2")] {
            assert_eq!(cut(&blueprint(address, ""), &there(&[]), Some(from)), laptop, "{address}");
            // Nobody's word makes it safe to cut the way that we come.
            assert_eq!(cut(&blueprint(address, ", operators: []"), &there(&[]), Some(from)), laptop, "{address}");
            let kept = blueprint(address, ", operators: [ann@example.com]");
            assert!(cut(&kept, &there(&[]), Some(from)).is_empty(), "{address}");
            let other = blueprint(address, ", operators: [bob@example.com]");
            assert_eq!(cut(&other, &there(&[]), Some(from)), laptop, "{address}");
        }
        assert!(cut(&blueprint("192.168.10.2", ""), &there(&[]), Some("192.168.10.9")).is_empty());
    }

    #[test]
    fn a_host_that_is_reached_by_its_name_or_address_in_the_tailnet_keeps_its_operators() {
        // Not known from where: each device that reached it counts, until the inventory says who does.
        for address in ["100.64.0.1", "hq.tail1234.ts.net"] {
            assert_eq!(cut(&blueprint(address, ""), &there(&[]), None).len(), 1, "{address}");
            assert!(cut(&blueprint(address, ", operators: []"), &there(&[]), None).is_empty(), "{address}");
        }
    }

    #[test]
    fn a_host_behind_a_subnet_router_keeps_its_operators() {
        let lan = there(&["192.168.10.0/24", "0.0.0.0/0"]);
        assert_eq!(cut(&blueprint("192.168.10.2", ""), &lan, Some("192.168.10.4")).len(), 1);
        assert!(cut(&blueprint("192.168.10.2", ", operators: ['autogroup:admin']"), &lan, None).is_empty());
        assert!(cut(&blueprint("192.168.10.2", ""), &there(&["0.0.0.0/0"]), None).is_empty(), "an exit node is no way");
    }

    #[test]
    fn who_loses_access_to_what_is_told_by_device() {
        let presence = there(&[]);
        let section = wanted(&blueprint("192.168.10.2", ""), &Policy::default(), &presence);
        let new = Policy::read(&edit("{}", "test", &section).unwrap()).unwrap();
        let old = Policy::read(ALL).unwrap();
        let lines = losses(&blueprint("192.168.10.2", ""), (&old, &new), &presence);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[1].starts_with("laptop (ann@example.com) does not reach hq, nas, router"), "{lines:?}");
        assert!(losses(&blueprint("192.168.10.2", ""), (&new, &new), &presence).is_empty());
    }
}
