//! How we are logged in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How we are logged in over SSH, and who the host says that it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Our user id there: 0 is root.
    pub uid: u32,
    /// Our address as the host sees it; `None` where the connection does not say.
    pub source: Option<IpAddr>,
    /// Its public host keys, `ssh-ed25519 AAAA…`, without comments.
    pub host_keys: BTreeSet<String>,
}
