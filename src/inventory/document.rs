//! The whole of an inventory.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{Digest, PublicKey};
use super::{Dns, FirewallSection, Guest, Host, Image, Ingress, Model, SecretsSection, TailnetSection};
use crate::diag::Spanned;
use crate::model::{EnvironmentName, GuestName, HostName, ModelName, PoolName};

/// One environment: its hosts, and the guests that shall be on them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(title = "infra inventory")]
pub struct Document {
    /// The version of this format: 1.
    #[schemars(required, range(min = 1, max = 1))]
    pub schema: Option<Spanned<u32>>,
    /// The environment's name; it marks what belongs to it.
    #[schemars(required, example = &"vrooli")]
    pub name: Option<Spanned<EnvironmentName>>,
    /// The resource pool of its guests; the environment's name unless given.
    pub pool: Option<Spanned<PoolName>>,
    /// Public SSH keys for every guest that lists none of its own.
    pub ssh_keys: Option<Vec<Spanned<PublicKey>>>,
    /// Proxmox VE hosts by name.
    #[schemars(required)]
    pub hosts: Option<BTreeMap<Spanned<HostName>, Spanned<Host>>>,
    /// Cloud images and container templates by name.
    pub images: Option<BTreeMap<Spanned<String>, Spanned<Image>>>,
    /// What container images are made of, by `repository:tag`: as locked by `infra images lock`.
    pub image_digests: Option<BTreeMap<Spanned<String>, Spanned<Digest>>>,
    /// What guests' firewalls share.
    pub firewall: Option<Spanned<FirewallSection>>,
    /// The reverse proxy that the sites of `routes` come in by.
    pub ingress: Option<Spanned<Ingress>>,
    /// Names of guests and sites.
    pub dns: Option<Spanned<Dns>>,
    /// The tailnet that guests with `access` join.
    pub tailnet: Option<Spanned<TailnetSection>>,
    /// Where the values of secrets come from.
    pub secrets: Option<Spanned<SecretsSection>>,
    /// Models by the name that they are asked for by. From it come pulls, routing and what is checked of memory.
    pub models: Option<BTreeMap<Spanned<ModelName>, Spanned<Model>>>,
    /// VMs and containers by name, which is also their host name.
    pub guests: Option<BTreeMap<Spanned<GuestName>, Spanned<Guest>>>,
}
