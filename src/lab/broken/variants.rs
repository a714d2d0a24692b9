//! Hosts that are another one than the usual and in order: every check is content with them.

use super::{Defect, here, reboot, refresh};
use crate::lab::world::World;
use crate::lab::world::machine::Loader;

/// See the module.
pub(super) const DEFECTS: &[Defect] = &[
    Defect { name: "intel", row: "sound", what: "an Intel processor", apply: intel },
    Defect { name: "grub-efi", row: "sound", what: "root on LVM, loaded by GRUB under UEFI", apply: grub_efi },
    Defect { name: "grub-bios", row: "sound", what: "root on LVM, loaded by GRUB from a BIOS", apply: grub_bios },
];

pub(super) fn intel(world: &mut World, node: &str) {
    let host = here(world, node);
    host.system.cpu_vendor = "GenuineIntel".to_owned();
    host.system.cpu_family = "6".to_owned();
    host.cpu_model = "13th Gen Intel(R) Core(TM) i9-13900K".to_owned();
    host.system.cpu_flags = "fpu vme de pse tsc msr pae vmx aes fma movbe f16c abm bmi1 avx avx2 bmi2".to_owned();
    reboot(world, node);
}

fn grub_efi(world: &mut World, node: &str) {
    let host = here(world, node);
    host.machine.boot.loader = Loader::Grub;
    host.machine.boot.by_tool = false;
    host.machine.boot.root = "/dev/mapper/pve-root".to_owned();
    host.machine.boot.esps.clear();
    for path in ["/etc/kernel/cmdline", "/etc/default/grub.d/zfs.cfg", "/etc/kernel/proxmox-boot-uuids"] {
        host.files.remove(path);
    }
    refresh(world, node);
    reboot(world, node);
}

fn grub_bios(world: &mut World, node: &str) {
    here(world, node).system.legacy_bios = true;
    grub_efi(world, node);
}
