//! The operating system: release, packages, repositories, services.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `/etc/os-release`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsRelease {
    /// `ID`: `debian`, `ubuntu`.
    pub id: String,
    /// `VERSION_ID`: `13`; empty on a testing release.
    pub version: String,
    /// `VERSION_CODENAME`: `trixie`.
    pub codename: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// Packages of a fixed list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    /// Versions of those that are installed and configured. What was asked for and is not in it is not installed.
    pub installed: BTreeMap<String, String>,
    /// Those that are neither installed nor absent: `half-configured`, `half-installed`, `unpacked`, …
    pub broken: BTreeMap<String, String>,
}

/// A source of packages: one `deb` line, or one combination of a stanza of a `.sources` file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AptSource {
    /// The file.
    pub file: String,
    /// Which line it begins on, from 1.
    pub line: usize,
    /// `https://enterprise.proxmox.com/debian/pve`, without a final slash.
    pub uri: String,
    /// `trixie`.
    pub suite: String,
    /// `pve-enterprise`.
    pub component: String,
    /// Whether it is used.
    pub enabled: bool,
}

/// Where packages come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apt {
    /// Sources of binary packages, in the order of the files.
    pub sources: Vec<AptSource>,
    /// Whether a subscription key is stored (`/etc/subscription`); the key itself is not read.
    pub subscription: bool,
    /// Index files of Proxmox's repositories that `apt` has fetched, with the time of their making by the server.
    pub indexes: BTreeMap<String, i64>,
}

/// `systemctl --failed`: units that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedUnits {
    /// Names with what systemd calls them.
    pub units: BTreeMap<String, String>,
}

/// The NVIDIA driver of the host itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvidiaDriver {
    /// `/proc/driver/nvidia/version`: such as `570.133.07`; `None` where it is not loaded.
    pub version: Option<String>,
    /// Files in `/dev` that it made: `nvidia0`, `nvidia-uvm`, `nvidiactl`.
    pub devices: Vec<String>,
}
