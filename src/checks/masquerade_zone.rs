//! Guests whose addresses the host translates keep their way out when their firewall is on.

use std::net::IpAddr;

use ipnet::IpNet;

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::{Addr, Kind};

/// See its texts.
pub const CHECK: Check = Check {
    id: "masquerade-zone",
    area: Area::Network,
    severity: Severity::Fail,
    title: "guests behind address translation keep their way out when their firewall is on",
    needs: &["iptables-save -t nat", "iptables-save -t raw", "/etc/network/interfaces"],
    why: "The firewall puts a bridge (`fwbr104i0`) before each card of a guest, and a packet is tracked there first: its \
          connection passes `POSTROUTING` of that bridge, where no rule translates it, and is none that is new when the \
          host routes it. Then `MASQUERADE` is not asked any more, and it leaves with its private address: guests lose \
          their internet the moment their firewall is switched on, and nothing logs it. Proxmox's documentation: \"In \
          some masquerade setups with firewall enabled, conntrack zones might be needed for outgoing connections.\" \
          Rules that nftables has in tables of their own are not seen here.",
    fix: "Give the firewall's bridges a zone of their own, now and at boot (`post-up` and `post-down` of the bridge in \
          `/etc/network/interfaces`).",
    mend: None,
    sources: &["pve-docs pve-network.adoc, Masquerading (NAT) with iptables", "measured on Linux 6.18"],
    judge,
};

/// As Proxmox's documentation has it.
const RULE: &str = "-i fwbr+ -j CT --zone 1";

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let guests: Vec<_> = subject.guests().filter(|guest| guest.firewall.enabled).collect();
    if guests.is_empty() {
        return Err(NotRun::skipped("no guest of this host has a firewall"));
    }
    let seen = all(&subject.machine().translation)?;
    let subnet = subject.host.network.subnet;
    let about = |rules: &[String]| rules.iter().filter_map(|rule| Some((certain(rule, subnet)?, rule.clone()))).max();
    let Some((certain, rule)) = about(&seen.rules).max(about(&seen.configured_rules)) else {
        let seen = "no MASQUERADE and no SNAT of the guests' network";
        return Ok(vec![Finding::pass("the host translates no guest's address").seen("iptables-save -t nat", seen)]);
    };
    let (in_force, at_boot) = (!seen.zones.is_empty(), !seen.configured_zones.is_empty());
    if in_force && (at_boot || seen.configured_rules.is_empty()) {
        let zone = &seen.zones[0];
        return Ok(vec![Finding::pass("the firewall's bridges have a zone of their own").seen("raw", zone)]);
    }
    let finding = match (in_force, at_boot) {
        (true, _) => Finding::warn(
            "the zone of the firewall's bridges is gone after the next boot, and guests lose their internet then",
        ),
        (false, _) if certain => Finding::fail(
            "the host translates guests' addresses, and they lose their internet once their firewall is on",
        ),
        (false, _) => {
            Finding::warn("the host translates addresses, and guests may lose their internet once their firewall is on")
        }
    };
    // What switches it on, and what sets it where it is on already.
    let firewalls = guests.iter().map(|guest| Addr::new(Kind::GuestFirewall, &guest.name));
    let finding = finding
        .seen("MASQUERADE or SNAT", rule)
        .concerns(firewalls.chain([Addr::new(Kind::DatacenterFirewall, &subject.host.site)]))
        .fix(Fix::run(format!("iptables -t raw -I PREROUTING {RULE}")))
        .fix(Fix::by_hand(format!(
            "in `/etc/network/interfaces`, at the guests' bridge: `post-up iptables -t raw -I PREROUTING {RULE}` and \
             `post-down iptables -t raw -D PREROUTING {RULE}`"
        )));
    Ok(vec![finding])
}

/// Whether a rule is about guests: surely, if it names their network; perhaps, if it names none. What looks at a mark is
/// another program's own (tailscaled), and about what that has marked.
fn certain(rule: &str, subnet: IpNet) -> Option<bool> {
    let words: Vec<&str> = rule.split_whitespace().map(|word| word.trim_matches(['\'', '"'])).collect();
    if words.contains(&"--mark") {
        return None;
    }
    let source = words.windows(2).find(|pair| matches!(pair[0], "-s" | "--source" | "--src")).map(|pair| pair[1]);
    let network = |text: &str| text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    match source.map(network) {
        None | Some(None) => Some(false),
        Some(Some(network)) => (network.contains(&subnet) || subnet.contains(&network)).then_some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn a_host_that_masquerades_guests_without_a_zone_is_warned_of() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().translation).rules = vec!["-A POSTROUTING -s 10.0.0.0/24 -j MASQUERADE".into()];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        assert!(scene.said(&CHECK).contains("iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1"));
        known(&mut scene.machine().translation).zones = vec![format!("-A PREROUTING {RULE}")];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass], "both are of this boot alone");
        let subnet = "10.0.0.0/24".parse().unwrap();
        assert_eq!(certain("-A POSTROUTING -o eno1 -j MASQUERADE", subnet), Some(false));
        assert_eq!(certain("-A POSTROUTING -s 10.9.0.0/24 -j MASQUERADE", subnet), None, "another network");
        assert_eq!(certain("-A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE", subnet), None);
        known(&mut scene.machine().translation).configured_rules =
            vec!["post-up iptables -s '10.0.0.0/8' -j MASQUERADE".into()];
        assert!(scene.said(&CHECK).contains("after the next boot"), "{}", scene.said(&CHECK));
        known(&mut scene.machine().translation).configured_zones = vec![format!("post-up … {RULE}")];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.machine().translation = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
