//! Where the firmware's console is drawn.

use serde::{Deserialize, Serialize};

use crate::model::PciAddress;

/// Memory in which the kernel draws the firmware's console, as `/proc/iomem` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFramebuffer {
    /// `BOOTFB`, `efifb`, `simplefb`, `vesafb`.
    pub name: String,
    /// The range as it is printed; zeros for anybody but root.
    pub range: String,
    /// The function whose memory it is in.
    pub function: Option<PciAddress>,
}
