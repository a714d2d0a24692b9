//! What a host is below Proxmox: kernel, firmware, devices, boot chain, pools, packages.
//!
//! One type per fact, each read on its own: what could not be read is unavailable and says why, so that
//! nothing is ever judged from a guess. `observe::facts::machine` reads them, `checks` judge them.

mod iommu;
mod kernel;

pub use iommu::{Iommu, IommuDomain, IommuGroup};
pub use kernel::Kernel;

use serde::{Deserialize, Serialize};

use super::observed::Fact;

/// A host below Proxmox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The kernel that runs.
    pub kernel: Fact<Kernel>,
    /// What translates and separates the memory accesses of devices.
    pub iommu: Fact<Iommu>,
}

impl Machine {
    /// Nothing could be read.
    #[must_use]
    pub fn unavailable(why: &str) -> Self {
        Self { kernel: Fact::unavailable(why), iommu: Fact::unavailable(why) }
    }
}
