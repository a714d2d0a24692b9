//! A rule of a firewall file, read once into what it asks of a packet.
//!
//! Follows `verify_rule`, `$apply_macro` and `ipt_rule_to_cmds` of pve-firewall: a rule in which Proxmox finds a fault
//! is left out of the firewall without a word, so it is left out here as well, and said.

use super::address::Version;
use super::chain::When;
use super::macros;
use super::protocol::{self, Payload};
use super::tables::{Fault, Scope, Where};
use crate::blueprint::Verdict;
use crate::model::observed::FirewallRule;

/// Which traffic a list of rules is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// What comes in to a guest or host.
    In,
    /// What goes out of it.
    Out,
}

/// Where a rule stands: what it may say depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `N.fw` of a guest.
    Guest,
    /// A security group.
    Group,
    /// `cluster.fw` or `host.fw`.
    Host,
}

/// What a rule is about.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// It decides about packets of one direction.
    Packets { direction: Direction, verdict: Verdict, iface: Option<String>, when: Vec<When> },
    /// It stands for the rules of a group, in either direction.
    Group { name: String, iface: Option<String> },
    /// It is about forwarded traffic, which only the nftables variant of 9.x enforces.
    Forward,
    /// Somebody switched it off.
    Off,
}

fn skipped<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Skipped(why.into()))
}

/// The words of one part of a rule: its own, or those of one part of its macro.
struct Words<'a> {
    proto: Option<&'a str>,
    dport: Option<&'a str>,
    sport: Option<&'a str>,
    icmp_type: Option<&'a str>,
}

/// Reads a rule for one IP version; `when` is empty if it is about the other one.
pub(super) fn read(rule: &FirewallRule, place: Place, scope: Scope<'_>, version: Version) -> Result<Rule, Fault> {
    let get = |name: &str| rule.0.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if get("enable").is_none_or(|enable| enable == "0") {
        return Ok(Rule::Off);
    }
    let action = get("action").unwrap_or_default();
    let iface = get("iface").map(str::to_owned);
    match (&iface, place) {
        (Some(_), Place::Group) => return skipped("a rule of a group names an interface"),
        (Some(name), Place::Guest)
            if !name
                .strip_prefix("net")
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            return skipped(format!("interface `{name}` is none of a guest's"));
        }
        _ => {}
    }
    let direction = match get("type").unwrap_or_default() {
        "in" => Direction::In,
        "out" => Direction::Out,
        "group" if place == Place::Group => return skipped("a group stands in a group"),
        "group" => return Ok(Rule::Group { name: action.to_owned(), iface }),
        "forward" if place == Place::Guest => return skipped("a guest has no rules for forwarded traffic"),
        "forward" => return Ok(Rule::Forward),
        other => return skipped(format!("`{other}` is no type of rule")),
    };
    let verdict = match action {
        "ACCEPT" => Verdict::Accept,
        "DROP" => Verdict::Drop,
        "REJECT" => Verdict::Reject,
        other => return skipped(format!("`{other}` is no action")),
    };
    let own = Words { proto: get("proto"), dport: get("dport"), sport: get("sport"), icmp_type: get("icmp-type") };
    let mut about = own.check()?;
    let source = get("source").map(|text| scope.resolve(text)).transpose()?;
    let dest = get("dest").map(|text| scope.resolve(text)).transpose()?;
    for place in [&source, &dest].into_iter().flatten() {
        if let Where::Addresses(list) = place {
            if about.is_some_and(|about| about != list.version()) {
                return skipped("IPv4 and IPv6 stand in one rule");
            }
            about = Some(list.version());
        }
    }
    let words = match get("macro") {
        None => vec![own],
        Some(name) => {
            let parts = macros::parts(name, about.unwrap_or(version));
            own.with(parts.ok_or_else(|| Fault::Skipped(format!("`{name}` is no macro")))?)?
        }
    };
    let mut when = Vec::new();
    if about.is_none_or(|about| about == version) {
        for words in words {
            let mut one = words.read(version)?;
            one.source.clone_from(&source);
            one.dest.clone_from(&dest);
            when.push(one);
        }
    }
    Ok(Rule::Packets { direction, verdict, iface, when })
}

impl<'a> Words<'a> {
    /// What Proxmox finds wrong in them; else the IP version that they are about, if they tell.
    fn check(&self) -> Result<Option<Version>, Fault> {
        let Some(proto) = self.proto else {
            return match (self.dport, self.sport, self.icmp_type) {
                (None, None, None) => Ok(None),
                _ => skipped("a rule names ports and no protocol"),
            };
        };
        protocol::protocol(proto).map_err(Fault::Skipped)?;
        let icmp = protocol::is_icmp(proto);
        if (self.dport.is_some() && !protocol::has_ports(proto) && !icmp)
            || (self.sport.is_some() && !protocol::has_ports(proto))
        {
            return skipped(format!("protocol `{proto}` has no ports"));
        }
        let version = icmp.then_some(if proto == "icmp" { Version::V4 } else { Version::V6 });
        if let Some(kind) = self.icmp_type {
            match version {
                None => return skipped(format!("protocol `{proto}` has no ICMP types")),
                Some(_) if self.dport.is_some() => return skipped("an ICMP type stands beside a port"),
                Some(_) if kind.bytes().all(|byte| byte.is_ascii_digit()) => {
                    return skipped("an ICMP type is a number, which Proxmox does not take here");
                }
                Some(version) => {
                    protocol::icmp_kind(kind, version).map_err(Fault::Skipped)?;
                }
            }
        }
        if let Some(dport) = self.dport {
            let known = |version| protocol::icmp_kind(dport, version).is_ok();
            if !(icmp && (known(Version::V4) || known(Version::V6))) {
                protocol::ports(dport).map_err(Fault::Skipped)?;
            }
        }
        if let Some(sport) = self.sport {
            protocol::ports(sport).map_err(Fault::Skipped)?;
        }
        Ok(version)
    }

