//! A host below Proxmox: firmware, boot chain, what runs, and what the next boot will make of it.
//!
//! Owns plain data and one pure state machine, [`boot`]: what runs follows from the firmware, from what the
//! boot loader and the initial RAM disk were *given* at their last refresh, and from nothing else. Files
//! below `/etc` are the node's own ([`Node::files`](super::Node::files)); changing them changes nothing that
//! runs until they were refreshed and the host was booted. Entry: [`Machine`], [`install`].

mod boot;
mod drivers;
mod firmware;
mod install;
mod modprobe;
mod packages;
mod refresh;
mod running;

pub use boot::{Boot, Given, Image, Loader, newest};
pub use drivers::{module_of, native_driver};
pub use firmware::Firmware;
pub use install::{install, usual_kernel, usual_units};
pub use modprobe::{Modprobe, module_name};
pub use packages::usual_packages;
pub use refresh::{kernel_command_line, refresh_images, refresh_loader};
pub use running::{Running, boot, has_module, load_module, unload_module};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Service;

/// A host below Proxmox.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Settings of the firmware, and what the hardware can do.
    pub firmware: Firmware,
    /// The boot chain: what the next boot starts with.
    pub boot: Boot,
    /// What runs since the last boot.
    pub running: Running,
    /// Attributes of PCI functions in `/sys` that are not the usual ones, by address and name; an empty
    /// value takes the attribute away.
    pub attributes: BTreeMap<String, BTreeMap<String, String>>,
    /// Lines that the kernel prints beside the usual ones, without their time.
    pub messages: Vec<String>,
    /// Memory that the firmware keeps using through a function's slot (RMRR), by address: `0x… 0x…`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub firmware_memory: BTreeMap<String, String>,
    /// Lines of `/proc/iomem` beside the usual ones.
    pub iomem: Vec<String>,
    /// Versions of installed packages by name.
    pub packages: BTreeMap<String, String>,
    /// Units of systemd beside Proxmox's services, by full name.
    pub units: BTreeMap<String, Service>,
    /// Kernel settings that are not the usual ones, by dotted name.
    pub sysctls: BTreeMap<String, String>,
    /// Units that failed.
    pub failed: std::collections::BTreeSet<String>,
    /// Processes that somebody runs: what they are called with, by id.
    pub processes: BTreeMap<u32, String>,
    /// How pools are, beside their health, by name.
    pub pools: BTreeMap<String, PoolState>,
    /// A reboot that is under way.
    pub reboot: Option<Reboot>,
}

/// How a pool is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolState {
    /// Percentage that its free space is fragmented.
    pub fragmentation: u32,
    /// When the last scrub ended, in milliseconds since the epoch; never, if none.
    pub scrubbed_ms: Option<i64>,
    /// Its disks and their states.
    pub disks: BTreeMap<String, String>,
    /// Files with errors that could not be repaired.
    pub data_errors: u32,
}

impl Default for PoolState {
    fn default() -> Self {
        let disk = "nvme-Samsung_SSD_990_PRO_2TB_S7KGNS0W-part3".to_owned();
        Self { fragmentation: 12, scrubbed_ms: None, disks: [(disk, "ONLINE".to_owned())].into(), data_errors: 0 }
    }
}

/// A reboot that is under way, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// Until then the old system still answers.
    pub stops_ms: i64,
    /// From then on the new one does.
    pub up_ms: i64,
}

impl Machine {
    /// Whether the world says anything about it; worlds of earlier releases do not.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        !self.running.kernel.is_empty()
    }
}
