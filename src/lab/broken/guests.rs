//! Guests are there already, and not as they should be.
//!
//! They are those of the project's own inventory: `plan-hq` (VM 100, with a GPU) and `proj-x` (container 104).

use super::{Defect, here};
use crate::lab::world::{Guest, GuestKind, GuestSnapshot, Pending, Run, World};

/// See the module.
pub(super) const DEFECTS: &[Defect] = &[
    Defect { name: "gpu-vm-there", row: "sound", what: "the VM is there as it should be", apply: gpu_vm_there },
    Defect {
        name: "gpu-seabios",
        row: "gpu-passthrough 14",
        what: "the VM is an i440fx machine with SeaBIOS",
        apply: gpu_seabios,
    },
    Defect {
        name: "gpu-no-efidisk",
        row: "gpu-passthrough 14",
        what: "the VM has OVMF and no EFI disk",
        apply: gpu_no_efidisk,
    },
    Defect { name: "gpu-romfile", row: "gpu-passthrough 15", what: "root set a ROM file by hand", apply: gpu_romfile },
    Defect {
        name: "gpu-balloon",
        row: "gpu-passthrough 18",
        what: "the VM has a balloon, which the plan takes away",
        apply: gpu_balloon,
    },
    Defect {
        name: "gpu-memory-snapshot",
        row: "gpu-passthrough 20",
        what: "a snapshot holds the VM's memory",
        apply: gpu_memory_snapshot,
    },
    Defect {
        name: "gpu-high-availability",
        row: "gpu-passthrough 21",
        what: "high availability looks after the VM, and the mapping is on one node",
        apply: gpu_high_availability,
    },
    Defect {
        name: "gpu-raw-address",
        row: "gpu-passthrough 22",
        what: "the GPU is passed by its address",
        apply: gpu_raw_address,
    },
    Defect { name: "ct-there", row: "sound", what: "the container is there as it should be", apply: ct_there },
    Defect { name: "ct-apparmor", row: "docker-in-lxc 5", what: "AppArmor is off by hand", apply: ct_apparmor },
    Defect {
        name: "ct-snapshot",
        row: "docker-in-lxc 15",
        what: "a snapshot from before the mounts",
        apply: ct_snapshot,
    },
    Defect { name: "ct-idmap", row: "docker-in-lxc 16", what: "ids are mapped by hand", apply: ct_idmap },
    Defect {
        name: "ct-privileged",
        row: "docker-in-lxc 16",
        what: "the container is privileged",
        apply: ct_privileged,
    },
    Defect {
        name: "ct-tun-by-hand",
        row: "docker-in-lxc 17",
        what: "lines about the tunnel device stand in the file",
        apply: ct_tun_by_hand,
    },
    Defect { name: "ct-locked", row: "issue locks", what: "a backup that was cut off left its lock", apply: ct_locked },
    Defect {
        name: "ct-lock-held",
        row: "issue locks",
        what: "a process that hangs holds the lock of the container's file",
        apply: ct_lock_held,
    },
    Defect {
        name: "vmid-foreign",
        row: "issue vmid",
        what: "somebody else's container has the number",
        apply: vmid_foreign,
    },
    Defect {
        name: "ct-pending",
        row: "issue pending",
        what: "a change that the plan does not know waits for a restart",
        apply: ct_pending,
    },
];

const VM: &[(&str, &str)] = &[
    ("name", "plan-hq"),
    ("machine", "q35"),
    ("bios", "ovmf"),
    ("efidisk0", "local-zfs:vm-100-disk-0,efitype=4m,size=1M"),
    ("balloon", "0"),
    ("cpu", "host"),
    ("hostpci0", "mapping=rtx4090,pcie=1"),
    ("net0", "virtio=BC:24:11:00:01:00,bridge=vmbr0,firewall=1"),
    ("scsi0", "local-zfs:vm-100-disk-1,size=200G"),
    ("tags", "infra-vrooli"),
];
const CONTAINER: &[(&str, &str)] = &[
    ("hostname", "proj-x"),
    ("features", "nesting=1,keyctl=1"),
    ("net0", "name=eth0,bridge=vmbr0,firewall=1,gw=10.0.0.1,hwaddr=BC:24:11:00:01:04,ip=10.0.0.123/24,type=veth"),
    ("rootfs", "local-zfs:subvol-104-disk-0,size=20G"),
    ("tags", "infra-vrooli"),
    ("unprivileged", "1"),
];

