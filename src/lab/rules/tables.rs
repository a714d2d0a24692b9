//! Parameters of guests' configurations, by version.

use super::formats as f;
use super::param::{Kind, Param, optional as o, required, since_9};
use super::property_strings as p;

const AT_LEAST_0: Kind = Kind::Int { min: Some(0), max: None };
const AT_LEAST_1: Kind = Kind::Int { min: Some(1), max: None };
const DESCRIPTION: Kind = Kind::Short { min: 0, max: 8192 };
/// A configuration digest.
pub const DIGEST_40: Kind = Kind::Short { min: 0, max: 40 };
/// A file digest.
pub const DIGEST_64: Kind = Kind::Short { min: 0, max: 64 };
/// A snapshot's name.
pub const SNAPSHOT_NAME: Kind = Kind::Format(f::config_id);

const KEYBOARDS: &[&str] = &[
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
];

fn serial(text: &str) -> bool {
    text == "socket" || text.strip_prefix("/dev/").is_some_and(|rest| !rest.is_empty())
}

fn parallel(text: &str) -> bool {
    ["/dev/parport", "/dev/usb/lp"]
        .iter()
        .any(|p| text.strip_prefix(p).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())))
}

fn vmgenid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(text, "0" | "1")
        || (parts.iter().map(|p| p.len()).collect::<Vec<_>>() == [8, 4, 4, 4, 12]
            && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit())))
}

fn boot_order(text: &str) -> Result<(), String> {
    let Some(order) = text.strip_prefix("order=") else { return Ok(()) };
    for device in order.split(';').filter(|d| !d.is_empty()) {
        let stem = super::super::world::property::indexed(device).map(|(stem, _)| stem);
        if !matches!(stem, Some("ide" | "sata" | "scsi" | "virtio" | "net" | "usb" | "hostpci")) {
            return Err(format!("format error\nboot.order: invalid format - invalid boot device '{device}'\n"));
        }
    }
    Ok(())
}

fn start_date(text: &str) -> bool {
    text == "now" || text.starts_with(|c: char| c.is_ascii_digit())
}

fn boot_disk(text: &str) -> bool {
    super::super::world::property::indexed(text)
        .is_some_and(|(stem, _)| matches!(stem, "ide" | "sata" | "scsi" | "virtio"))
}

fn time_zone(text: &str) -> Result<(), String> {
    let known = text == "host" || text == "UTC" || jiff::tz::TimeZone::get(text).is_ok();
    if known { Ok(()) } else { Err(format!("invalid time zone '{text}'")) }
}

