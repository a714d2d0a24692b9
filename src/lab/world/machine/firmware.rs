//! Settings of the firmware, and what the hardware can do.

use serde::{Deserialize, Serialize};

/// Settings of the firmware, and what the hardware can do. Whether it starts by UEFI is the node's
/// [`legacy_bios`](crate::lab::world::System::legacy_bios).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Firmware {
    /// Whether the board has an IOMMU at all.
    pub has_iommu: bool,
    /// VT-d or AMD-Vi is switched on.
    pub iommu: bool,
    /// Interrupts of devices can be remapped.
    pub interrupt_remapping: bool,
    /// Secure Boot is enforced.
    pub secure_boot: bool,
    /// Windows of devices may lie above 4 GiB.
    pub above_4g: bool,
    /// A reboot ends in the firmware: the host does not come back.
    pub stuck: bool,
}

impl Default for Firmware {
    fn default() -> Self {
        Self {
            has_iommu: true,
            iommu: true,
            interrupt_remapping: true,
            secure_boot: false,
            above_4g: true,
            stuck: false,
        }
    }
}
