//! The tailnet that guests join, and who runs its control plane.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{
    ControlPlane, HttpsUrl, LocalPath, PolicyStyle, SecretName, Selector, SshAction, TailnetName, UserName,
};
use crate::diag::Spanned;
use crate::model::{Fingerprint, GuestName};

/// The tailnet of an environment.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct TailnetSection {
    /// The organisation's name, or `-` for the one that the key belongs to, which is the default.
    #[schemars(example = &"-")]
    pub name: Option<Spanned<TailnetName>>,
    /// Who runs it: `tailscale`, unless given, or `headscale`.
    pub control: Option<Spanned<ControlPlane>>,
    /// Where its API is; `https://api.tailscale.com` unless given. Headscale needs it.
    pub url: Option<Spanned<HttpsUrl>>,
    /// An API access token (`tskey-api-…`), the secret of an OAuth client (`tskey-client-…`), or an API key of
    /// Headscale.
    #[schemars(required, example = &"secret:tailnet-key")]
    pub key: Option<Spanned<SecretName>>,
    /// SHA-256 of its certificate; a public CA vouches for it unless this or `ca_file` is given.
    pub fingerprint: Option<Spanned<Fingerprint>>,
    /// PEM file of the CA that signed its certificate.
    pub ca_file: Option<Spanned<LocalPath>>,
    /// As what rules are written: `grants`, or `acls`, which is the default with Headscale.
    pub policy: Option<Spanned<PolicyStyle>>,
    /// Who may give devices the tags of the guests; `autogroup:admin` unless given. With an OAuth client its own tag
    /// has to be among them.
    #[schemars(example = &["autogroup:admin"])]
    pub owners: Option<Vec<Spanned<Selector>>>,
    /// Further tags by name without `tag:`, such as that of a phone, and who may give them.
    pub tags: Option<BTreeMap<Spanned<String>, Vec<Spanned<Selector>>>>,
    /// Groups by name without `group:`, and the logins in them.
    pub groups: Option<BTreeMap<Spanned<String>, Vec<Spanned<Selector>>>>,
    /// Terminals over Tailscale SSH, for whoever has `access` to port 22; sshd of the guest unless given.
    pub ssh: Option<Spanned<TailnetSsh>>,
    /// Who administers the hosts themselves over the tailnet: a rule for their API and SSH is kept for each. An empty
    /// list says that nobody does.
    #[schemars(example = &["autogroup:admin"])]
    pub operators: Option<Vec<Spanned<Selector>>>,
    /// Guests that join although nobody has `access` to them.
    pub members: Option<Vec<Spanned<GuestName>>>,
}

/// Tailscale SSH.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct TailnetSsh {
    /// As whom one may log in, such as `root` or `autogroup:nonroot`.
    #[schemars(required)]
    pub users: Option<Vec<Spanned<SshUser>>>,
    /// `accept`, unless given, or `check`, which asks people to log in anew; tagged devices cannot.
    pub action: Option<Spanned<SshAction>>,
}

/// A user of a guest, or `autogroup:nonroot`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct SshUser(pub String);

impl TryFrom<String> for SshUser {
    type Error = crate::diag::Invalid;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "autogroup:nonroot" {
            return Ok(Self(text));
        }
        text.parse::<UserName>().map(|user| Self(user.0))
    }
}
