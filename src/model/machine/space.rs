//! Space on file systems that the system itself needs.

use serde::{Deserialize, Serialize};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// The path that was asked about: `/`, `/boot`, `/boot/efi`.
    pub path: String,
    /// Where what holds that path is mounted.
    pub mounted_on: String,
    /// `/dev/mapper/pve-root`.
    pub source: String,
    /// `ext4`, `zfs`, `vfat`.
    pub kind: String,
    /// Bytes in all.
    pub size: u64,
    /// Bytes that are free for root.
    pub available: u64,
}