fn no_control(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Keys of a VM's configuration, for creating and changing it.
pub const QEMU_CONFIG: &[Param] = &[
    o("acpi", Kind::Bool),
    o("affinity", Kind::Text),
    o("agent", Kind::Props(&p::AGENT)),
    since_9("allow-ksm", Kind::Bool),
    o("amd-sev", Kind::Text),
    o("arch", Kind::Enum(&["x86_64", "aarch64"])),
    o("args", Kind::Text),
    o("audio0", Kind::Text),
    o("autostart", Kind::Bool),
    o("balloon", AT_LEAST_0),
    o("bios", Kind::Enum(&["seabios", "ovmf"])),
    o("boot", Kind::Format(boot_order)),
    o("bootdisk", Kind::Pattern(boot_disk)),
    o("cdrom", Kind::Text),
    o("cicustom", Kind::Props(&p::CICUSTOM)),
    o("cipassword", Kind::Text),
    o("citype", Kind::Enum(&["configdrive2", "nocloud", "opennebula"])),
    o("ciupgrade", Kind::Bool),
    o("ciuser", Kind::Text),
    o("cores", AT_LEAST_1),
    o("cpu", Kind::Text),
    o("cpulimit", Kind::Number { min: Some(0), max: Some(128) }),
    o("cpuunits", Kind::Int { min: Some(1), max: Some(262_144) }),
    o("description", DESCRIPTION),
    o("efidisk0", Kind::Props(&p::QEMU_DISK)),
    o("force", Kind::Bool),
    o("freeze", Kind::Bool),
    o("hookscript", Kind::Text),
    o("hostpci[n]", Kind::Props(&p::HOSTPCI)),
    o("hotplug", Kind::Text),
    o("hugepages", Kind::Enum(&["any", "2", "1024"])),
    o("ide[n]", Kind::Props(&p::QEMU_DISK)),
    since_9("intel-tdx", Kind::Props(&p::INTEL_TDX)),
    o("ipconfig[n]", Kind::Props(&p::IPCONFIG)),
    o("ivshmem", Kind::Text),
    o("keephugepages", Kind::Bool),
    o("keyboard", Kind::Enum(KEYBOARDS)),
    o("kvm", Kind::Bool),
    o("localtime", Kind::Bool),
    o(
        "lock",
        Kind::Enum(&[
            "backup",
            "clone",
            "create",
            "migrate",
            "rollback",
            "snapshot",
            "snapshot-delete",
            "suspending",
            "suspended",
        ]),
    ),
    o("machine", Kind::Props(&p::MACHINE)),
    o("memory", Kind::Props(&p::MEMORY)),
    o("migrate_downtime", Kind::Number { min: Some(0), max: None }),
    o("migrate_speed", AT_LEAST_0),
    o("name", Kind::Format(f::dns_name)),
    o("nameserver", Kind::Text),
    o("net[n]", Kind::Props(&p::QEMU_NET)),
    o("numa", Kind::Bool),
    o("numa[n]", Kind::Text),
    o("onboot", Kind::Bool),
    o(
        "ostype",
        Kind::Enum(&[
            "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris",
        ]),
    ),
    o("parallel[n]", Kind::Pattern(parallel)),
    o("protection", Kind::Bool),
    o("reboot", Kind::Bool),
    o("rng0", Kind::Text),
    o("sata[n]", Kind::Props(&p::QEMU_DISK)),
    o("scsi[n]", Kind::Props(&p::QEMU_DISK)),
    o("scsihw", Kind::Enum(&["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"])),
    o("searchdomain", Kind::Text),
    o("serial[n]", Kind::Pattern(serial)),
    o("shares", Kind::Int { min: Some(0), max: Some(50_000) }),
    o("smbios1", Kind::Short { min: 0, max: 512 }),
    o("smp", AT_LEAST_1),
    o("sockets", AT_LEAST_1),
    o("spice_enhancements", Kind::Text),
    o("sshkeys", Kind::Format(f::url_encoded)),
    o("startdate", Kind::Pattern(start_date)),
    o("startup", Kind::Text),
    o("tablet", Kind::Bool),
    o("tags", Kind::List(f::tags)),
    o("tdf", Kind::Bool),
    o("template", Kind::Bool),
    o("tpmstate0", Kind::Props(&p::QEMU_DISK)),
    o("unused[n]", Kind::Text),
    o("usb[n]", Kind::Text),
    o("vcpus", AT_LEAST_1),
    o("vga", Kind::Text),
    o("virtio[n]", Kind::Props(&p::QEMU_DISK)),
    o("virtiofs[n]", Kind::Text),
    o("vmgenid", Kind::Pattern(vmgenid)),
    o("vmstatestorage", Kind::Format(f::storage_id)),
    o("watchdog", Kind::Text),
];

/// What only the creation of a VM takes.
pub const QEMU_CREATE: &[Param] = &[
    required("vmid", Kind::Vmid),
    o("archive", Kind::Short { min: 0, max: 255 }),
    o("bwlimit", AT_LEAST_0),
    since_9("ha-managed", Kind::Bool),
    o("import-working-storage", Kind::Format(f::storage_id)),
    o("live-restore", Kind::Bool),
    o("pool", Kind::Format(f::pool_id)),
    o("start", Kind::Bool),
    o("storage", Kind::Format(f::storage_id)),
    o("unique", Kind::Bool),
];

/// What only a change of a guest takes.
pub const CHANGE: &[Param] =
    &[o("delete", Kind::List(f::config_ids)), o("digest", DIGEST_40), o("revert", Kind::List(f::config_ids))];

/// May the lock be passed over.
pub const SKIPLOCK: &[Param] = &[o("skiplock", Kind::Bool)];

/// What only the background form of a VM's change takes.
pub const QEMU_CHANGE_LATER: &[Param] = &[
    o("background_delay", Kind::Int { min: Some(1), max: Some(30) }),
    o("import-working-storage", Kind::Format(f::storage_id)),
];

/// Keys of a container's configuration, for creating and changing it.
pub const LXC_CONFIG: &[Param] = &[
    o("arch", Kind::Enum(&["amd64", "i386", "arm64", "armhf", "riscv32", "riscv64"])),
    o("cmode", Kind::Enum(&["shell", "console", "tty"])),
    o("console", Kind::Bool),
    o("cores", Kind::Int { min: Some(1), max: Some(8192) }),
    o("cpulimit", Kind::Number { min: Some(0), max: Some(8192) }),
    o("cpuunits", Kind::Int { min: Some(0), max: Some(500_000) }),
    o("debug", Kind::Bool),
    o("description", DESCRIPTION),
    o("dev[n]", Kind::Props(&p::LXC_DEVICE)),
    since_9("entrypoint", Kind::Pattern(no_control)),
    since_9("env", Kind::Pattern(no_control)),
    o("features", Kind::Props(&p::FEATURES)),
    o("hookscript", Kind::Text),
    o("hostname", Kind::Format(f::dns_name)),
    o(
        "lock",
        Kind::Enum(&[
            "backup",
            "create",
            "destroyed",
            "disk",
            "fstrim",
            "migrate",
            "mounted",
            "rollback",
            "snapshot",
            "snapshot-delete",
        ]),
    ),
    o("memory", Kind::Int { min: Some(16), max: None }),
    o("mp[n]", Kind::Props(&p::LXC_MOUNT)),
    o("nameserver", Kind::Text),
    o("net[n]", Kind::Props(&p::LXC_NET)),
    o("onboot", Kind::Bool),
    o(
        "ostype",
        Kind::Enum(&[
            "debian",
            "devuan",
            "ubuntu",
            "centos",
            "fedora",
            "opensuse",
            "archlinux",
            "alpine",
            "gentoo",
            "nixos",
            "unmanaged",
        ]),
    ),
    o("protection", Kind::Bool),
    o("rootfs", Kind::Props(&p::LXC_ROOTFS)),
    o("searchdomain", Kind::Text),
    o("startup", Kind::Text),
    o("swap", AT_LEAST_0),
    o("tags", Kind::List(f::tags)),
    o("template", Kind::Bool),
    o("timezone", Kind::Format(time_zone)),
    o("tty", Kind::Int { min: Some(0), max: Some(6) }),
    o("unprivileged", Kind::Bool),
    o("unused[n]", Kind::Text),
];

/// What only the creation of a container takes.
pub const LXC_CREATE: &[Param] = &[
    required("ostemplate", Kind::Short { min: 0, max: 255 }),
    required("vmid", Kind::Vmid),
    o("bwlimit", Kind::Number { min: Some(0), max: None }),
    o("force", Kind::Bool),
    since_9("ha-managed", Kind::Bool),
    o("ignore-unpack-errors", Kind::Bool),
    o("password", Kind::Short { min: 5, max: usize::MAX }),
    o("pool", Kind::Format(f::pool_id)),
    o("restore", Kind::Bool),
    o("ssh-public-keys", Kind::Text),
    o("start", Kind::Bool),
    o("storage", Kind::Format(f::storage_id)),
    o("unique", Kind::Bool),
];
