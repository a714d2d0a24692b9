//! The tailnet that guests join.

use std::collections::{BTreeMap, BTreeSet};

use super::{SecretRef, Trust};
use crate::diag::Span;
use crate::model::GuestName;

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
