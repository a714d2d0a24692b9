//! What stands in the way of a GPU: its group, its driver, its memory, its link, and other VMs.

use super::{Defect, here, put};
use crate::lab::world::{Node, PciDevice, World};

/// See the module.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        name: "no-interrupt-remapping",
        row: "gpu-passthrough 2",
        what: "the board remaps no interrupts",
        apply: no_remapping,
    },
    Defect {
        name: "intremap-off",
        row: "gpu-passthrough 2",
        what: "the command line switches interrupt remapping off",
        apply: intremap_off,
    },
    Defect {
        name: "unsafe-interrupts",
        row: "gpu-passthrough 2",
        what: "no interrupt remapping, and VMs may have devices all the same",
        apply: unsafe_interrupts,
    },
    Defect {
        name: "group-with-disk",
        row: "gpu-passthrough 4",
        what: "the NVMe disk that the host runs from is in the GPU's group",
        apply: |world, node| join_group(here(world, node), "0108"),
    },
    Defect {
        name: "group-with-network",
        row: "gpu-passthrough 4",
        what: "the host's network card is in the GPU's group",
        apply: |world, node| join_group(here(world, node), "0200"),
    },
    Defect {
        name: "group-with-bridge",
        row: "gpu-passthrough 4",
        what: "the port that the GPU is behind is in its group, which is in order",
        apply: |world, node| join_group(here(world, node), "0604"),
    },
    Defect {
        name: "group-with-host-bridge",
        row: "gpu-passthrough 4",
        what: "a host bridge without driver is in the GPU's group, which is in order",
        apply: |world, node| join_group(here(world, node), "0600"),
    },
    Defect {
        name: "group-with-sound",
        row: "gpu-passthrough 4",
        what: "the host's sound card is in the GPU's group",
        apply: group_with_sound,
    },
    Defect {
        name: "gpu-nouveau",
        row: "gpu-passthrough 5",
        what: "a driver of the host has the GPU",
        apply: |world, node| drive(here(world, node), ".0", Some("nouveau")),
    },
    Defect {
        name: "gpu-sound-driver",
        row: "gpu-passthrough 5",
        what: "a driver of the host has the GPU's sound function",
        apply: |world, node| drive(here(world, node), ".1", Some("snd_hda_intel")),
    },
    Defect {
        name: "gpu-no-driver",
        row: "gpu-passthrough 5",
        what: "nobody has the GPU, which is in order",
        apply: |world, node| drive(here(world, node), ".0", None),
    },
    Defect {
        name: "console-in-gpu",
        row: "gpu-passthrough 6",
        what: "the firmware's console is drawn in the memory of a GPU that vfio-pci has",
        apply: console_in_gpu,
    },
    Defect {
        name: "console-in-free-gpu",
        row: "gpu-passthrough 6",
        what: "the firmware's console is drawn in the memory of a GPU that nobody has yet",
        apply: |world, node| {
            console_in_gpu(world, node);
            drive(here(world, node), ".0", None);
        },
    },
    Defect {
        name: "bar-collision",
        row: "gpu-passthrough 6",
        what: "a VM did not get the GPU's memory once since boot",
        apply: |world, node| {
            let node = here(world, node);
            let line =
                format!("vfio-pci {}.0: BAR 1: can't reserve [mem 0x6000000000-0x67ffffffff 64bit pref]", slot(node));
            node.machine.messages.push(line);
        },
    },
    Defect {
        name: "vfio-takes-disk",
        row: "gpu-passthrough 8",
        what: "the id of the disk that the host runs from is on vfio-pci's list",
        apply: |world, node| give_ids(here(world, node), "10de:2684,10de:22ba,144d:a80c"),
    },
    Defect {
        name: "vfio-ids-of-gpu",
        row: "gpu-passthrough 8",
        what: "only ids of the GPU are on vfio-pci's list, which is in order",
        apply: |world, node| give_ids(here(world, node), "10de:2684,10de:22ba"),
    },
    Defect {
        name: "vfio-takes-twin-audio",
        row: "gpu-passthrough 8",
        what: "a second device has the id of the GPU's sound function, which is on vfio-pci's list",
        apply: twin_audio,
    },
    Defect {
        name: "twin-gpu",
        row: "gpu-passthrough 8",
        what: "a second card of the same make, and nothing that tells them apart",
        apply: twin_gpu,
    },
    Defect {
        name: "gpu-gone",
        row: "gpu-passthrough 9",
        what: "the card is not on the bus",
        apply: |world, node| {
            let node = here(world, node);
            let slot = slot(node);
            node.pci.retain(|address, _| !address.starts_with(&slot));
        },
    },
    Defect {
        name: "mapping-renumbered",
        row: "gpu-passthrough 9",
        what: "the mapping says where the card was before the bus was renumbered",
        apply: |world, node| map(world, node, "path=0000:03:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=30"),
    },
    Defect {
        name: "mapping-other-group",
        row: "gpu-passthrough 9",
        what: "the card is in another group than its mapping says",
        apply: |world, node| map(world, node, "path=0000:01:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=14"),
    },
    Defect {
        name: "mapping-fits",
        row: "gpu-passthrough 9",
        what: "the mapping fits, which is in order",
        apply: |world, node| map(world, node, "path=0000:01:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=30"),
    },
    Defect {
        name: "gpu-no-reset",
        row: "gpu-passthrough 10",
        what: "the kernel knows no way to reset the card",
        apply: |world, node| attribute(here(world, node), ".0", "reset_method", ""),
    },
    Defect {
        name: "gpu-dead",
        row: "gpu-passthrough 11",
        what: "the card did not come back from a reset",
        apply: |world, node| {
            let node = here(world, node);
            let line = format!("vfio-pci {}.0: not ready 65535ms after bus reset; giving up", slot(node));
            node.machine.messages.push(line);
        },
    },
    Defect {
        name: "gpu-slow-reset",
        row: "gpu-passthrough 11",
        what: "the card did not answer after a function reset, and came back another way",
        apply: |world, node| {
            let node = here(world, node);
            let line = format!("vfio-pci {}.0: not ready 65535ms after FLR; giving up", slot(node));
            node.machine.messages.push(line);
        },
    },
    Defect {
        name: "narrow-link",
        row: "gpu-passthrough 12",
        what: "the card runs on half of its lanes",
        apply: |world, node| attribute(here(world, node), ".0", "current_link_width", "8"),
    },
    Defect {
        name: "sleeping-link",
        row: "gpu-passthrough 12",
        what: "the card sleeps, and its link has no width, which is in order",
        apply: |world, node| {
            attribute(here(world, node), ".0", "current_link_width", "63");
            attribute(here(world, node), ".0", "power_state", "D3cold");
        },
    },
    Defect {
        name: "no-address-space",
        row: "gpu-passthrough 13",
        what: "above-4G decoding is off: the card's memory has no window",
        apply: |world, node| {
            let node = here(world, node);
            let line = format!("pci {}.0: BAR 1 [mem size 0x800000000 64bit pref]: failed to assign", slot(node));
            node.machine.messages.push(line);
        },
    },
    Defect {
        name: "address-space-found-later",
        row: "gpu-passthrough 13",
        what: "the kernel found a window at its second try, which is in order",
        apply: |world, node| {
            let node = here(world, node);
            let bar = format!("pci {}.0: BAR 1", slot(node));
            let lines = [
                "[mem size 0x800000000 64bit pref]: failed to assign",
                "[mem 0x6000000000-0x67ffffffff 64bit pref]: assigned",
            ];
            node.machine.messages.extend(lines.map(|line| format!("{bar} {line}")));
        },
    },
    Defect {
        name: "firmware-memory",
        row: "gpu-passthrough 25",
        what: "the firmware uses memory through the card's slot",
        apply: |world, node| {
            let node = here(world, node);
            let address = format!("{}.0", slot(node));
            node.machine.firmware_memory.insert(address, "0x00000000791fb000 0x00000000791fcfff".to_owned());
        },
    },
    Defect {
        name: "only-display",
        row: "gpu-passthrough 27",
        what: "the GPU is the only display of the host",
        apply: |world, node| {
            here(world, node).pci.retain(|_, device| !device.boot_vga);
        },
    },
];

