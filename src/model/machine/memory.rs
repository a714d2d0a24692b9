//! Memory and what ZFS takes of it.

use serde::{Deserialize, Serialize};

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// `MemTotal`: what the kernel can use.
    pub total: u64,
    /// `MemAvailable`: what could be had without swapping. ZFS's cache counts as taken.
    pub available: u64,
    /// `SwapTotal`.
    pub swap: u64,
    /// `HugePages_Total` × `Hugepagesize`: taken from everybody else.
    pub huge_pages: u64,
    /// ZFS's cache; `None` where the module is not loaded.
    pub arc: Option<Arc>,
}

/// The cache of ZFS, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arc {
    /// What it takes now.
    pub size: u64,
    /// `c_max`: what it may take.
    pub limit: u64,
    /// `c_min`: below which it is not pressed.
    pub floor: u64,
    /// `/sys/module/zfs/parameters/zfs_arc_max`: 0 where nobody set it.
    pub parameter: u64,
}
