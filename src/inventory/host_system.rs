//! What is declared of a host's own system: what `infra prepare` brings about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{KernelParameter, ModuleName, Package, SysctlKey, SysctlValue, VfioBinding};
use crate::diag::Spanned;
use crate::model::Size;

/// What a host's own system shall be; `infra prepare` makes it so.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct HostSystem {
    /// Parameters that the kernel shall be started with; others stay as they are.
    #[schemars(example = &["iommu=pt"])]
    pub kernel_parameters: Option<Vec<Spanned<KernelParameter>>>,
    /// When the GPUs that are passed to VMs are taken by `vfio-pci`; `start` unless given.
    pub vfio: Option<Spanned<VfioBinding>>,
    /// Modules to load at boot, beside those that passing GPUs through needs.
    pub modules: Option<Vec<Spanned<ModuleName>>>,
    /// The most that ZFS may take for its cache (ARC).
    #[schemars(example = &"16GiB")]
    pub arc: Option<Spanned<Size>>,
    /// Memory that is kept for the host itself, beside guests and ZFS's cache.
    #[schemars(example = &"4GiB")]
    pub reserve: Option<Spanned<Size>>,
    /// Settings of the kernel.
    pub sysctl: Option<BTreeMap<Spanned<SysctlKey>, Spanned<SysctlValue>>>,
    /// Debian packages that the host shall have.
    pub packages: Option<Vec<Spanned<Package>>>,
}