/// Where the card of the inventory sits, without its function.
fn slot(node: &Node) -> String {
    let is_card = |device: &PciDevice| device.class.starts_with("03") && !device.boot_vga;
    let card = node.pci.iter().find(|(_, device)| is_card(device)).map(|(address, _)| address.as_str());
    card.and_then(|address| address.split('.').next()).unwrap_or("0000:01:00").to_owned()
}

fn attribute(node: &mut Node, function: &str, name: &str, value: &str) {
    let address = format!("{}{function}", slot(node));
    node.machine.attributes.entry(address).or_default().insert(name.to_owned(), value.to_owned());
}

fn drive(node: &mut Node, function: &str, driver: Option<&str>) {
    let address = format!("{}{function}", slot(node));
    if let Some(device) = node.pci.get_mut(&address) {
        device.driver = driver.map(str::to_owned);
    }
}

/// Puts the first device of a class into the card's group.
fn join_group(node: &mut Node, class: &str) {
    let group = node.pci.get(&format!("{}.0", slot(node))).map_or(0, |card| card.iommu_group);
    if let Some(device) = node.pci.values_mut().find(|device| device.class.starts_with(class)) {
        device.iommu_group = group;
    }
}

fn group_with_sound(world: &mut World, node: &str) {
    let node = here(world, node);
    let sound = PciDevice {
        class: "040300".to_owned(),
        vendor: "1022".to_owned(),
        device: "15e3".to_owned(),
        driver: Some("snd_hda_intel".to_owned()),
        ..PciDevice::default()
    };
    node.pci.insert("0000:10:00.6".to_owned(), sound);
    join_group(node, "0403");
    let slot = slot(node);
    let group = node.pci.get(&format!("{slot}.0")).map_or(0, |card| card.iommu_group);
    if let Some(sound) = node.pci.get_mut("0000:10:00.6") {
        sound.iommu_group = group;
    }
}

