//! A tailnet as its control plane shows it.

use serde::{Deserialize, Serialize};

use super::observed::Fact;

/// What was read of a tailnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailnetSeen {
    /// Its policy, as it is written.
    pub policy: Fact<String>,
    /// Its devices.
    pub devices: Fact<Vec<TailnetDevice>>,
}

/// A device of a tailnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailnetDevice {
    /// What the API calls it.
    pub id: String,
    /// The name that it gave itself.
    pub hostname: String,
    /// Its full name in the tailnet's own zone, such as `plan-hq.tail1234.ts.net`; empty where none is told.
    #[serde(default)]
    pub name: String,
    /// Its tags; with one, it belongs to nobody.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The login of whoever it belongs to.
    #[serde(default)]
    pub user: String,
    /// Its addresses in the tailnet.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Networks that it leads to for others, approved ones alone.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Whether it was approved.
    #[serde(default)]
    pub authorized: bool,
    /// When its key ends, as a timestamp; empty if it never does.
    #[serde(default)]
    pub expires: String,
    /// When it was last connected, as a timestamp; empty where that is not told.
    #[serde(default)]
    pub last_seen: String,
}

/// Tailscale in a guest, as the guest itself says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestTailscale {
    /// Distribution and release by their short names, such as `debian trixie`; empty where it does not say.
    #[serde(default)]
    pub system: String,
    /// Whether the program is there.
    pub installed: bool,
    /// Whether `tailscaled` starts with the guest.
    pub enabled: bool,
    /// What `tailscaled` says; nothing where it does not run.
    pub daemon: Option<Tailscaled>,
}

/// What `tailscaled` says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tailscaled {
    /// Whether it is logged in.
    pub login: Login,
    /// What the control plane calls this device; empty where it has none.
    pub id: String,
    /// Whether it has a key of its own from an earlier login.
    pub has_key: bool,
    /// The zone of the tailnet that it is in, such as `tail1234.ts.net`; empty where there is none.
    pub zone: String,
    /// The control plane that it talks to.
    pub control_url: String,
    /// Whether terminals go over it (Tailscale SSH).
    pub ssh: bool,
    /// Whether it takes names from the tailnet and not from the guest's own name servers.
    pub takes_names: bool,
}

/// Whether a device is logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// It is, and connected.
    Running,
    /// It is, and its key has ended.
    Expired,
    /// It is, and somebody has disconnected it (`tailscale down`).
    Stopped,
    /// An administrator of the tailnet has yet to approve it.
    Unapproved,
    /// It is not, or not any more.
    #[default]
    LoggedOut,
}
