//! What translates and separates the memory accesses of devices.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::PciAddress;

/// IOMMU units and the groups that devices are in.
///
/// `dmesg` is no part of it: kernel 6.12 prints `DMAR: IOMMU enabled` without any IOMMU hardware, and does
/// not where one is active (`host/boot5-…`, `host/boot1-…` of the recordings).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iommu {
    /// `/sys/class/iommu`: the units. PVE refuses passthrough exactly when there is none
    /// (pve-common, `SysFSTools.pm`).
    pub units: BTreeSet<String>,
    /// `/sys/kernel/iommu_groups` by number.
    pub groups: BTreeMap<u32, IommuGroup>,
    /// Whether the firmware describes one, in the ACPI table `DMAR` (Intel) or `IVRS` (AMD); `None` where nobody
    /// could look. Without a table no command line brings one about: it is switched off there, or not built in.
    #[serde(default)]
    pub described: Option<bool>,
}

impl Iommu {
    /// Whether it is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.units.is_empty() && !self.groups.is_empty()
    }

    /// The group of a device.
    #[must_use]
    pub fn group_of(&self, address: &PciAddress) -> Option<u32> {
        self.groups.iter().find(|(_, group)| group.devices.contains(address)).map(|(number, _)| *number)
    }
}

/// Devices that can only be passed through together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IommuGroup {
    /// Functions in it.
    pub devices: BTreeSet<PciAddress>,
    /// How it is translated; `None` where it could not be read.
    pub domain: Option<IommuDomain>,
    /// Memory that the firmware keeps using behind its devices' backs (RMRR), as ranges; not that of displays and
    /// USB controllers, which ends with the boot. With such a range the kernel hands no device of it to a VM.
    #[serde(default)]
    pub firmware_memory: Vec<String>,
}

/// How a group's accesses are translated: `/sys/kernel/iommu_groups/N/type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IommuDomain {
    /// `DMA`
    Strict,
    /// `DMA-FQ`
    Lazy,
    /// `identity`: not translated, as with `iommu=pt`.
    Identity,
    /// `blocked`, `auto`, or one that later kernels know.
    Other,
}
