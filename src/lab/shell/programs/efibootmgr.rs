//! `efibootmgr [-v]`: what the firmware boots.

use crate::lab::shell::call::Call;
use crate::lab::world::machine::Loader;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if !matches!(call.args.iter().map(String::as_str).collect::<Vec<_>>()[..], [] | ["-v"]) {
        return call.unknown(&call.args.join(" "));
    }
    let Some(node) = call.world.nodes.get(call.node) else { return 1 };
    if node.system.legacy_bios {
        call.warn("EFI variables are not supported on this system.");
        return 2;
    }
    let disk = "HD(2,GPT,8ad9c2a1-6e5b-4e0f-9b0a-5d2c8e9f1a34,0x800,0x200000)";
    let (name, file) = match (node.machine.boot.loader, node.machine.firmware.secure_boot) {
        (Loader::SystemdBoot, _) => ("Linux Boot Manager", "\\EFI\\systemd\\systemd-bootx64.efi"),
        (Loader::Grub, false) => ("proxmox", "\\EFI\\proxmox\\grubx64.efi"),
        (Loader::Grub, true) => ("proxmox", "\\EFI\\proxmox\\shimx64.efi"),
    };
    let other = "VenHw(99e275e7-75a0-4b37-a2e6-c5385e6c00cb)";
    for line in [
        "BootCurrent: 0001".to_owned(),
        "Timeout: 1 seconds".to_owned(),
        "BootOrder: 0001,0000".to_owned(),
        format!("Boot0000* UEFI: Built-in EFI Shell\t{other}"),
        format!("Boot0001* {name}\t{disk}/File({file})"),
    ] {
        call.print(line);
    }
    0
}
