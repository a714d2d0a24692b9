//! What hands devices to virtual machines.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The kernel's side of passthrough.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vfio {
    /// Its modules that are loaded: `vfio`, `vfio_iommu_type1`, `vfio_pci`, …
    pub modules: BTreeSet<String>,
    /// Whether devices are passed through without interrupt remapping; `None` while the module is not loaded.
    pub allow_unsafe_interrupts: Option<bool>,
}
