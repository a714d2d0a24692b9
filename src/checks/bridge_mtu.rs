//! The bridge and its ports agree on the size of packets.

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "bridge-mtu",
    area: Area::Network,
    severity: Severity::Warn,
    title: "the bridge and its ports agree on the size of packets",
    needs: &["ip -j -d link"],
    why: "PVE gives a guest's interface the MTU of its bridge. A network card with a smaller one drops what is larger, so that \
          small requests work and transfers hang. Below 1500, containers inside the guest suffer the same: Docker's own \
          networks have 1500 unless told otherwise. Below 1280 there is no IPv6.",
    fix: "Set `mtu` alike for the bridge and its ports in `/etc/network/interfaces`, as the switch has it, then `ifreload -a`. \
          Where the network needs less than 1500, give Docker the same: `\"mtu\"` in `/etc/docker/daemon.json`.",
    mend: None,
    sources: &["pve-common PVE/Network.pm (read_bridge_mtu)", "pve-docs pve-network.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let bridge = subject.host.network.bridge.as_str();
    let links = all(&subject.machine().links)?;
    let Some(link) = links.get(bridge) else {
        return Err(NotRun::blind(format!("there is no `{bridge}`: see `bridge-missing`")));
    };
    let source = format!("ip link show {bridge}");
    let physical =
        links.ports(bridge).filter(|port| matches!(port.kind.as_deref(), None | Some("bond" | "vlan" | "team")));
    let smaller = physical.filter(|port| port.mtu < link.mtu).min_by_key(|port| port.mtu);
    let finding = if let Some(port) = smaller {
        Finding::warn(format!("its port {} drops packets that the bridge lets guests send", port.name))
            .seen(source, format!("mtu {}", link.mtu))
            .seen(format!("ip link show {}", port.name), format!("mtu {}", port.mtu))
            .fix(Fix::by_hand(format!(
                "set `mtu {}` for {bridge}, or as much as the bridge for {}",
                port.mtu, port.name
            )))
    } else if link.mtu < 1280 {
        Finding::warn("its packets are too small for IPv6")
            .seen(source, format!("mtu {}", link.mtu))
            .fix(Fix::by_hand(format!("set `mtu 1500` for {bridge} and its ports")))
    } else if link.mtu < 1500 {
        Finding::warn("its packets are smaller than Docker's networks take for granted")
            .seen(source, format!("mtu {}", link.mtu))
            .fix(Fix::by_hand(format!("give Docker `\"mtu\": {}` in /etc/docker/daemon.json of the guests", link.mtu)))
    } else {
        Finding::pass(format!("packets of {} bytes", link.mtu)).seen(source, format!("mtu {}", link.mtu))
    };
    Ok(vec![finding.concerns(subject.guests().map(addr))])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, link, links};
    use super::*;
    use crate::model::machine::Link;

    fn verdict(bridge: u32, port: u32, kind: Option<&str>) -> Verdict {
        let port = Link { master: Some("vmbr0".into()), mtu: port, ..link("nic0", kind) };
        links(&[Link { mtu: bridge, ..link("vmbr0", Some("bridge")) }, port]).verdicts(&CHECK)[0]
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(verdict(1500, 1500, None), Verdict::Pass);
        assert_eq!(verdict(9000, 9000, None), Verdict::Pass);
        assert_eq!(verdict(9000, 1500, None), Verdict::Warn);
        assert_eq!(verdict(9000, 1500, Some("veth")), Verdict::Pass);
        assert_eq!(verdict(1450, 1500, None), Verdict::Warn);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
