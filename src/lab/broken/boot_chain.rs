//! Boot chain, modules, packages, memory and pools that are not as they should be.

use super::{Defect, add_to_command_line, edit, here, put, refresh};
use crate::lab::world::World;
use crate::lab::world::machine::refresh_loader;

/// See the module.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        name: "command-line-wrong-place",
        row: "gpu-passthrough 3",
        what: "a parameter stands in `/etc/default/grub`, and systemd-boot boots",
        apply: wrong_place,
    },
    Defect {
        name: "command-line-not-refreshed",
        row: "gpu-passthrough 3",
        what: "a parameter was written before the last boot, and the loader was not refreshed",
        apply: not_refreshed,
    },
    Defect {
        name: "command-line-not-rebooted",
        row: "gpu-passthrough 3",
        what: "a parameter was written and the loader refreshed, and the host was not rebooted",
        apply: not_rebooted,
    },
    Defect {
        name: "command-line-second-line",
        row: "gpu-passthrough 3",
        what: "a parameter stands in the second line of `/etc/kernel/cmdline`",
        apply: second_line,
    },
    Defect {
        name: "vfio-virqfd-listed",
        row: "gpu-passthrough 7",
        what: "`vfio_virqfd` is listed, which the kernel does not have; the unit does not fail for it (vm-host 3)",
        apply: |world, node| put(here(world, node), "/etc/modules-load.d/old.conf", "vfio_virqfd\n"),
    },
    Defect {
        name: "module-listed-and-blacklisted",
        row: "systemd-modules-load.service(8)",
        what: "a module is listed to be loaded and blacklisted as well",
        apply: blacklisted,
    },
    Defect {
        name: "initramfs-stale",
        row: "gpu-passthrough 5",
        what: "a line of `modprobe.d` is newer than the initial RAM disk",
        apply: |world, node| put(here(world, node), "/etc/modprobe.d/local.conf", "blacklist nouveau\n"),
    },
    Defect {
        name: "initramfs-half-written",
        row: "vm-host 4",
        what: "the host was rebooted while the initial RAM disk was written",
        apply: |world, node| {
            let chain = &mut here(world, node).machine.boot;
            chain.half_written = chain.kernels.clone();
        },
    },
    Defect {
        name: "initramfs-being-written",
        row: "vm-host 4",
        what: "the initial RAM disk is being written",
        apply: |world, node| {
            let line = "/bin/sh /usr/sbin/update-initramfs -u -k all".to_owned();
            here(world, node).machine.processes.insert(4711, line);
        },
    },
    Defect {
        name: "kernel-not-booted",
        row: "gpu-passthrough 24",
        what: "a newer kernel is installed and not booted",
        apply: newer_kernel,
    },
    Defect {
        name: "kernel-pinned",
        row: "gpu-passthrough 24",
        what: "the kernel that runs is pinned, and a newer one is installed",
        apply: pinned,
    },
    Defect {
        name: "secure-boot-with-dkms",
        row: "gpu-passthrough 23",
        what: "Secure Boot is enforced, and `vendor-reset` is built on the host",
        apply: |world, node| {
            let machine = &mut here(world, node).machine;
            machine.firmware.secure_boot = true;
            machine.packages.insert("vendor-reset-dkms".to_owned(), "0.1.1".to_owned());
        },
    },
    Defect {
        name: "enterprise-without-key",
        row: "preflight: subscription-less repositories",
        what: "the enterprise repository is used, and no key is stored",
        apply: |world, node| {
            let path = "/etc/apt/sources.list.d/pve-enterprise.sources";
            edit(here(world, node), path, |text| {
                text.replace("Enabled: no", "Enabled: yes").replace("Enabled: false", "Enabled: true")
            });
        },
    },
    Defect {
        name: "no-repository",
        row: "preflight: repositories",
        what: "no repository of Proxmox VE is used",
        apply: |world, node| {
            here(world, node).files.remove("/etc/apt/sources.list.d/proxmox.sources");
        },
    },
    Defect {
        name: "unit-failed",
        row: "gpu-passthrough 7",
        what: "`systemd-modules-load` failed",
        apply: |world, node| {
            here(world, node).machine.failed.insert("systemd-modules-load.service".to_owned());
        },
    },
    Defect {
        name: "arc-limit-not-active",
        row: "gpu-passthrough 19",
        what: "the limit of ZFS's cache was changed, and the host was not rebooted",
        apply: |world, node| {
            put(here(world, node), "/etc/modprobe.d/zfs.conf", "options zfs zfs_arc_max=3221225472\n");
            refresh(world, node);
        },
    },
    Defect {
        name: "lxc-pve-old",
        row: "docker-in-lxc 4",
        what: "`lxc-pve` is older than the fix for `runc` 1.3.3",
        apply: |world, node| {
            here(world, node).machine.packages.insert("lxc-pve".to_owned(), "6.0.5-1".to_owned());
        },
    },
    Defect {
        name: "zfs-without-overlay",
        row: "docker-in-lxc 6",
        what: "ZFS is older than 2.2",
        apply: |world, node| {
            here(world, node).machine.packages.insert("zfsutils-linux".to_owned(), "2.1.15-pve1".to_owned());
        },
    },
    Defect {
        name: "pool-degraded",
        row: "preflight: pool health",
        what: "a disk of the pool is missing",
        apply: |world, node| pools(world, node, |health, _| *health = "DEGRADED".to_owned()),
    },
    Defect {
        name: "pool-fragmented",
        row: "preflight: fragmentation",
        what: "the free space of the pool is fragmented",
        apply: |world, node| pools(world, node, |_, state| state.fragmentation = 72),
    },
    Defect {
        name: "pool-never-scrubbed",
        row: "preflight: scrub age",
        what: "the pool was never scrubbed",
        apply: |world, node| pools(world, node, |_, state| state.scrubbed_ms = None),
    },
    Defect {
        name: "pool-data-errors",
        row: "preflight: pool health",
        what: "the pool has files that cannot be repaired",
        apply: |world, node| pools(world, node, |_, state| state.data_errors = 3),
    },
];

