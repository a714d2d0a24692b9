//! The tailnet that guests join.

use std::collections::{BTreeMap, BTreeSet};

use super::{Blueprint, DeviceNode, GuestShape, Party, SecretRef, Trust};
use crate::diag::Span;
use crate::model::GuestName;

/// What `tailscaled` makes its interface with; an unprivileged container has it only if it is given it.
pub const TUN: &str = "/dev/net/tun";

impl Blueprint {
    /// Guests that join the tailnet: those that somebody in it has access to, and those that are to join anyway.
    #[must_use]
    pub fn tailnet_members(&self) -> BTreeSet<GuestName> {
        let Some(tailnet) = &self.tailnet else { return BTreeSet::new() };
        let reached = self.flows.iter().filter_map(|flow| match (&flow.from, &flow.to) {
            (Party::Tailnet(_), Party::Guest(to)) => Some(to.clone()),
            _ => None,
        });
        reached.chain(tailnet.members.iter().cloned()).filter(|guest| self.guests.contains_key(guest)).collect()
    }

    /// Gives containers that join the tailnet the tunnel device, unless the inventory does.
    pub(super) fn give_tunnels(&mut self) {
        for member in self.tailnet_members() {
            let Some(GuestShape::Container(container)) = self.guests.get_mut(&member).map(|guest| &mut guest.shape)
            else {
                continue;
            };
            if container.devices.iter().all(|device| device.path != TUN) {
                container.devices.push(DeviceNode { path: TUN.to_owned(), uid: 0, gid: 0, mode: 0o666 });
            }
        }
    }
}

/// A tailnet, and what an environment asks of its policy beside the flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tailnet {
    /// `-` for the one that the key belongs to, or its organisation's name.
    pub name: String,
    /// Who runs its control plane.
    pub control: ControlPlane,
    /// Where its API is: scheme, host and port, without a path.
    pub url: String,
    /// What opens it.
    pub key: SecretRef,
    /// How it proves who it is; `None` for the CAs that the system trusts.
    pub trust: Option<Trust>,
    /// As what rules are written.
    pub style: PolicyStyle,
    /// Who may give the tags of the guests.
    pub owners: Vec<String>,
    /// Further tags, as `tag:name`, and who may give them.
    pub tags: BTreeMap<String, Vec<String>>,
    /// Groups, as `group:name`, and who is in them.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Tailscale SSH, if terminals go over it.
    pub ssh: Option<TailnetSsh>,
    /// Guests that join although nobody has access to them.
    pub members: BTreeSet<GuestName>,
    /// Who administers the hosts over it; `None` if nothing is said of that.
    pub operators: Option<Vec<String>>,
    /// Where it was declared.
    pub span: Span,
}

/// Who runs the control plane of a tailnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlPlane {
    /// Tailscale.
    Tailscale,
    /// Headscale.
    Headscale,
}

/// As what rules are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyStyle {
    /// `grants`.
    Grants,
    /// `acls`.
    Acls,
}

/// Tailscale SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailnetSsh {
    /// As whom one may log in.
    pub users: Vec<String>,
    /// Whether people have to log in anew; tagged devices cannot.
    pub check: bool,
    /// Where it was declared.
    pub span: Span,
}
