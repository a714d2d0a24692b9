//! `update-initramfs -u -k all|RELEASE`: takes what stands in `/etc` into the initial RAM disks.

use super::proxmox_boot_tool;
use crate::lab::shell::call::Call;
use crate::lab::world::machine::refresh_images;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let now_ms = call.world.now_ms;
    let Some(node) = call.world.nodes.get_mut(call.node) else { return 1 };
    let installed = node.machine.boot.kernels.clone();
    let kernels: Vec<String> = match words[..] {
        ["-u", "-k", "all"] => installed.into_iter().rev().collect(),
        ["-u"] => vec![node.machine.running.kernel.clone()],
        ["-u", "-k", release] if installed.contains(release) => vec![release.to_owned()],
        _ => return call.unknown(&words.join(" ")),
    };
    for release in &kernels {
        refresh_images(node, std::slice::from_ref(release), now_ms);
    }
    for release in &kernels {
        call.print(format!("update-initramfs: Generating /boot/initrd.img-{release}"));
    }
    // a hook of the package copies them to the ESPs
    call.print("Running hook script 'zz-proxmox-boot'..");
    call.print("Re-executing '/etc/kernel/postinst.d/zz-proxmox-boot' in new private mount namespace..");
    proxmox_boot_tool::copy(call);
    0
}
