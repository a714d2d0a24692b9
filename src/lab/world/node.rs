//! A host: its hardware, interfaces and files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::{self, Machine};
use super::{Around, Enforced, Firewall, System, Units, Version, Volume, Zfs};

/// One node of the site.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Address that the cluster knows it by.
    pub address: String,
    /// Whether it answers.
    pub online: bool,
    /// Logical CPUs.
    pub cpus: u32,
    /// CPU as `/proc/cpuinfo` names it.
    pub cpu_model: String,
    /// RAM in bytes.
    pub memory: u64,
    /// Size of the root file system in bytes.
    pub root_size: u64,
    /// What the system itself takes of the root file system, in bytes.
    pub root_used: u64,
    /// When it was booted, in milliseconds since the epoch.
    pub booted_ms: i64,
    /// SHA-256 fingerprint of its API certificate, as PVE prints it.
    pub fingerprint: String,
    /// PCI devices by full address, such as `0000:01:00.0`.
    pub pci: BTreeMap<String, PciDevice>,
    /// Network interfaces by name, as they are in effect.
    pub networks: BTreeMap<String, Network>,
    /// Network interfaces as they will be once they are applied, and since when in milliseconds.
    pub staged_networks: Option<(i64, BTreeMap<String, Network>)>,
    /// Whether PVE wrote `/etc/network/interfaces`; the installer and people leave its header out.
    pub networks_by_pve: bool,
    /// The host's own firewall.
    pub firewall: Firewall,
    /// Rules of `iptables` that somebody loaded by hand, by table (`nat`, `raw`), as `iptables-save` prints them.
    pub loaded_rules: BTreeMap<String, Vec<String>>,
    /// What of the firewall is in force.
    pub enforced: Enforced,
    /// What systemd was told.
    pub units: Units,
    /// Processor, kernel, services and settings of the host itself.
    pub system: System,
    /// What is below Proxmox: firmware, boot chain, what runs.
    pub machine: Machine,
    /// Files that were put there, by absolute path. What PVE makes of its configuration is not in here.
    pub files: BTreeMap<String, File>,
    /// Directories that were made, by absolute path, with their mode; parents of files exist without it.
    pub directories: BTreeMap<String, File>,
    /// Volumes of directory storages by storage and name within it (`iso/x.iso`, `100/vm-100-disk-0.raw`).
    pub volumes: BTreeMap<String, BTreeMap<String, Volume>>,
    /// Pools and datasets.
    pub zfs: Zfs,
    /// Whether the daemon that does what needs root is down, while the one that speaks HTTP is up.
    pub pvedaemon_down: bool,
    /// Its clock, and who else is on its networks.
    pub around: Around,
    /// LVM volume groups by name.
    pub volume_groups: BTreeMap<String, VolumeGroup>,
    /// Storages whose size here is known without what it is made of, by id.
    pub capacities: BTreeMap<String, Capacity>,
}

/// How large a storage is on one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are taken by what is not in the world.
    pub other: u64,
}

/// An LVM volume group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeGroup {
    /// Size in bytes.
    pub size: u64,
    /// Thin pools in it and their sizes in bytes.
    pub thin_pools: BTreeMap<String, u64>,
}

/// One PCI function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PciDevice {
    /// Class with subclass and interface, such as `030000`.
    pub class: String,
    /// Vendor, four hex digits.
    pub vendor: String,
    /// Device, four hex digits.
    pub device: String,
    /// Name of the vendor, if the id database knows it.
    pub vendor_name: Option<String>,
    /// Name of the device, if the id database knows it.
    pub device_name: Option<String>,
    /// Name of the subsystem, if the id database knows it.
    pub subsystem_device_name: Option<String>,
    /// Subsystem vendor, four hex digits.
    pub subsystem_vendor: String,
    /// Subsystem device, four hex digits.
    pub subsystem_device: String,
    /// Group that the hardware puts it in once the IOMMU is active; -1 where there is none at all. What
    /// shows is [`Node::iommu_group`].
    pub iommu_group: i32,
    /// Driver that is bound to it.
    pub driver: Option<String>,
    /// Driver that takes it by itself, where that is not the usual one of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_driver: Option<String>,
    /// Whether the firmware shows its messages on it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub boot_vga: bool,
}

impl Node {
    /// Release of the running kernel.
    #[must_use]
    pub fn kernel(&self, version: Version) -> &str {
        match (self.machine.running.kernel.as_str(), self.system.kernel_release.as_str()) {
            ("", "") => machine::usual_kernel(version),
            ("", release) | (release, _) => release,
        }
    }

    /// The IOMMU group of a function; none while no IOMMU is active.
    #[must_use]
    pub fn iommu_group(&self, address: &str) -> Option<u32> {
        let active = !self.machine.is_installed() || self.machine.running.iommu;
        let group = self.pci.get(address).filter(|_| active)?.iommu_group;
        u32::try_from(group).ok()
    }
}

impl PciDevice {
    /// `vendor:device`, as a mapping holds it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.vendor, self.device)
    }

    /// `vendor:device` of the subsystem.
    #[must_use]
    pub fn subsystem_id(&self) -> String {
        format!("{}:{}", self.subsystem_vendor, self.subsystem_device)
    }
}

/// One interface of `/etc/network/interfaces`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// `eth`, `bridge`, `bond`, `vlan`.
    pub kind: String,
    /// Address with prefix length.
    pub cidr: Option<String>,
    /// Default gateway.
    pub gateway: Option<String>,
    /// Ports of a bridge, separated by spaces.
    pub ports: String,
    /// Whether a bridge knows VLANs.
    pub vlan_aware: bool,
    /// Whether it comes up by itself.
    pub autostart: bool,
    /// There as hardware, but `/etc/network/interfaces` does not mention it.
    pub unlisted: bool,
    /// What else was set, by PVE's names: `comments`, `mtu`, `slaves`, `bond_mode`, `vlan-raw-device`, `cidr6` …
    pub options: BTreeMap<String, String>,
}

/// A file or directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its bytes; empty for a directory.
    #[serde(with = "base64_bytes")]
    pub content: Vec<u8>,
    /// Permission bits, such as `0o644`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last written, in milliseconds since the epoch.
    pub modified_ms: i64,
    /// What it hashes to, in hex, where its bytes are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