    /// One per part of a macro. What both say must be the same.
    fn with(&self, parts: &'static [macros::Part]) -> Result<Vec<Words<'a>>, Fault> {
        let both = |own: Option<&'a str>, part: &'static str, what: &str| -> Result<Option<&'a str>, Fault> {
            match (own, part) {
                (own, "") => Ok(own),
                (None, part) => Ok(Some(part)),
                (Some(own), part) if own == part => Ok(Some(part)),
                (Some(own), part) => skipped(format!("{what} `{own}`, where the macro says `{part}`")),
            }
        };
        let one = |part: &macros::Part| {
            Ok(Words {
                proto: both(self.proto, part.proto, "protocol")?,
                dport: both(self.dport, part.dport, "port")?,
                sport: both(self.sport, part.sport, "source port")?,
                icmp_type: self.icmp_type,
            })
        };
        parts.iter().map(one).collect()
    }

    fn read(&self, version: Version) -> Result<When, Fault> {
        let mut when = When::default();
        let Some(proto) = self.proto else { return Ok(when) };
        // What was checked before and cannot be compiled now breaks off the whole list, if that is a group's.
        let broken = Fault::Breaks;
        when.protocol = Some(protocol::protocol(proto).map_err(broken)?);
        if protocol::is_icmp(proto) {
            let of = if proto == "icmp" { Version::V4 } else { Version::V6 };
            // An ICMP type used to be kept as a port. `ipv6-icmp` does not know of that.
            let port = self.dport.filter(|_| proto != "ipv6-icmp");
            if self.dport.is_some() && port.is_none() {
                return Err(Fault::Breaks(format!("protocol `{proto}` has no ports")));
            }
            if let Some(kind) = self.icmp_type.or(port) {
                when.icmp = protocol::icmp_kind(kind, of).map_err(broken)?;
            }
            if of != version {
                when.never = true;
            }
            return Ok(when);
        }
        when.dport = self.dport.map(protocol::ports).transpose().map_err(broken)?.unwrap_or_default();
        when.sport = self.sport.map(protocol::ports).transpose().map_err(broken)?.unwrap_or_default();
        Ok(when)
    }
}

/// Whether a payload is one that this part is about, but for its destination port.
pub(super) fn carries(when: &When, payload: Payload, version: Version) -> bool {
    if when.protocol.is_some_and(|protocol| protocol != payload.protocol(version)) {
        return false;
    }
    if !(when.dport.is_empty() && when.sport.is_empty()) {
        let Some((from, _)) = payload.ports() else { return false };
        if !lists(&when.sport, from) {
            return false;
        }
    }
    match (when.icmp, payload) {
        (None, _) => true,
        (Some((kind, code)), Payload::Icmp { kind: sent, code: detail }) => {
            kind == sent && code.is_none_or(|code| code == detail)
        }
        (Some(_), _) => false,
    }
}

/// Whether a list of ports names a port; one without any names all.
pub(super) fn lists(list: &protocol::Ports, port: u16) -> bool {
    list.is_empty() || list.iter().any(|(first, last)| (*first..=*last).contains(&port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolation::tables::Names;
    use crate::proxmox::firewall_file::read_guest;

    fn one(line: &str, place: Place, version: Version) -> Result<Rule, Fault> {
        let names = Names::default();
        let rules = read_guest(&format!("[RULES]\n{line}\n")).rules;
        read(&rules[0], place, Scope { datacenter: &names, own: None }, version)
    }

    fn parts(line: &str, version: Version) -> usize {
        match one(line, Place::Guest, version) {
            Ok(Rule::Packets { when, .. }) => when.len(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn macros_become_one_part_each_and_addresses_tell_the_version() {
        assert_eq!(parts("IN DNS(ACCEPT)", Version::V4), 2);
        assert_eq!(parts("IN DNS(ACCEPT) -source 10.0.0.1", Version::V6), 0);
        assert_eq!(parts("IN ACCEPT -p icmp", Version::V6), 0);
        assert_eq!(parts("IN Ping(ACCEPT)", Version::V6), 1);
        assert_eq!(parts("IN NeighborDiscovery(ACCEPT)", Version::V6), 4);
    }

    #[test]
    fn rules_that_proxmox_leaves_out_are_left_out() {
        for line in [
            "IN ACCEPT -dport 22",
            "IN ACCEPT -p icmp -sport 22",
            "IN SSH(ACCEPT) -p udp",
            "IN Nope(ACCEPT)",
            "IN ACCEPT -source nobody",
            "IN ACCEPT -source +nobody",
            "IN ACCEPT -source 10.0.0.1 -dest fe80::1",
            "IN ACCEPT -source 10.0.0.5/24",
            "IN ACCEPT -i eth0",
            "IN accept",
            "FORWARD ACCEPT",
        ] {
            assert!(matches!(one(line, Place::Guest, Version::V4), Err(Fault::Skipped(_))), "{line}");
        }
        assert!(matches!(one("IN ACCEPT -i net0", Place::Group, Version::V4), Err(Fault::Skipped(_))));
        assert!(matches!(one("|IN ACCEPT", Place::Guest, Version::V4), Ok(Rule::Off)));
        assert!(matches!(one("FORWARD ACCEPT", Place::Host, Version::V4), Ok(Rule::Forward)));
    }
}
