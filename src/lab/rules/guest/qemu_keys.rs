//! Keys of a VM's configuration: who may set them.
//!
//! Two hurdles per key: what only root@pam may do, and a privilege. Not here: whether a value is well-formed,
//! which the parameter tables say.

use super::access;
use crate::lab::rules::{Refusal, need};
use crate::lab::world::property::{Properties, indexed};
use crate::lab::world::{Caller, World};

/// Keys that only `root@pam` may set or delete: text is the same for every value.
pub const ROOT_ONLY: &[&str] =
    &["affinity", "amd-sev", "arch", "args", "hookscript", "lock", "spice_enhancements", "vmgenid"];

/// Parameters of a creation that are not part of the configuration.
pub const NOT_CONFIG: &[&str] = &[
    "archive",
    "bwlimit",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "pool",
    "start",
    "storage",
    "unique",
    "vmid",
    "delete",
    "digest",
    "revert",
    "skiplock",
    "background_delay",
];

fn root_only(caller: &Caller, key: &str, value: &str) -> Result<(), Refusal> {
    if caller.is_root_pam() {
        return Ok(());
    }
    let refuse = |what: &str| Err(Refusal::failed(format!("only root can set '{key}' config{what}")));
    if ROOT_ONLY.contains(&key) {
        return refuse("");
    }
    match indexed(key) {
        Some(("parallel", _)) => refuse(""),
        Some(("hostpci", _)) if Properties::parse(value).get("mapping").is_none() => refuse(" for non-mapped devices"),
        Some(("usb", _)) if value != "spice" && !value.starts_with("mapping=") && !value.contains("host=spice") => {
            refuse(" for real devices")
        }
        Some(("serial", _)) if value != "socket" => refuse(" for real devices"),
        _ => Ok(()),
    }
}

/// Privileges that a key asks for, any of which will do.
fn privileges(key: &str, value: &str) -> &'static [&'static str] {
    let stem = indexed(key).map_or(key, |(stem, _)| stem);
    match stem {
        "ide" | "sata" | "scsi" | "virtio" if value.contains("media=cdrom") && !value.contains("cloudinit") => {
            &["VM.Config.CDROM"]
        }
        "cdrom" => &["VM.Config.CDROM"],
        "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "unused" | "boot" | "bootdisk"
        | "vmstatestorage" => &["VM.Config.Disk"],
        "cores" | "sockets" | "cpu" | "cpulimit" | "cpuunits" | "vcpus" | "smp" | "numa" => &["VM.Config.CPU"],
        "memory" | "balloon" | "shares" | "allow-ksm" => &["VM.Config.Memory"],
        "net" => &["VM.Config.Network"],
        "cicustom" | "cipassword" | "citype" | "ciuser" | "ciupgrade" | "nameserver" | "searchdomain" | "sshkeys"
        | "ipconfig" => &["VM.Config.Cloudinit", "VM.Config.Network"],
        "vmstate" => &["VM.PowerMgmt"],
        "acpi" | "audio" | "hostpci" | "hugepages" | "ivshmem" | "kvm" | "machine" | "scsihw" | "serial" | "smbios"
        | "tablet" | "usb" | "vga" | "watchdog" | "rng" | "virtiofs" => &["VM.Config.HWType"],
        _ => &["VM.Config.Options"],
    }
}

/// Whether the caller may set all of these keys of a VM, or of one that will be in `pool`.
///
/// # Errors
/// 500 for what only root@pam may, 403 that names path and privileges.
pub fn check_keys(
    world: &World,
    caller: &Caller,
    vmid: u32,
    pool: Option<&str>,
    changes: &[(String, String)],
) -> Result<(), Refusal> {
    let path = format!("/vms/{vmid}");
    for (key, value) in changes {
        root_only(caller, key, value)?;
        if let Some(mapping) = Properties::parse(value).get("mapping").filter(|_| key.starts_with("hostpci")) {
            need(world, caller, &format!("/mapping/pci/{mapping}"), &["Mapping.Use"])?;
        }
        // It changes what the host does when it boots (`PVE::API2::Qemu`).
        if key == "startup" {
            need(world, caller, "/", &["Sys.Modify"])?;
        }
        let any_of = privileges(key, value);
        // At creation what was granted on the pool counts for the guest that will be in it.
        let by_pool = pool.is_some_and(|pool| world.may(caller, &format!("/pool/{pool}"), any_of));
        if !by_pool {
            need(world, caller, &path, any_of)?;
        }
        if let Some(bridge) = Properties::parse(value).get("bridge").filter(|_| key.starts_with("net")) {
            access::may_use_bridge(world, caller, bridge)?;
        }
    }
    Ok(())
}