fn wrong_place(world: &mut World, node: &str) {
    edit(here(world, node), "/etc/default/grub", |text| {
        text.replace("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt")
    });
}

fn not_refreshed(world: &mut World, node: &str) {
    add_to_command_line(here(world, node), "iommu=pt");
}

fn not_rebooted(world: &mut World, node: &str) {
    add_to_command_line(here(world, node), "iommu=pt");
    let node = here(world, node);
    let since = node.booted_ms + 60_000;
    for path in ["/etc/kernel/cmdline", "/etc/default/grub"] {
        if let Some(file) = node.files.get_mut(path) {
            file.modified_ms = since;
        }
    }
    refresh_loader(node);
}

fn second_line(world: &mut World, node: &str) {
    edit(here(world, node), "/etc/kernel/cmdline", |text| format!("{}\niommu=pt\n", text.trim_end()));
}

fn blacklisted(world: &mut World, node: &str) {
    put(here(world, node), "/etc/modules-load.d/it87.conf", "it87\n");
    put(here(world, node), "/etc/modprobe.d/it87.conf", "blacklist it87\n");
    refresh(world, node);
}

fn newer_kernel(world: &mut World, node: &str) {
    here(world, node).machine.boot.kernels.insert("6.17.99-1-pve".to_owned());
    refresh(world, node);
}

fn pinned(world: &mut World, node: &str) {
    let running = here(world, node).machine.running.kernel.clone();
    put(here(world, node), "/etc/kernel/proxmox-boot-pin", &format!("{running}\n"));
    newer_kernel(world, node);
}

fn pools(world: &mut World, node: &str, change: impl Fn(&mut String, &mut crate::lab::world::machine::PoolState)) {
    let node = here(world, node);
    for (name, pool) in &mut node.zfs.pools {
        change(&mut pool.health, node.machine.pools.entry(name.clone()).or_default());
    }
}