fn guest(world: &mut World, node: &str, vmid: u32, kind: GuestKind, usual: &[(&str, &str)], other: &[(&str, &str)]) {
    let mut config: std::collections::BTreeMap<String, String> =
        usual.iter().chain(other).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    config.retain(|_, value| !value.is_empty());
    let mut guest = Guest::new(kind, node, config);
    let started_ms = world.now_ms - 1_800_000;
    guest.run = Some(Run { pid: 5000 + vmid, started_ms, booted_ms: Some(started_ms), paused: false });
    world.guests.insert(vmid, guest);
}

/// The VM with something else in its configuration; an empty value takes a key away.
fn vm(world: &mut World, node: &str, other: &[(&str, &str)]) {
    guest(world, node, 100, GuestKind::Qemu, VM, other);
}

/// The same for the container.
fn ct(world: &mut World, node: &str, other: &[(&str, &str)]) {
    guest(world, node, 104, GuestKind::Lxc, CONTAINER, other);
}

fn gpu_vm_there(world: &mut World, node: &str) {
    vm(world, node, &[]);
}

fn gpu_seabios(world: &mut World, node: &str) {
    vm(world, node, &[("machine", ""), ("bios", ""), ("efidisk0", "")]);
}

fn gpu_no_efidisk(world: &mut World, node: &str) {
    vm(world, node, &[("efidisk0", "")]);
}

fn gpu_romfile(world: &mut World, node: &str) {
    vm(world, node, &[("hostpci0", "mapping=rtx4090,pcie=1,romfile=card.rom")]);
}

fn gpu_balloon(world: &mut World, node: &str) {
    vm(world, node, &[("balloon", "2048")]);
}

fn gpu_memory_snapshot(world: &mut World, node: &str) {
    vm(world, node, &[("parent", "before")]);
    let config = [("vmstate", "local-zfs:vm-100-state-before"), ("memory", "4096")];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let snapshot = GuestSnapshot { config, time: world.now() - 86_400, ..GuestSnapshot::default() };
    if let Some(guest) = world.guests.get_mut(&100) {
        guest.snapshots.insert("before".to_owned(), snapshot);
    }
}

fn gpu_high_availability(world: &mut World, node: &str) {
    vm(world, node, &[]);
    world.cluster.get_or_insert_with(|| "cluster".to_owned());
    let address = "192.168.10.9".to_owned();
    let other = crate::lab::world::Node { address, online: true, cpus: 4, memory: 16 << 30, ..Default::default() };
    world.nodes.insert("zz1".to_owned(), other);
    world.ha.resources.insert("vm:100".to_owned(), [("state".to_owned(), "started".to_owned())].into());
}

fn gpu_raw_address(world: &mut World, node: &str) {
    vm(world, node, &[("hostpci0", "0000:01:00,pcie=1")]);
}

fn ct_there(world: &mut World, node: &str) {
    ct(world, node, &[]);
}

fn ct_apparmor(world: &mut World, node: &str) {
    ct(world, node, &[("lxc.apparmor.profile", "unconfined")]);
}

fn ct_snapshot(world: &mut World, node: &str) {
    ct(world, node, &[("parent", "before")]);
    let snapshot = GuestSnapshot { time: world.now() - 86_400, ..GuestSnapshot::default() };
    if let Some(guest) = world.guests.get_mut(&104) {
        guest.snapshots.insert("before".to_owned(), snapshot);
    }
}

fn ct_idmap(world: &mut World, node: &str) {
    ct(world, node, &[("lxc.idmap", "u 0 200000 65536")]);
}

fn ct_privileged(world: &mut World, node: &str) {
    ct(world, node, &[("unprivileged", "")]);
}

fn ct_tun_by_hand(world: &mut World, node: &str) {
    ct(world, node, &[("lxc.cgroup2.devices.allow", "c 10:200 rwm")]);
}

fn ct_locked(world: &mut World, node: &str) {
    ct(world, node, &[("lock", "backup")]);
}

fn ct_lock_held(world: &mut World, node: &str) {
    ct(world, node, &[]);
    let until = world.now_ms + 3_600_000;
    world.lock_files.insert(104, until);
    // It has hung for as long as the host is up.
    here(world, node).booted_ms -= 3_600_000;
}

fn vmid_foreign(world: &mut World, node: &str) {
    ct(world, node, &[("tags", ""), ("net0", "name=eth0,bridge=vmbr0,ip=dhcp,hwaddr=BC:24:11:00:09:04,type=veth")]);
}

fn ct_pending(world: &mut World, node: &str) {
    ct(world, node, &[]);
    if let Some(guest) = world.guests.get_mut(&104) {
        guest.pending.insert("cpulimit".to_owned(), Pending::Set("3".to_owned()));
    }
}
