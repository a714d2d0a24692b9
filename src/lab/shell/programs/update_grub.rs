//! `update-grub`: gives the boot loader what stands in `/etc/default/grub`.

use super::proxmox_boot_tool;
use crate::lab::shell::call::Call;
use crate::lab::world::machine::refresh_loader;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if let Some(option) = call.args.first() {
        return call.unknown(option);
    }
    let Some(node) = call.world.nodes.get_mut(call.node) else { return 1 };
    let by_tool = node.machine.boot.by_tool;
    let kernels: Vec<String> = node.machine.boot.kernels.iter().rev().cloned().collect();
    if !by_tool {
        refresh_loader(node);
    }
    call.warn("Generating grub configuration file ...");
    if by_tool {
        call.warn("W: This system is booted via proxmox-boot-tool:");
        call.warn("W: Executing 'update-grub' directly does not update the correct configs!");
        call.warn("W: Running: 'proxmox-boot-tool refresh'\n");
        proxmox_boot_tool::refresh(call);
    }
    for release in kernels {
        call.warn(format!("Found linux image: /boot/vmlinuz-{release}"));
        call.warn(format!("Found initrd image: /boot/initrd.img-{release}"));
    }
    call.warn("Adding boot menu entry for UEFI Firmware Settings ...\ndone");
    0
}
