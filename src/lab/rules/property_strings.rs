//! Property strings of guests' configurations: their fields, and the formats that only fields have.

use super::formats::{config_id, is_resize, node, ok};
use super::param::{Kind, Props};

/// `ipv4`.
pub fn ipv4(text: &str) -> Result<(), String> {
    ok(text.parse::<std::net::Ipv4Addr>().is_ok(), "value does not look like a valid ipv4 address")
}

/// `ipv6`.
pub fn ipv6(text: &str) -> Result<(), String> {
    ok(text.parse::<std::net::Ipv6Addr>().is_ok(), "value does not look like a valid ipv6 address")
}

fn ipv4_config(text: &str) -> Result<(), String> {
    let fits = matches!(text, "dhcp" | "manual") || (text.contains('/') && text.parse::<ipnet::Ipv4Net>().is_ok());
    ok(fits, "value does not look like a valid ipv4 network configuration")
}

fn ipv6_config(text: &str) -> Result<(), String> {
    let fits =
        matches!(text, "auto" | "dhcp" | "manual") || (text.contains('/') && text.parse::<ipnet::Ipv6Net>().is_ok());
    ok(fits, "value does not look like a valid ipv6 network configuration")
}

fn mac(text: &str) -> Result<(), String> {
    let octets: Vec<&str> = text.split(':').collect();
    let hex = octets.len() == 6 && octets.iter().all(|o| o.len() == 2 && u8::from_str_radix(o, 16).is_ok());
    let unicast = hex && u8::from_str_radix(octets[0], 16).is_ok_and(|first| first & 1 == 0);
    ok(unicast, "value does not look like a valid unicast MAC address")
}

fn size(text: &str) -> Result<(), String> {
    ok(is_resize(text) && !text.starts_with('+'), "value does not look like a valid disk size")
}

fn pci_path(text: &str) -> bool {
    text.split(';').all(|one| one.parse::<crate::model::PciAddress>().is_ok())
}

fn pci_id(text: &str) -> bool {
    text.parse::<crate::model::PciId>().is_ok()
}

fn machine_type(text: &str) -> bool {
    matches!(text, "pc" | "q35" | "virt")
        || ["pc-i440fx-", "pc-q35-", "virt-"]
            .iter()
            .any(|p| text.strip_prefix(p).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
}

const INT: Kind = Kind::Int { min: None, max: None };

const TEXT: Kind = Kind::Text;

/// NIC models.
pub const NIC_MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

/// `netN` of a VM.
pub const QEMU_NET: Props = Props {
    default: Some("model"),
    aliases: NIC_MODELS,
    alias_value: "macaddr",
    keys: &[
        ("model", Kind::Enum(NIC_MODELS), true),
        ("macaddr", Kind::Format(mac), false),
        ("bridge", TEXT, false),
        ("firewall", Kind::Bool, false),
        ("host-tunnel", Kind::Bool, false),
        ("link_down", Kind::Bool, false),
        ("mtu", Kind::Int { min: Some(1), max: Some(65520) }, false),
        ("queues", Kind::Int { min: Some(0), max: Some(64) }, false),
        ("rate", Kind::Number { min: Some(0), max: None }, false),
        ("tag", Kind::Int { min: Some(1), max: Some(4094) }, false),
        ("trunks", TEXT, false),
    ],
};

/// A disk of a VM: the keys of all buses together.
pub const QEMU_DISK: Props = Props {
    default: Some("file"),
    aliases: &["volume"],
    alias_value: "file",
    keys: &[
        ("file", TEXT, true),
        ("aio", Kind::Enum(&["native", "threads", "io_uring"]), false),
        ("backup", Kind::Bool, false),
        ("bps", INT, false),
        ("bps_rd", INT, false),
        ("bps_wr", INT, false),
        ("cache", Kind::Enum(&["none", "writethrough", "writeback", "unsafe", "directsync"]), false),
        ("detect_zeroes", Kind::Bool, false),
        ("discard", Kind::Enum(&["ignore", "on"]), false),
        ("efitype", Kind::Enum(&["2m", "4m"]), false),
        ("format", Kind::Enum(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]), false),
        ("import-from", TEXT, false),
        ("iops", INT, false),
        ("iops_max", INT, false),
        ("iops_rd", INT, false),
        ("iops_wr", INT, false),
        ("iothread", Kind::Bool, false),
        ("mbps", Kind::Number { min: None, max: None }, false),
        ("mbps_max", Kind::Number { min: None, max: None }, false),
        ("mbps_rd", Kind::Number { min: None, max: None }, false),
        ("mbps_wr", Kind::Number { min: None, max: None }, false),
        ("media", Kind::Enum(&["cdrom", "disk"]), false),
        ("model", TEXT, false),
        ("ms-cert", TEXT, false),
        ("pre-enrolled-keys", Kind::Bool, false),
        ("product", TEXT, false),
        ("queues", INT, false),
        ("replicate", Kind::Bool, false),
        ("rerror", TEXT, false),
        ("ro", Kind::Bool, false),
        ("scsiblock", Kind::Bool, false),
        ("serial", TEXT, false),
        ("shared", Kind::Bool, false),
        ("size", Kind::Format(size), false),
        ("snapshot", Kind::Bool, false),
        ("ssd", Kind::Bool, false),
        ("vendor", TEXT, false),
        ("version", Kind::Enum(&["v1.2", "v2.0"]), false),
        ("werror", TEXT, false),
        ("wwn", TEXT, false),
        ("bps_max_length", Kind::Int { min: Some(1), max: None }, false),
        ("bps_rd_max_length", Kind::Int { min: Some(1), max: None }, false),
        ("bps_wr_max_length", Kind::Int { min: Some(1), max: None }, false),
        ("iops_max_length", Kind::Int { min: Some(1), max: None }, false),
        ("iops_rd_max_length", Kind::Int { min: Some(1), max: None }, false),
        ("iops_wr_max_length", Kind::Int { min: Some(1), max: None }, false),
        ("iops_rd_max", INT, false),
        ("iops_wr_max", INT, false),
        ("mbps_rd_max", Kind::Number { min: None, max: None }, false),
        ("mbps_wr_max", Kind::Number { min: None, max: None }, false),
    ],
};

