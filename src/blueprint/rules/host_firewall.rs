//! A host's firewall lets its operator in, and can be switched on under guard.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::blueprint::draft::{Draft, site};
use crate::diag::{Diagnostic, Diagnostics};

/// Reports a firewall that lets nobody or everybody in, one on a host without SSH, and hosts of one cluster that let
/// in others: the set of those who may manage is the datacenter's.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.host-firewall";
    let mut first: Vec<(&str, BTreeSet<IpNet>, crate::diag::Span)> = Vec::new();
    for named in draft.hosts() {
        let (name, host) = named;
        let Some(firewall) = &host.firewall else { continue };
        if host.ssh.is_none() && !draft.broken.key(host.span, "ssh") {
            report.push(
                Diagnostic::error(CODE, format!("the firewall of host `{}` needs SSH to it", name.value))
                    .cause("what can cut our own path is made only under a revert that the host keeps itself")
                    .at(firewall.span, "")
                    .related(name.span, "has no `ssh`")
                    .hint("give the host `ssh: { user: root, host_key: … }`"),
            );
        }
        for port in firewall.ports.iter().flatten().filter(|port| port.value == 0) {
            report.push(Diagnostic::error(CODE, "0 is no port").at(port.span, "").hint("ports are 1 to 65535"));
        }
        let Some(allow_from) = &firewall.allow_from else { continue };
        if allow_from.is_empty() {
            report.push(
                Diagnostic::error(CODE, format!("nobody could manage host `{}` any more", name.value))
                    .at(firewall.span, "`allow_from` is empty")
                    .hint("name the network or the address that you work from"),
            );
        }
        if let Some(all) = allow_from.iter().find(|origin| origin.value.0.prefix_len() == 0) {
            report.push(
                Diagnostic::warning(CODE, format!("everybody may manage host `{}`", name.value))
                    .at(all.span, "")
                    .hint("name the network or the address that you work from"),
            );
        }
        let origins: BTreeSet<IpNet> = allow_from.iter().map(|origin| origin.value.0).collect();
        match first.iter().find(|(known, ..)| *known == site(named)) {
            Some((cluster, others, span)) if *others != origins => report.push(
                Diagnostic::error(
                    CODE,
                    format!("hosts of cluster `{cluster}` are to be managed from different places"),
                )
                .cause("the set `management` is one for the whole datacenter")
                .at(firewall.span, "")
                .related(*span, "another `allow_from`")
                .hint("give all of them the same `allow_from`"),
            ),
            Some(_) => {}
            None => first.push((site(named), origins, firewall.span)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{HOST, codes};

    #[test]
    fn host_firewall() {
        let own = "inventory.host-firewall";
        let with = |firewall: &str| codes(&format!("hosts: {{ hq: {{ firewall: {{ {firewall} }} }} }}"));
        assert_eq!(with("allow_from: [203.0.113.0/24, 203.0.113.7, \"2001:db8::/32\"]"), [""; 0]);
        assert_eq!(with("allow_from: []"), [own]);
        assert_eq!(with("allow_from: [0.0.0.0/0]"), [own]);
        assert_eq!(with("rules: []"), ["inventory.required"]);
        assert_eq!(with("allow_from: [10.0.0.1], ports: [2222]"), [""; 0]);
        assert_eq!(with("allow_from: [10.0.0.1], ports: [0]"), [own]);
        assert_eq!(with("allow_from: [10.0.0.1], rules: [{ action: accept, ports: 22 }]"), ["inventory.firewall-rule"]);
        let ssh = codes("hosts: { hq: { ssh: null, firewall: { allow_from: [10.0.0.1] } } }");
        assert!(ssh.contains(&own), "{ssh:?}");
        let two = |other: &str| {
            codes(&format!(
                "hosts: {{ hq: {{ cluster: c, firewall: {{ allow_from: [10.0.0.1] }} }}, \
                 b: {{ address: 192.168.10.3, cluster: c, firewall: {{ allow_from: [{other}] }}, {HOST} }} }}"
            ))
        };
        assert_eq!(two("10.0.0.1"), [""; 0]);
        assert_eq!(two("10.0.0.2"), [own]);
    }

    #[test]
    fn how_a_host_is_reached_from_here_does_not_change_what_it_opens() {
        let ports = |ssh: &str, more: &str| {
            let over = format!(
                "hosts: {{ hq: {{ api: {{ {ssh} }}, ssh: {{ {ssh} }}, firewall: {{ allow_from: [10.0.0.1]{more} }} }} }}"
            );
            let blueprint = crate::blueprint::testing::with(&over);
            blueprint.hosts.into_values().find_map(|host| host.firewall).unwrap().ports.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(ports("port: 2222", ""), [443, 2222]);
        assert_eq!(ports("host: 127.0.0.1, port: 41234", ""), [443], "a tunnel's end is no port of the host");
        assert_eq!(ports("host: 127.0.0.1, port: 41234", ", ports: [2222]"), [443, 2222]);
        assert_eq!(ports("port: 2222", ", ports: []"), [443]);
    }
}
