//! `vfio-pci` takes nothing by id that the host needs.

use std::collections::BTreeSet;

use super::check::{all, some};
use super::gpus::{described, devices};
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::model::PciAddress;
use crate::model::machine::{Kernel, ModuleConfig, PciFunction};
use crate::resources::gpu_device::{Sought, seek};

/// See its texts.
pub const CHECK: Check = Check {
    id: "vfio-ids",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "vfio-pci takes nothing by its id that the host needs",
    needs: &["/etc/modprobe.d", "/proc/cmdline", "/sys/bus/pci/devices"],
    why: "`options vfio-pci ids=…` means every device of that id: the second card of the same make, the display that the \
          host boots on, and of four equal NVMe disks all four, the one with the root file system among them. What the \
          host's drivers already have it does not take until the next boot, so that it is the next reboot that does \
          not come up. PVE itself adds the ids of a card to `vfio-pci` when its VM starts, which takes nothing from a \
          driver.",
    fix: "Take the id off the list and let PVE bind the card when its VM starts, by its mapping; or bind it by its place \
          (`driver_override` with a udev rule).",
    mend: Some(Mend::Modprobe),
    sources: &[
        "gist scyto/305224b5",
        "pve-common SysFSTools.pm (pci_dev_bind_to_vfio)",
        "linux drivers/vfio/pci/vfio_pci.c",
    ],
    judge,
};

/// What an entry of `ids=` fits: `vendor:device[:subvendor[:subdevice[:…]]]`.
struct Pattern {
    text: String,
    parts: [Option<u16>; 4],
}

impl Pattern {
    fn all(list: &str) -> impl Iterator<Item = Self> + '_ {
        list.split(',').filter_map(|text| {
            let mut parts = text.trim().split(':').map(|part| u16::from_str_radix(part, 16));
            let (vendor, device) = (parts.next()?.ok()?, parts.next()?.ok()?);
            // The kernel's "any" is eight f.
            let mut next = || parts.next().and_then(Result::ok);
            let board = [next(), next()];
            Some(Self { text: text.trim().to_owned(), parts: [Some(vendor), Some(device), board[0], board[1]] })
        })
    }

    fn fits(&self, function: &PciFunction) -> bool {
        let board = function.subsystem;
        let there = [
            Some(function.id.vendor),
            Some(function.id.device),
            board.map(|board| board.vendor),
            board.map(|board| board.device),
        ];
        self.parts.iter().zip(there).all(|(wanted, there)| wanted.is_none_or(|wanted| there == Some(wanted)))
    }
}

/// Lists that are in effect, or will be after the next boot, and where they are written.
fn lists(modules: &ModuleConfig, kernel: Option<&Kernel>) -> Vec<(String, String, String)> {
    let mut lists = Vec::new();
    if let Some((value, line)) = modules.option("vfio_pci", "ids") {
        lists.push((value.to_owned(), format!("{}:{}", line.file, line.line), line.text.clone()));
    }
    let words = kernel.into_iter().flat_map(|kernel| &kernel.command_line);
    for word in words {
        if let Some((name, value)) = word.split_once('=')
            && name.replace('-', "_") == "vfio_pci.ids"
        {
            lists.push((value.to_owned(), "/proc/cmdline".to_owned(), word.clone()));
        }
    }
    lists
}

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let modules = all(&machine.module_config)?;
    let lists = lists(modules, some(&machine.kernel).ok());
    if lists.is_empty() {
        return Err(NotRun::skipped("no ids are given to vfio-pci"));
    }
    let bus = all(&machine.pci)?;
    let wanted = wanted(subject)?;
    let mut findings = Vec::new();
    for (list, source, text) in &lists {
        for pattern in Pattern::all(list) {
            let others = bus
                .functions
                .iter()
                .filter(|(at, function)| pattern.fits(function) && !function.bridge && !wanted.contains(&at.device()));
            let mut others = others.peekable();
            if others.peek().is_none() {
                continue;
            }
            for (at, function) in others {
                let name = described(at, function);
                let vital = matches!(function.base_class(), 0x01 | 0x02)
                    || function.boot_vga == Some(true)
                    || function.subclass() == 0x0c03
                    || (!function.roles.is_empty() && !function.is_gpu());
                let finding = if vital {
                    Finding::fail(format!("`{}` takes {name} from the host as well", pattern.text))
                } else {
                    Finding::warn(format!("`{}` takes {name} as well", pattern.text))
                };
                findings.push(
                    finding
                        .about(format!("{} at {at}", function.class_name()))
                        .seen(source, text)
                        .seen(format!("/sys/bus/pci/devices/{at}/vendor"), function.id.to_string())
                        .fix(Fix::prepare(Mend::Modprobe))
                        .fix(Fix::by_hand(format!(
                            "take {} off the list: PVE binds the card when its VM starts",
                            pattern.text
                        ))),
                );
            }
        }
    }
    if findings.is_empty() {
        let (_, source, text) = &lists[0];
        findings.push(Finding::pass("only what goes to VMs is taken by its id").seen(source, text));
    }
    Ok(findings)
}