/// `agent`.
pub const AGENT: Props = Props {
    default: Some("enabled"),
    aliases: &[],
    alias_value: "",
    keys: &[
        ("enabled", Kind::Bool, true),
        ("freeze-fs", Kind::Bool, false),
        ("freeze-fs-on-backup", Kind::Bool, false),
        ("guest-fsfreeze", Kind::Bool, false),
        ("fstrim_cloned_disks", Kind::Bool, false),
        ("type", Kind::Enum(&["virtio", "isa"]), false),
    ],
};

/// `intel-tdx`.
pub const INTEL_TDX: Props = Props {
    default: Some("type"),
    aliases: &[],
    alias_value: "",
    keys: &[
        ("attestation", Kind::Bool, true),
        ("type", Kind::Enum(&["tdx"]), true),
        ("vsock-cid", Kind::Int { min: Some(2), max: None }, false),
        ("vsock-port", Kind::Int { min: Some(0), max: None }, false),
    ],
};

/// `machine`.
pub const MACHINE: Props = Props {
    default: Some("type"),
    aliases: &[],
    alias_value: "",
    keys: &[
        ("type", Kind::Pattern(machine_type), false),
        ("aw-bits", INT, false),
        ("enable-s3", Kind::Bool, false),
        ("enable-s4", Kind::Bool, false),
        ("viommu", Kind::Enum(&["intel", "virtio"]), false),
    ],
};

/// `memory` of a VM.
pub const MEMORY: Props = Props {
    default: Some("current"),
    aliases: &[],
    alias_value: "",
    keys: &[("current", Kind::Int { min: Some(16), max: None }, true)],
};

/// `hostpciN`.
pub const HOSTPCI: Props = Props {
    default: Some("host"),
    aliases: &[],
    alias_value: "",
    keys: &[
        ("host", TEXT, false),
        ("device-id", TEXT, false),
        ("driver", Kind::Enum(&["vfio", "keep"]), false),
        ("legacy-igd", Kind::Bool, false),
        ("mapping", Kind::Format(config_id), false),
        ("mdev", TEXT, false),
        ("pcie", Kind::Bool, false),
        ("rombar", Kind::Bool, false),
        ("romfile", TEXT, false),
        ("sub-device-id", TEXT, false),
        ("sub-vendor-id", TEXT, false),
        ("vendor-id", TEXT, false),
        ("x-vga", Kind::Bool, false),
    ],
};

