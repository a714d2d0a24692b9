//! The IOMMU is off, in each of the ways in which it can be.

use super::{Defect, add_to_command_line, boot_kernel, here, reboot, refresh};
use crate::lab::world::World;

/// See the module.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        name: "iommu-firmware",
        row: "gpu-passthrough 1",
        what: "VT-d or AMD-Vi is switched off in the firmware",
        apply: firmware,
    },
    Defect {
        name: "iommu-command-line",
        row: "gpu-passthrough 1",
        what: "the kernel's command line switches the IOMMU off",
        apply: command_line,
    },
    Defect {
        name: "iommu-old-kernel",
        row: "gpu-passthrough 1",
        what: "Intel on a kernel before 6.8, and nothing on the command line that switches the IOMMU on",
        apply: old_kernel,
    },
    Defect {
        name: "iommu-only-in-dmesg",
        row: "vm-host 1",
        what: "Intel without an IOMMU, asked for on the command line: the kernel says `IOMMU enabled`",
        apply: only_in_dmesg,
    },
];

fn firmware(world: &mut World, node: &str) {
    here(world, node).machine.firmware.iommu = false;
    reboot(world, node);
}

fn command_line(world: &mut World, node: &str) {
    let intel = here(world, node).system.cpu_vendor == "GenuineIntel";
    add_to_command_line(here(world, node), if intel { "intel_iommu=off" } else { "amd_iommu=off" });
    refresh(world, node);
    reboot(world, node);
}

fn old_kernel(world: &mut World, node: &str) {
    super::variants::intel(world, node);
    boot_kernel(world, node, "6.5.13-6-pve");
}

fn only_in_dmesg(world: &mut World, node: &str) {
    super::variants::intel(world, node);
    let host = here(world, node);
    host.machine.firmware.has_iommu = false;
    add_to_command_line(host, "intel_iommu=on");
    refresh(world, node);
    reboot(world, node);
}
