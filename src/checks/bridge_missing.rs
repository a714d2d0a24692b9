//! The bridge of the guests is there and on.

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "bridge-missing",
    area: Area::Network,
    severity: Severity::Fail,
    title: "the bridge that the inventory names is there and on",
    needs: &["ip -j -d link"],
    why: "A guest whose bridge is not there is made without a word and does not start (`bridge 'vmbr1' does not exist`). A \
          bridge can be configured and not applied: then it stands in the UI and not in the kernel. Network \
          cards get other names when a card is added or a kernel changes its mind; the bridge is then there without its \
          card (`pve-network-interface-pinning` holds names still).",
    fix: "Make it in the UI (Node, Network) or in `/etc/network/interfaces`, and apply with `ifreload -a`.",
    mend: None,
    sources: &["pve-common PVE/Network.pm", "pve-docs pve-network.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let guests: Vec<_> = subject.guests().map(addr).collect();
    if guests.is_empty() {
        return Err(NotRun::skipped("the inventory places no guest on this host"));
    }
    let bridge = subject.host.network.bridge.as_str();
    let links = all(&subject.machine().links)?;
    let source = format!("ip -d link show {bridge}");
    let finding = match links.get(bridge) {
        None => {
            let bridges: Vec<&str> =
                links.0.iter().filter(|link| is_bridge(link.kind.as_deref())).map(|link| link.name.as_str()).collect();
            let bridges = if bridges.is_empty() { "none".to_owned() } else { bridges.join(", ") };
            let finding = Finding::fail(format!("there is no `{bridge}`: guests would not start"))
                .seen(source, format!("does not exist; bridges are: {bridges}"))
                .fix(Fix::by_hand(format!(
                    "make `{bridge}` in the UI or in /etc/network/interfaces, then `ifreload -a`"
                )));
            finding.fix(Fix::edit(format!("hosts.{}.network.bridge", subject.host.name), bridges))
        }
        Some(link) if !is_bridge(link.kind.as_deref()) => Finding::fail(format!("`{bridge}` is no bridge"))
            .seen(source, format!("kind: {}", link.kind.as_deref().unwrap_or("a network card")))
            .fix(Fix::edit(format!("hosts.{}.network.bridge", subject.host.name), "the name of a bridge")),
        Some(link) if !link.up => Finding::warn(format!("`{bridge}` is off: guests would reach nothing"))
            .seen(source, "not UP")
            .fix(Fix::run(format!("ifup {bridge}"))),
        Some(_) => {
            let ports: Vec<&str> = links.ports(bridge).map(|port| port.name.as_str()).collect();
            let ports = if ports.is_empty() { "no ports".to_owned() } else { format!("ports: {}", ports.join(", ")) };
            Finding::pass(format!("`{bridge}` is there and on")).seen(source, ports)
        }
    };
    Ok(vec![finding.concerns(guests)])
}

/// Whether PVE takes an interface of this kind for a bridge.
fn is_bridge(kind: Option<&str>) -> bool {
    matches!(kind, Some("bridge" | "openvswitch"))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, link, links};
    use super::*;

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(links(&[link("vmbr0", Some("bridge"))]).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(links(&[link("vmbr0", Some("openvswitch"))]).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(links(&[link("vmbr1", Some("bridge"))]).verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(links(&[link("vmbr0", None)]).verdicts(&CHECK), [Verdict::Fail]);
        let mut off = link("vmbr0", Some("bridge"));
        off.up = false;
        assert_eq!(links(&[off]).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