/// Devices that go to VMs; where several fit, which of them is for `gpu-ambiguous` to ask, so that none is a twin.
fn wanted(subject: &Subject<'_>) -> Result<BTreeSet<PciAddress>, NotRun> {
    let devices = devices(all(&subject.machine().pci)?, subject);
    let places = |(_, gpu, _): (_, &crate::blueprint::Gpu, _)| match seek(gpu, &devices) {
        Sought::Found(device) => vec![device.address.device()],
        Sought::Ambiguous(all) => all.iter().map(|device| device.address.device()).collect(),
        Sought::Missing(_) => Vec::new(),
    };
    Ok(subject.passed_gpus().flat_map(places).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;
    use crate::model::machine::{Directive, ModprobeLine, ModuleConfig};
    use crate::model::observed::Fact;

    fn with_ids(ids: &str) -> Scene {
        let mut scene = Scene::sound();
        let line = ModprobeLine {
            directive: Directive::Options {
                module: "vfio_pci".into(),
                parameters: vec![("ids".to_owned(), ids.to_owned())],
            },
            text: format!("options vfio-pci ids={ids}"),
            file: "/etc/modprobe.d/vfio.conf".into(),
            line: 1,
        };
        scene.machine().module_config =
            Fact::complete(ModuleConfig { modprobe: vec![line], ..ModuleConfig::default() });
        scene
    }

    #[test]
    fn ids_of_the_gpu_alone_are_fine_and_a_twin_is_taken_along() {
        let mut scene = with_ids("10de:2684,10de:22ba");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.add_twin();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass], "which of them is wanted, is for another check to ask");
        scene.function("0000:04:00.0").subsystem = Some("1458:0001".parse().unwrap());
        let mut told = Scene::over("hosts: { hq: { gpus: { rtx4090: { subsystem: '1043:88ec' } } } }");
        told.add_twin();
        told.function("0000:04:00.0").subsystem = Some("1458:0001".parse().unwrap());
        told.machine().module_config = scene.machine().module_config.clone();
        let finding = told.only(&CHECK);
        assert_eq!(finding.object.as_deref(), Some("VGA controller at 0000:04:00.0"));
        assert_eq!(finding.verdict, Verdict::Warn);
    }

    #[test]
    fn the_disk_that_the_host_runs_from_is_a_failure() {
        let finding = with_ids("10de:2684,144d:a80a").only(&CHECK);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.summary.contains("nvme0") && finding.evidence[0].source.ends_with("vfio.conf:1"));
        assert_eq!(with_ids("1a03:2000").verdicts(&CHECK), [Verdict::Fail], "the display that it boots on");
    }

    #[test]
    fn a_list_on_the_command_line_counts_and_boards_tell_apart() {
        let mut scene = Scene::sound();
        scene.machine().module_config = Fact::complete(ModuleConfig::default());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
        scene.command_line(&["vfio-pci.ids=144d:a80a"]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        scene.command_line(&["vfio-pci.ids=144d:a80a:1028:0001"]);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass], "of another board");
        scene.machine().module_config = Fact::unavailable("`find` failed");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
