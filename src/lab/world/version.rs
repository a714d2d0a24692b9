//! Which Proxmox VE the site runs.

use serde::{Deserialize, Serialize};

/// A version profile: the lab answers as this release does where releases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Version {
    /// Proxmox VE 8.4.
    #[serde(rename = "8.4")]
    V8_4,
    /// Proxmox VE 9.1.
    #[serde(rename = "9.1")]
    V9_1,
    /// Proxmox VE 9.2: the one whose behaviour was recorded.
    #[default]
    #[serde(rename = "9.2")]
    V9_2,
}

impl Version {
    /// Every profile, oldest first.
    pub const ALL: [Self; 3] = [Self::V8_4, Self::V9_1, Self::V9_2];

    /// As `GET /version` names the release.
    #[must_use]
    pub fn release(self) -> &'static str {
        match self {
            Self::V8_4 => "8.4",
            Self::V9_1 => "9.1",
            Self::V9_2 => "9.2",
        }
    }

    /// The full version of the management package.
    #[must_use]
    pub fn full(self) -> &'static str {
        match self {
            Self::V8_4 => "8.4.14",
            Self::V9_1 => "9.1.5",
            Self::V9_2 => "9.2.11",
        }
    }

    /// The QEMU that this release ships, as it stands in `meta`.
    #[must_use]
    pub fn qemu(self) -> &'static str {
        match self {
            Self::V8_4 => "9.2.0",
            Self::V9_1 => "10.1.2",
            Self::V9_2 => "10.0.13",
        }
    }
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|v| v.release() == text);
        known.ok_or_else(|| format!("`{text}` is none of 8.4, 9.1, 9.2"))
    }
}
