//! A host: how it is reached, and what it has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::HostSystem;
use super::firewall::HostFirewall;
use super::values::{Domain, Ip, LocalPath, PublicKey, SecretName, Subnet, TokenId, UserName};
use crate::diag::Spanned;
use crate::model::{
    BridgeName, DatasetName, Fingerprint, GpuName, HostName, NodeName, PciAddress, PciId, Size, StorageName,
};

/// One Proxmox VE host.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name in DNS, or its address.
    #[schemars(required, example = &"192.168.10.2")]
    pub address: Option<Spanned<String>>,
    /// Its node name in Proxmox; the host's name here unless given.
    #[schemars(example = &"pve1")]
    pub node: Option<Spanned<NodeName>>,
    /// The cluster that it is in; hosts of one cluster share guests' numbers, pools and firewall groups.
    pub cluster: Option<Spanned<String>>,
    /// Its API.
    #[schemars(required)]
    pub api: Option<Spanned<Api>>,
    /// SSH to it as root, for what Proxmox allows to nobody else (bind mounts, device nodes, `keyctl`).
    pub ssh: Option<Spanned<Ssh>>,
    /// Where things go on it.
    #[schemars(required)]
    pub storage: Option<Spanned<HostStorage>>,
    /// The network of its guests.
    #[schemars(required)]
    pub network: Option<Spanned<Network>>,
    /// Its own firewall; left as it is unless given. Carried out by `infra prepare`.
    pub firewall: Option<Spanned<HostFirewall>>,
    /// Its GPUs by name.
    pub gpus: Option<BTreeMap<Spanned<GpuName>, Spanned<Gpu>>>,
    /// Its own system, as far as `infra prepare` shall see to it.
    pub system: Option<Spanned<HostSystem>>,
}

/// The API of a host.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Api {
    /// Name or address; the host's unless given.
    pub host: Option<Spanned<String>>,
    /// The port; 8006 unless given.
    #[schemars(range(min = 1))]
    pub port: Option<Spanned<u16>>,
    /// The API token.
    #[schemars(required, example = &"infra@pve!laptop")]
    pub token_id: Option<Spanned<TokenId>>,
    /// Where the token's secret comes from.
    #[schemars(required, example = &"secret:hq-token")]
    pub token: Option<Spanned<SecretName>>,
    /// SHA-256 of the host's certificate; this or `ca_file`.
    pub fingerprint: Option<Spanned<Fingerprint>>,
    /// A PEM file with the CA that signed the host's certificate; this or `fingerprint`.
    pub ca_file: Option<Spanned<LocalPath>>,
}

/// SSH to a host.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Ssh {
    /// Name or address; the host's unless given.
    pub host: Option<Spanned<String>>,
    /// The port; 22 unless given.
    #[schemars(range(min = 1))]
    pub port: Option<Spanned<u16>>,
    /// The user; `root` unless given.
    pub user: Option<Spanned<UserName>>,
    /// The key that the host must present; else `known_hosts` decides.
    pub host_key: Option<Spanned<PublicKey>>,
    /// A private key file to log in with; else the agent and the usual files are tried.
    #[schemars(example = &"~/.ssh/id_ed25519")]
    pub identity: Option<Spanned<LocalPath>>,
    /// A machine to go through: another host of this inventory by name, or a block of its own.
    pub jump: Option<Spanned<Jump>>,
}

/// A machine to go through. A name alone means another host of this inventory.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_text)]
pub struct Jump {
    /// Another host of this inventory, whose `ssh` is used.
    pub name: Option<Spanned<HostName>>,
    /// Name or address.
    pub host: Option<Spanned<String>>,
    /// The port; 22 unless given.
    #[schemars(range(min = 1))]
    pub port: Option<Spanned<u16>>,
    /// The user; `root` unless given.
    pub user: Option<Spanned<UserName>>,
    /// The key that the machine must present; else `known_hosts` decides.
    pub host_key: Option<Spanned<PublicKey>>,
    /// A private key file to log in with.
    pub identity: Option<Spanned<LocalPath>>,
}

/// Where things go on a host.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct HostStorage {
    /// The storage for disks and root file systems.
    #[schemars(required, example = &"local-zfs")]
    pub guests: Option<Spanned<StorageName>>,
    /// The storage for images, templates and snippets.
    #[schemars(required, example = &"local")]
    pub files: Option<Spanned<StorageName>>,
    /// The ZFS dataset below which containers' datasets are made.
    #[schemars(example = &"rpool/containers")]
    pub datasets: Option<Spanned<DatasetName>>,
}

/// The network of a host's guests.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Network {
    /// The bridge that guests are plugged into.
    #[schemars(required, example = &"vmbr0")]
    pub bridge: Option<Spanned<BridgeName>>,
    /// Their network.
    #[schemars(required, example = &"10.0.0.0/24")]
    pub subnet: Option<Spanned<Subnet>>,
    /// Their gateway, inside the subnet.
    #[schemars(required, example = &"10.0.0.1")]
    pub gateway: Option<Spanned<Ip>>,
    /// Name servers; the gateway unless given.
    pub dns: Option<Vec<Spanned<Ip>>>,
    /// Search domain.
    pub domain: Option<Spanned<Domain>>,
    /// VLAN of the guests.
    #[schemars(range(min = 1, max = 4094))]
    pub vlan: Option<Spanned<u16>>,
}

/// A GPU of a host.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Gpu {
    /// Vendor and device, as `lspci -nn` shows them in brackets.
    #[schemars(required, example = &"10de:2684")]
    pub id: Option<Spanned<PciId>>,
    /// Vendor and device of the board, where several cards have the same id.
    pub subsystem: Option<Spanned<PciId>>,
    /// Where it sits; only needed to tell equal cards apart.
    #[schemars(example = &"0000:01:00")]
    pub address: Option<Spanned<PciAddress>>,
    /// Its memory.
    #[schemars(example = &"24GiB")]
    pub vram: Option<Spanned<Size>>,
}
