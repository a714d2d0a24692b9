//! `proxmox-boot-tool`: keeps the ESPs: `status`, `refresh`, `kernel list|pin|unpin`.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit;
use crate::lab::world::machine::{Loader, refresh_loader};

const PIN: &str = "/etc/kernel/proxmox-boot-pin";
const NEXT: &str = "/etc/kernel/next-boot-pin";

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    match words[..] {
        ["status"] => status(call),
        ["refresh"] => {
            call.print("Running hook script 'proxmox-auto-removal'..");
            call.print("Running hook script 'zz-proxmox-boot'..");
            refresh(call);
            0
        }
        ["kernel", "list"] => {
            let Some(node) = call.world.nodes.get(call.node) else { return 1 };
            let mut lines = vec!["Manually selected kernels:\nNone.\n\nAutomatically selected kernels:".to_owned()];
            lines.extend(node.machine.boot.kernels.iter().cloned());
            for (path, what) in [(PIN, "Pinned kernel:"), (NEXT, "Kernel pinned on next-boot:")] {
                if let Some(file) = node.files.get(path) {
                    lines.push(format!("\n{what}\n{}", String::from_utf8_lossy(&file.content).trim()));
                }
            }
            lines.iter().for_each(|line| call.print(line));
            0
        }
        ["kernel", "pin", release] => pin(call, release, PIN),
        ["kernel", "pin", release, "--next-boot"] => pin(call, release, NEXT),
        ["kernel", "unpin"] => {
            for path in [PIN, NEXT] {
                let _ = edit::remove(call.world, call.node, path);
            }
            refresh(call);
            0
        }
        _ => call.unknown(&words.join(" ")),
    }
}

fn pin(call: &mut Call<'_>, release: &str, path: &str) -> i32 {
    let known = call.world.nodes.get(call.node).is_some_and(|node| node.machine.boot.kernels.contains(release));
    if !known {
        call.warn(format!("E: no kernel with version '{release}' found"));
        return 1;
    }
    if let Err(error) = edit::write(call.world, call.node, path, format!("{release}\n").into_bytes(), 0o644) {
        return call.fail(1, error);
    }
    call.print(format!("Setting '{release}' as default entry and updating config."));
    refresh(call);
    0
}

fn status(call: &mut Call<'_>) -> i32 {
    let Some(node) = call.world.nodes.get(call.node) else { return 1 };
    let boot = node.machine.boot.clone();
    let efi = !node.system.legacy_bios;
    call.warn("Re-executing '/usr/sbin/proxmox-boot-tool' in new private mount namespace..");
    if !boot.by_tool {
        call.warn("E: /etc/kernel/proxmox-boot-uuids does not exist.");
        return 2;
    }
    call.print(format!("System currently booted with {}", if efi { "uefi" } else { "legacy bios" }));
    let releases: Vec<&str> = boot.given.kernels.iter().map(String::as_str).collect();
    let with = match boot.loader {
        Loader::SystemdBoot => "uefi",
        Loader::Grub => "grub",
    };
    for esp in &boot.esps {
        call.print(format!("{esp} is configured with: {with} (versions: {})", releases.join(", ")));
    }
    0
}

/// Gives the loader what stands in `/etc`, and copies kernels and images.
pub(super) fn refresh(call: &mut Call<'_>) {
    if let Some(node) = call.world.nodes.get_mut(call.node).filter(|node| node.machine.boot.by_tool) {
        refresh_loader(node);
    }
    copy(call);
}

/// Says what is copied to the ESPs.
pub(super) fn copy(call: &mut Call<'_>) {
    let Some(boot) = call.world.nodes.get(call.node).map(|node| node.machine.boot.clone()) else { return };
    if !boot.by_tool {
        call.print("No /etc/kernel/proxmox-boot-uuids found, skipping ESP sync.");
        return;
    }
    for esp in &boot.esps {
        call.print(format!("Copying and configuring kernels on /dev/disk/by-uuid/{esp}"));
        for release in &boot.kernels {
            call.print(format!("\tCopying kernel and creating boot-entry for {release}"));
        }
    }
}
