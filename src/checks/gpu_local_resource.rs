//! VMs with GPUs that may be moved have their GPU wherever they may go.

use std::collections::BTreeSet;

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::proxmox::options::Options;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-local-resource",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "VMs with GPUs that high availability looks after have their GPU on every node",
    needs: &["GET /cluster/status", "GET /cluster/mapping/pci", "/etc/pve/ha/resources.cfg"],
    why: "A running VM with a device cannot be moved, and a VM whose device is named by its address (not by a mapping) can \
          not be moved at all: it is a local resource. With a mapping it can be moved while it is off, but only to a node \
          that the mapping has a device on. High availability does not know: it starts the VM on another node when \
          one fails, and there it ends in an error state.",
    fix: "Give the mapping a device on every node that the VM may go to (declare the node and its GPU in the inventory), or \
          take the VM out of high availability: `ha-manager remove vm:ID`.",
    mend: None,
    sources: &["qemu-server QemuMigrate/Helpers.pm", "pve-docs ha-manager.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let vms: Vec<_> = subject.vms().filter(|(_, vm)| !vm.gpus.is_empty()).collect();
    if vms.is_empty() {
        return Err(NotRun::skipped("no GPU of this host is passed to a VM"));
    }
    let site = subject.site();
    let nodes = all(&site.nodes)?;
    if nodes.len() < 2 {
        return Err(NotRun::skipped("the host is in no cluster: nothing is moved"));
    }
    let available = &all(&subject.machine().guest_files)?.highly_available;
    let finding = |(guest, vm): (&crate::blueprint::Guest, &crate::blueprint::Vm)| {
        if !available.contains(&guest.vmid) {
            return Finding::pass("high availability does not look after it, so that nothing moves it by itself")
                .seen("/etc/pve/ha/resources.cfg", format!("no vm: {}", guest.vmid));
        }
        let Some(mappings) = site.mappings.value() else {
            return Finding::blind(site.mappings.why().unwrap_or_default());
        };
        let missing: BTreeSet<String> = vm
            .gpus
            .iter()
            .flat_map(|gpu| {
                let map =
                    mappings.iter().find(|(name, _)| name.as_str() == gpu.as_str()).map(|(_, mapping)| &mapping.map);
                let on: BTreeSet<String> = map
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| Options::parse(entry).get("node").map(str::to_owned))
                    .collect();
                let without =
                    move |node: &&crate::model::NodeName| !on.contains(node.as_str()) && **node != subject.host.node;
                nodes.keys().filter(without).map(move |node| format!("{gpu} on {node}"))
            })
            .collect();
        if missing.is_empty() {
            return Finding::pass("its mapping has a device on every node")
                .seen("/etc/pve/ha/resources.cfg", format!("vm: {}", guest.vmid));
        }
        let missing = missing.into_iter().collect::<Vec<_>>().join(", ");
        Finding::warn("high availability may start it on a node that its GPU's mapping has no device on")
            .seen("/etc/pve/ha/resources.cfg", format!("vm: {}", guest.vmid))
            .seen("/etc/pve/mapping/pci.cfg", format!("no {missing}"))
            .fix(Fix::run(format!("ha-manager remove vm:{}", guest.vmid)))
    };
    Ok(vms.into_iter().map(|vm| finding(vm).about(addr(vm.0).to_string()).concerns([addr(vm.0)])).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::machine::GuestFiles;
    use crate::model::observed::{Fact, PciMapping};

    fn scene(nodes: &[&str], highly_available: bool, mapped: &[&str]) -> Scene {
        let mut scene = Scene::bare();
        let vmid = 100.try_into().unwrap();
        scene.site().nodes = Fact::complete(nodes.iter().map(|node| (node.parse().unwrap(), true)).collect());
        let map = mapped.iter().map(|node| format!("node={node},path=0000:01:00,id=10de:2684")).collect();
        let mapping = PciMapping { map, ..PciMapping::default() };
        scene.site().mappings = Fact::complete(BTreeMap::from([("rtx4090".parse().unwrap(), mapping)]));
        let highly_available = if highly_available { BTreeSet::from([vmid]) } else { BTreeSet::new() };
        scene.machine().guest_files = Fact::complete(GuestFiles { highly_available, ..GuestFiles::default() });
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(scene(&["hq"], true, &[]).verdicts(&CHECK), [Verdict::Skipped]);
        assert_eq!(scene(&["hq", "b"], false, &["hq"]).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene(&["hq", "b"], true, &["hq", "b"]).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene(&["hq", "b"], true, &["hq"]).verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene(&["hq", "b"], true, &["hq"]).said(&CHECK).contains("no rtx4090 on b"));
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