/// `ipconfigN`.
pub const IPCONFIG: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("gw", Kind::Format(ipv4), false),
        ("gw6", Kind::Format(ipv6), false),
        ("ip", Kind::Format(ipv4_config), false),
        ("ip6", Kind::Format(ipv6_config), false),
    ],
};

/// `cicustom`.
pub const CICUSTOM: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[("meta", TEXT, false), ("network", TEXT, false), ("user", TEXT, false), ("vendor", TEXT, false)],
};

/// `netN` of a container.
pub const LXC_NET: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("name", TEXT, true),
        ("bridge", TEXT, false),
        ("firewall", Kind::Bool, false),
        ("gw", Kind::Format(ipv4), false),
        ("gw6", Kind::Format(ipv6), false),
        ("host-managed", Kind::Bool, false),
        ("hwaddr", Kind::Format(mac), false),
        ("ip", Kind::Format(ipv4_config), false),
        ("ip6", Kind::Format(ipv6_config), false),
        ("link_down", Kind::Bool, false),
        ("mtu", Kind::Int { min: Some(64), max: Some(65535) }, false),
        ("rate", Kind::Number { min: None, max: None }, false),
        ("tag", Kind::Int { min: Some(1), max: Some(4094) }, false),
        ("trunks", TEXT, false),
        ("type", Kind::Enum(&["veth"]), false),
    ],
};

/// `mpN`.
pub const LXC_MOUNT: Props = Props {
    default: Some("volume"),
    aliases: &[],
    alias_value: "",
    keys: &[
        ("volume", TEXT, true),
        ("mp", TEXT, true),
        ("acl", Kind::Bool, false),
        ("backup", Kind::Bool, false),
        ("idmap", TEXT, false),
        ("keepattrs", Kind::Bool, false),
        ("mountoptions", TEXT, false),
        ("quota", Kind::Bool, false),
        ("replicate", Kind::Bool, false),
        ("ro", Kind::Bool, false),
        ("shared", Kind::Bool, false),
        ("size", Kind::Format(size), false),
    ],
};

/// `rootfs`.
pub const LXC_ROOTFS: Props = Props {
    default: Some("volume"),
    aliases: &[],
    alias_value: "",
    keys: &[
        ("volume", TEXT, true),
        ("acl", Kind::Bool, false),
        ("idmap", TEXT, false),
        ("mountoptions", TEXT, false),
        ("quota", Kind::Bool, false),
        ("replicate", Kind::Bool, false),
        ("ro", Kind::Bool, false),
        ("shared", Kind::Bool, false),
        ("size", Kind::Format(size), false),
    ],
};

/// `features`.
pub const FEATURES: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("force_rw_sys", Kind::Bool, false),
        ("fuse", Kind::Bool, false),
        ("keyctl", Kind::Bool, false),
        ("mknod", Kind::Bool, false),
        ("mount", TEXT, false),
        ("nesting", Kind::Bool, false),
    ],
};

fn device_path(text: &str) -> Result<(), String> {
    ok(text.starts_with("/dev/"), "value does not look like a valid device path")
}

fn octal_mode(text: &str) -> bool {
    text.len() == 4 && text.starts_with('0') && text.bytes().all(|b| (b'0'..=b'7').contains(&b))
}

/// `devN`.
pub const LXC_DEVICE: Props = Props {
    default: Some("path"),
    aliases: &[],
    alias_value: "",
    keys: &[
        ("path", Kind::Format(device_path), false),
        ("deny-write", Kind::Bool, false),
        ("gid", Kind::Int { min: Some(0), max: None }, false),
        ("mode", Kind::Pattern(octal_mode), false),
        ("uid", Kind::Int { min: Some(0), max: None }, false),
    ],
};

/// One entry of a PCI mapping.
pub const PCI_MAP: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("node", Kind::Format(node), true),
        ("path", Kind::Pattern(pci_path), true),
        ("id", Kind::Pattern(pci_id), true),
        ("subsystem-id", Kind::Pattern(pci_id), false),
        ("iommugroup", INT, false),
        ("description", TEXT, false),
    ],
};
