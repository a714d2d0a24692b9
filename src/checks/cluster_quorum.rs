//! The cluster may write.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "cluster-quorum",
    area: Area::Access,
    severity: Severity::Fail,
    title: "the cluster has quorum and its nodes are online",
    needs: &["GET /cluster/status"],
    why: "Without quorum `/etc/pve` is read-only: PVE refuses every change (`cluster not ready - no quorum?`) and starts no \
          guest. With a node offline but quorum left, changes work, and one failure more may end that. A single host is \
          always quorate.",
    fix: "Look at `pvecm status` and `systemctl status corosync`, and bring the missing nodes back. `pvecm expected 1` \
          makes a rest of two nodes write again; do it only while you know that the other one is off.",
    mend: None,
    sources: &["pve-cluster PVE/Cluster.pm", "pve-docs pvecm.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let site = subject.site();
    let (quorate, nodes) = (*all(&site.quorate)?, all(&site.nodes)?);
    let off: Vec<String> = nodes.iter().filter(|(_, online)| !**online).map(|(node, _)| node.to_string()).collect();
    let text = if off.is_empty() { "all nodes online".to_owned() } else { format!("offline: {}", off.join(", ")) };
    let finding = if !quorate {
        Finding::fail("the cluster has no quorum: nothing can be changed")
            .seen("pvecm status", format!("Quorate: No; {text}"))
            .fix(Fix::run("pvecm status"))
    } else if !off.is_empty() {
        Finding::warn("a node of the cluster is offline").seen("pvecm status", text).fix(Fix::run("pvecm status"))
    } else if nodes.len() < 2 {
        Finding::pass("it is a host alone").seen("GET /cluster/status", text)
    } else {
        Finding::pass("quorate").seen("GET /cluster/status", text)
    };
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::Fact;

    #[test]
    fn right_wrong_and_unknown() {
        let of = |quorate, nodes: &[(&str, bool)]| {
            let mut scene = Scene::new();
            scene.site().quorate = Fact::complete(quorate);
            scene.site().nodes = Fact::complete(nodes.iter().map(|(node, on)| (node.parse().unwrap(), *on)).collect());
            scene.verdicts(&CHECK)
        };
        assert_eq!(of(true, &[("hq", true)]), [Verdict::Pass]);
        assert_eq!(of(true, &[("hq", true), ("b", true), ("c", false)]), [Verdict::Warn]);
        assert_eq!(of(false, &[("hq", true), ("b", false)]), [Verdict::Fail]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
