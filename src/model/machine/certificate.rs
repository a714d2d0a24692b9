//! Certificates of the API.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Fingerprint;

/// A certificate file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its file.
    pub path: String,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// Its SHA-256.
    pub fingerprint: Fingerprint,
}

/// The certificates that `pveproxy` may serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// Proxmox's own: `pve-ssl.pem`, which `pveupdate` renews.
    pub own: Certificate,
    /// One that somebody put there: `pveproxy-ssl.pem`, served instead if it is there.
    pub custom: Option<Certificate>,
}

impl Certificates {
    /// The one that is served.
    #[must_use]
    pub fn served(&self) -> &Certificate {
        self.custom.as_ref().unwrap_or(&self.own)
    }
}
