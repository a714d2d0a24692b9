//! GPUs are passed by mapping, not by address.

use super::standing::{gpu_vms, hostpci};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::proxmox::options::Options;

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-raw-address",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "no VM of the inventory has a device by its raw address",
    needs: &["GET /nodes/N/qemu/ID/pending"],
    why: "`hostpciN: 0000:01:00` names a place, not a card: after another card came in, the VM gets whatever sits there, and \
          nobody says so. PVE gives such entries to root@pam alone. No API token may set, change or remove one, not \
          even a token of root@pam: PVE checks the old value as well as the new one and answers 500, `only root can set \
          'hostpci0' config for non-mapped devices`. So `infra apply` would fail at it.",
    fix: "As root on the host, once: `qm set ID --hostpciN mapping=NAME,pcie=1` (the mapping has to be there: `infra apply \
          --target pci_mapping.SITE:NAME`), or `qm set ID --delete hostpciN`. From then on the token may change it.",
    mend: None,
    sources: &["qemu-server API2/Qemu.pm", "bpg/terraform-provider-proxmox#495"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpu_vms(subject, &Finding::pass("the plan makes it with a mapping"), |guest, _, _, config| {
        let devices = hostpci(config);
        let raw: Vec<_> = devices
            .iter()
            .filter(|(_, value)| {
                let options = Options::parse(value);
                options.head.is_some() || options.get("host").is_some()
            })
            .collect();
        let source = format!("qm config {}", guest.vmid);
        if raw.is_empty() {
            let text = devices.first().map_or("no hostpci".to_owned(), |(key, value)| format!("{key}: {value}"));
            return Finding::pass("its devices are passed by mapping").seen(source, text);
        }
        raw.iter().fold(
            Finding::fail("it has a device by its raw address, which no API token may change"),
            |finding, (key, value)| {
                finding
                    .seen(source.clone(), format!("{key}: {value}"))
                    .fix(Fix::run(format!("qm set {} --delete {key}", guest.vmid)))
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::GuestKind::Qemu;

    #[test]
    fn right_wrong_and_unknown() {
        let of = |value| Scene::bare().with_guest(100, Qemu, true, &[("hostpci0", value)]);
        assert_eq!(of("mapping=rtx4090,pcie=1").verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(of("0000:01:00,pcie=1").verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(of("host=0000:01:00.0").verdicts(&CHECK), [Verdict::Fail]);
        assert!(of("host=01:00.0").said(&CHECK).contains("qm set 100 --delete hostpci0"));
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
