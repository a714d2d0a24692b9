//! The bridge can carry the VLAN that the inventory asks for.

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "bridge-vlan",
    area: Area::Network,
    severity: Severity::Fail,
    title: "the bridge can carry the guests' VLAN",
    needs: &["ip -j -d link", "inventory: network.vlan"],
    why: "For a tagged guest on a bridge that does not tell VLANs apart PVE makes a second bridge (`vmbr0v20`) over a VLAN \
          interface of its network card, when the guest starts. That works, but nothing shows it in the configuration, and \
          a bridge without a network card has nothing to make it of: the start ends with `no physical interface on bridge \
          'vmbr0'`.",
    fix: "`bridge-vlan-aware yes` and `bridge-vids 2-4094` in the bridge's part of `/etc/network/interfaces`, then \
          `ifreload -a`. Running guests keep their place until their next start.",
    mend: None,
    sources: &[
        "pve-common PVE/Network.pm (activate_bridge_vlan)",
        "pve-common PVE/IPRoute2.pm",
        "pve-docs pve-network.adoc",
    ],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let Some(vlan) = subject.host.network.vlan else {
        return Err(NotRun::skipped("the inventory puts the guests of this host into no VLAN"));
    };
    let bridge = subject.host.network.bridge.as_str();
    let links = all(&subject.machine().links)?;
    let Some(link) = links.get(bridge) else {
        return Err(NotRun::blind(format!("there is no `{bridge}`: see `bridge-missing`")));
    };
    let source = format!("ip -d link show {bridge}");
    let aware =
        || Fix::by_hand(format!("`bridge-vlan-aware yes` for {bridge} in /etc/network/interfaces, then `ifreload -a`"));
    let finding = match (link.kind.as_deref(), link.vlan_aware) {
        (Some("openvswitch"), _) => Finding::pass("Open vSwitch tags by itself").seen(source, "openvswitch"),
        (_, Some(true)) => Finding::pass(format!("it carries VLAN {vlan}")).seen(source, "vlan_filtering 1"),
        (_, None) => Finding::blind(format!("`ip` does not say whether {bridge} tells VLANs apart")),
        (_, Some(false)) => {
            // A guest's own interfaces are ports as well; PVE builds on network cards and bonds only.
            let card =
                links.ports(bridge).find(|port| matches!(port.kind.as_deref(), None | Some("bond" | "vlan" | "team")));
            match card {
                None => Finding::fail(format!(
                    "it does not tell VLANs apart and has no network card: guests in VLAN {vlan} do not start"
                ))
                .seen(source, "vlan_filtering 0, no network card among its ports")
                .fix(aware()),
                Some(card) => {
                    Finding::warn(format!("it does not tell VLANs apart: Proxmox makes `{bridge}v{vlan}` beside it"))
                        .seen(source, format!("vlan_filtering 0, port {}", card.name))
                        .fix(aware())
                }
            }
        }
    };
    Ok(vec![finding.concerns(subject.guests().map(addr))])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{link, links};
    use super::*;
    use crate::model::machine::Link;

    fn verdict(aware: Option<bool>, ports: &[Link], vlan: Option<u16>) -> Verdict {
        let bridge = Link { vlan_aware: aware, ..link("vmbr0", Some("bridge")) };
        let mut scene = links(&[&[bridge], ports].concat());
        scene.blueprint.hosts.values_mut().next().unwrap().network.vlan = vlan;
        scene.verdicts(&CHECK)[0]
    }

    #[test]
    fn right_wrong_and_unknown() {
        let port = |kind| Link { master: Some("vmbr0".into()), ..link("p", kind) };
        assert_eq!(verdict(Some(true), &[], Some(20)), Verdict::Pass);
        assert_eq!(verdict(Some(false), &[port(None)], Some(20)), Verdict::Warn);
        assert_eq!(verdict(Some(false), &[port(Some("veth"))], Some(20)), Verdict::Fail);
        assert_eq!(verdict(None, &[], Some(20)), Verdict::CouldNotRun);
        assert_eq!(verdict(Some(false), &[], None), Verdict::Skipped);
    }
}
