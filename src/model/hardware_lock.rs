//! What the GPUs of an inventory were when somebody last looked and said: this is right.
//!
//! Owns the form of `hardware.lock.json`. It is memory for people and for reports, no state: nothing is
//! planned from it, and without it plans are the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GpuName, HostName, PciAddress, PciId};

/// The format that is written; a file of a later one is not read.
pub const HARDWARE_LOCK_FORMAT: u32 = 1;

/// The whole file, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HardwareLock {
    /// [`HARDWARE_LOCK_FORMAT`] of the version that wrote it.
    pub format: u32,
    /// Hosts by the inventory's names.
    pub hosts: BTreeMap<HostName, LockedHost>,
}

impl Default for HardwareLock {
    fn default() -> Self {
        Self { format: HARDWARE_LOCK_FORMAT, hosts: BTreeMap::new() }
    }
}

/// A host as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockedHost {
    /// `uname -r`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Version of Proxmox VE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxmox: Option<String>,
    /// Version of ZFS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zfs: Option<String>,
    /// GPUs by the inventory's names.
    #[serde(default)]
    pub gpus: BTreeMap<GpuName, LockedGpu>,
}

/// A GPU as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockedGpu {
    /// Vendor and device.
    pub id: PciId,
    /// Vendor and device of its board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<PciId>,
    /// Where it sat, without a function.
    pub address: PciAddress,
    /// Its IOMMU group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// Its serial number, where it tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// What became of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HardwareChange {
    /// It was not recorded before.
    New {
        /// What it is.
        now: LockedGpu,
    },
    /// It is not found any more.
    Gone {
        /// What it was.
        was: LockedGpu,
    },
    /// Another card is there under its name.
    OtherCard {
        /// What it was.
        was: LockedGpu,
        /// What it is.
        now: LockedGpu,
    },
    /// The same card has another address.
    Moved {
        /// What it was.
        was: LockedGpu,
        /// What it is.
        now: LockedGpu,
    },
    /// The same card at the same address is in another group.
    OtherGroup {
        /// What it was.
        was: LockedGpu,
        /// What it is.
        now: LockedGpu,
    },
}

impl LockedHost {
    /// What became of its GPUs, by their names; those of which nothing changed are not in it.
    #[must_use]
    pub fn changes(&self, now: &Self) -> BTreeMap<GpuName, HardwareChange> {
        let mut changes = BTreeMap::new();
        for (name, was) in &self.gpus {
            let change = now
                .gpus
                .get(name)
                .map_or_else(|| Some(HardwareChange::Gone { was: was.clone() }), |now| between(was, now));
            changes.extend(change.map(|change| (name.clone(), change)));
        }
        for (name, gpu) in now.gpus.iter().filter(|(name, _)| !self.gpus.contains_key(name)) {
            changes.insert(name.clone(), HardwareChange::New { now: gpu.clone() });
        }
        changes
    }
}

fn between(was: &LockedGpu, now: &LockedGpu) -> Option<HardwareChange> {
    let (was, now) = (was.clone(), now.clone());
    // A serial that is told only at times (it takes its driver, or a newer kernel) tells nothing by its absence.
    let other_serial = was.serial.is_some() && now.serial.is_some() && was.serial != now.serial;
    if (was.id, was.subsystem) != (now.id, now.subsystem) || other_serial {
        Some(HardwareChange::OtherCard { was, now })
    } else if was.address != now.address {
        Some(HardwareChange::Moved { was, now })
    } else if was.group != now.group {
        Some(HardwareChange::OtherGroup { was, now })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(address: &str, group: u32, serial: Option<&str>) -> LockedGpu {
        LockedGpu {
            id: "10de:2684".parse().unwrap(),
            subsystem: None,
            address: address.parse().unwrap(),
            group: Some(group),
            serial: serial.map(str::to_owned),
        }
    }

    fn host(gpu: LockedGpu) -> LockedHost {
        LockedHost { gpus: BTreeMap::from([("rtx4090".parse().unwrap(), gpu)]), ..LockedHost::default() }
    }

    #[test]
    fn moving_is_told_from_exchange_and_from_another_group() {
        let was = host(gpu("0000:01:00", 14, Some("a1")));
        let change = |now: LockedGpu| was.changes(&host(now)).into_values().next();
        assert_eq!(change(gpu("0000:01:00", 14, None)), None, "a serial that is not told is no other card");
        assert!(matches!(change(gpu("0000:02:00", 15, None)), Some(HardwareChange::Moved { .. })));
        assert!(matches!(change(gpu("0000:01:00", 15, Some("a1"))), Some(HardwareChange::OtherGroup { .. })));
        assert!(matches!(change(gpu("0000:01:00", 14, Some("b2"))), Some(HardwareChange::OtherCard { .. })));
        assert!(matches!(was.changes(&LockedHost::default()).into_values().next(), Some(HardwareChange::Gone { .. })));
        assert!(matches!(LockedHost::default().changes(&was).into_values().next(), Some(HardwareChange::New { .. })));
    }

    #[test]
    fn it_reads_back_as_written_and_nothing_unknown_is_swallowed() {
        let lock = HardwareLock {
            hosts: BTreeMap::from([("hq".parse().unwrap(), host(gpu("0000:01:00", 14, Some("a1"))))]),
            ..HardwareLock::default()
        };
        let text = serde_json::to_string_pretty(&lock).unwrap();
        assert_eq!(serde_json::from_str::<HardwareLock>(&text).unwrap(), lock);
        assert!(text.contains("\"address\": \"0000:01:00\"") && !text.contains("subsystem"));
        assert!(serde_json::from_str::<HardwareLock>(&text.replace("\"group\"", "\"gruop\"")).is_err());
    }
}
