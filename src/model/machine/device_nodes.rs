//! Device nodes that containers are given.

use serde::{Deserialize, Serialize};

/// A file below `/dev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFile {
    /// Whether it is a character or block device, not a file that somebody left there.
    pub is_device: bool,
    /// Owner on the host.
    pub uid: u32,
    /// Group on the host.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}
