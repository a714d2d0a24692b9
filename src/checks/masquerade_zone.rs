//! Guests whose addresses the host translates keep their way out when their firewall is on.

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "masquerade-zone",
    area: Area::Network,
    severity: Severity::Warn,
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
    sources: &["pve-docs pve-network.adoc, Masquerading (NAT) with iptables"],
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
    let now = seen.rules.iter().chain(&seen.configured_rules).next();
    let Some(rule) = now else {
        return Ok(vec![
            Finding::pass("the host translates nobody's address")
                .seen("iptables-save -t nat", "no MASQUERADE, no SNAT"),
        ]);
    };
    let (in_force, at_boot) = (!seen.zones.is_empty(), !seen.configured_zones.is_empty());
    if in_force && (at_boot || seen.configured_rules.is_empty()) {
        return Ok(vec![
            Finding::pass("the firewall's bridges have a zone of their own")
                .seen("iptables-save -t raw", &seen.zones[0]),
        ]);
    }
    let what = match (in_force, at_boot) {
        (true, _) => {
            "the zone of the firewall's bridges is gone after the next boot, and guests may lose their internet then"
        }
        (false, true) => {
            "the zone of the firewall's bridges is not set until the next boot, and guests may lose their internet until then"
        }
        (false, false) => "the host translates addresses, and guests may lose their internet once their firewall is on",
    };
    let finding = Finding::warn(what)
        .seen("MASQUERADE or SNAT", rule)
        .concerns(guests.iter().map(|guest| addr(guest)))
        .fix(Fix::run(format!("iptables -t raw -I PREROUTING {RULE}")))
        .fix(Fix::by_hand(format!("in `/etc/network/interfaces`, at the guests' bridge: `post-up iptables -t raw -I PREROUTING {RULE}` and `post-down iptables -t raw -D PREROUTING {RULE}`")));
    Ok(vec![finding])
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
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1"));
        known(&mut scene.machine().translation).zones = vec![format!("-A PREROUTING {RULE}")];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass], "both are of this boot alone");
        known(&mut scene.machine().translation).configured_rules = vec!["post-up … -j MASQUERADE".into()];
        assert!(scene.said(&CHECK).contains("after the next boot"), "{}", scene.said(&CHECK));
        known(&mut scene.machine().translation).configured_zones = vec![format!("post-up … {RULE}")];
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.machine().translation = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