fn no_remapping(world: &mut World, node: &str) {
    let node = here(world, node);
    node.machine.firmware.interrupt_remapping = false;
    node.machine.running.interrupt_remapping = false;
}

fn intremap_off(world: &mut World, node: &str) {
    let node = here(world, node);
    node.machine.running.interrupt_remapping = false;
    node.machine.running.command_line.push_str(" intremap=off");
    super::add_to_command_line(node, "intremap=off");
}

fn unsafe_interrupts(world: &mut World, node: &str) {
    no_remapping(world, node);
    let modules = &mut here(world, node).machine.running.modules;
    let parameters = modules.entry("vfio_iommu_type1".to_owned()).or_default();
    parameters.insert("allow_unsafe_interrupts".to_owned(), "Y".to_owned());
}

fn console_in_gpu(world: &mut World, node: &str) {
    let node = here(world, node);
    let address = format!("{}.0", slot(node));
    node.machine.iomem.extend([
        "c0000000-dfffffff : PCI Bus 0000:00".to_owned(),
        format!("  c0000000-cfffffff : {address}"),
        "    c0000000-c03e7fff : BOOTFB".to_owned(),
    ]);
}

/// The list is read at the next boot: nothing changes until then.
fn give_ids(node: &mut Node, ids: &str) {
    put(node, "/etc/modprobe.d/vfio.conf", &format!("options vfio-pci ids={ids}\n"));
}

fn twin_audio(world: &mut World, node: &str) {
    let node = here(world, node);
    let audio = format!("{}.1", slot(node));
    if let Some(audio) = node.pci.get(&audio).cloned() {
        let other = PciDevice { iommu_group: 40, driver: Some("snd_hda_intel".to_owned()), ..audio };
        node.pci.insert("0000:10:00.1".to_owned(), other);
    }
    give_ids(node, "10de:2684,10de:22ba");
}

fn twin_gpu(world: &mut World, node: &str) {
    let node = here(world, node);
    if let Some(card) = node.pci.get(&format!("{}.0", slot(node))).cloned() {
        node.pci.insert("0000:10:00.0".to_owned(), PciDevice { iommu_group: 40, ..card });
    }
}

/// Maps the inventory's GPU, as an earlier run of ours has.
fn map(world: &mut World, node: &str, entry: &str) {
    let mapping = crate::lab::world::Mapping {
        description: Some("(infra: vrooli)".to_owned()),
        map: vec![format!("node={node},{entry}")],
        ..Default::default()
    };
    world.mappings.insert("rtx4090".to_owned(), mapping);
}
