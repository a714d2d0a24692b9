//! What the kernel printed since the boot.

use super::{View, groups};
use crate::lab::world::World;

/// Lines of `dmesg` with their time.
pub(in crate::lab::shell) fn messages(world: &World, node: &str) -> Vec<String> {
    let Some(view) = super::view(world, node) else { return Vec::new() };
    let mut lines: Vec<String> = Vec::new();
    let machine = &view.node.machine;
    let running = &machine.running;
    lines.push(format!("Linux version {} (build@proxmox) {}", running.kernel, view.node.system.kernel_version));
    lines.push(format!("Command line: {}", running.command_line));
    let hardware = machine.firmware.has_iommu && machine.firmware.iommu;
    if view.node.system.cpu_vendor == "GenuineIntel" {
        intel(view, hardware, &mut lines);
    } else if hardware {
        amd(view, &mut lines);
    }
    for (group, devices) in groups::groups(view) {
        lines.extend(devices.iter().map(|device| format!("pci {device}: Adding to iommu group {group}")));
    }
    if running.iommu && view.node.system.cpu_vendor == "GenuineIntel" {
        lines.push("DMAR: Intel(R) Virtualization Technology for Directed I/O".to_owned());
    }
    lines.extend(running.messages.iter().cloned());
    lines.extend(machine.messages.iter().cloned());
    lines
        .iter()
        .enumerate()
        .map(|(at, line)| format!("[{:5}.{:06}] {line}", at / 20, at * 41_777 % 1_000_000))
        .collect()
}

/// What is said of VT-d. "IOMMU enabled" comes of the command line alone, with hardware or without; without
/// the parameter it is not said even where one is active (`vm-host.md`).
fn intel(view: View<'_>, hardware: bool, lines: &mut Vec<String>) {
    let running = &view.node.machine.running;
    let says = |value: &str| running.parameter("intel_iommu").is_some_and(|v| v.split(',').any(|word| word == value));
    if hardware {
        lines.push("ACPI: DMAR 0x000000007FFE2BA7 0000C8 (v01 INTEL  EDK2     00000002      01000013)".to_owned());
    }
    if says("on") {
        lines.push("DMAR: IOMMU enabled".to_owned());
    } else if says("off") {
        lines.push("DMAR: IOMMU disabled".to_owned());
    }
    if hardware {
        lines.extend(
            [
                "DMAR: Host address width 39",
                "DMAR: DRHD base: 0x000000fed90000 flags: 0x0",
                "DMAR: dmar0: reg_base_addr fed90000 ver 4:0 cap 1c0000c40660462 ecap 29a00f0505e",
            ]
            .map(str::to_owned),
        );
        if running.interrupt_remapping {
            lines.push("DMAR-IR: IOAPIC id 2 under DRHD base  0xfed90000 IOMMU 0".to_owned());
            lines.push("DMAR-IR: Enabled IRQ remapping in x2apic mode".to_owned());
        }
    }
    domain(view, lines);
}

fn amd(view: View<'_>, lines: &mut Vec<String>) {
    let running = &view.node.machine.running;
    domain(view, lines);
    if running.iommu {
        lines.push("pci 0000:00:00.2: AMD-Vi: IOMMU performance counters supported".to_owned());
        lines.push("AMD-Vi: Extended features (0x246577efa2254afa, 0x0): PPR NX GT [5] IA GA PC GA_vAPIC".to_owned());
    }
    if running.interrupt_remapping {
        lines.push("AMD-Vi: Interrupt remapping enabled".to_owned());
    }
}

fn domain(view: View<'_>, lines: &mut Vec<String>) {
    let passthrough =
        view.node.machine.running.parameter("iommu").is_some_and(|v| v.split(',').any(|word| word == "pt"));
    if passthrough {
        lines.push("iommu: Default domain type: Passthrough (set via kernel command line)".to_owned());
    } else {
        lines.push("iommu: Default domain type: Translated".to_owned());
        lines.push("iommu: DMA domain TLB invalidation policy: lazy mode".to_owned());
    }
}
