//! Files into a typed [`Inventory`] with places.
//!
//! Owns the format that the operator writes: parsing, merging of files and layers, decoding, and the
//! JSON Schema of it all. A pure function of texts ([`load`] over [`InventoryFiles`]); reading them from
//! disk is `adapters::files`. Must not check one entry against another: that is `blueprint`'s.
//!
//! # How files become one inventory
//! Each `-i PATH` is a layer: a file, or a directory with all its `*.yaml` and `*.yml`. Within one
//! layer every entry (a host, a guest, an image, a group) is written once; twice is an error. A later
//! layer overrides an earlier one key by key: blocks are merged, lists and single values replaced, and
//! `null` removes.
//!
//! Keys at the top that start with `x-` are left alone: a place for anchors that `<<` merges elsewhere.
//!
//! Profiles are `profiles/*.yaml` beside the files, else in the nearest directory above; a profile's
//! name is its file's name. Services are folders `templates/<service>/` with a `template.yaml` and what it names, found
//! in the same way, on top of those that come with the program.

mod dns;
mod document;
mod files;
mod firewall;
mod guest;
mod host;
mod host_system;
mod image;
mod image_digests;
mod ingress;
mod layers;
mod load;
mod mask;
mod model;
pub mod parse;
mod reach;
mod schema;
mod secrets;
mod service;
mod service_entry;
mod tailnet;
mod templates;
mod values;

pub use dns::{Dns, OpnSense, Zone};
pub use document::Document;
pub use files::{InventoryFiles, Layer, SourceFile};
pub use firewall::{FirewallSection, Group, GuestFirewall, HostFirewall, Rule};
pub use guest::{Agent, Dataset, Device, Guest, Limits, Profile, Shape, Startup};
pub use host::{Api, Gpu, Host, HostStorage, Jump, Network, Ssh};
pub use host_system::HostSystem;
pub use image::Image;
pub use image_digests::{LockedImage, with_image_digests};
pub use ingress::{ForwardAuth, Ingress, Route, Tls};
pub use load::{Inventory, Loaded, load};
pub use mask::mask;
pub use model::Model;
pub use reach::{Internet, Outbound, TailnetAccess};
pub use schema::{schema, service_schema};
pub use secrets::{SecretEntry, SecretSource, SecretStoreSection, SecretsSection};
pub use service::{
    ServiceBackup, ServiceFile, ServiceHealth, ServiceMetrics, ServiceNeeds, ServiceSecret, ServiceStack,
    ServiceVariable, ServiceVolume, Template, TemplatePort, TemplateText,
};
pub use service_entry::ServiceEntry;
pub use tailnet::{SshUser, TailnetSection, TailnetSsh};
pub use templates::{BUILT_IN, BuiltIn};
pub use values::{
    Action, AudienceName, AuthName, Compression, ControlPlane, CpuName, DatasetPath, Demand, Destination, DevicePath,
    Digest, Direction, DnsProvider, Domain, Email, EnvironmentVariable, FileMode, GpuDemand, HealthProbe, HttpPath,
    HttpsUrl, ImageRef, InsidePath, Ip, KernelParameter, KindName, LocalPath, LocalService, LoginName, ModelKind,
    ModelSource, ModuleName, MountPath, Origin, Package, Peer, PeerList, PolicyStyle, PortSpan, Ports, Protocol,
    ProviderName, ProxyName, PublicKey, RawSetting, Recipient, RecordData, RecordName, SecretKey, SecretKind,
    SecretName, SecretPlace, Selector, ServiceRef, Sha256, SiteName, SshAction, StackTier, State, Subnet, SysctlKey,
    SysctlValue, TailnetName, TlsName, TokenId, TransportName, UserName, VariableType, VfioBinding, Viewer,
    VisitorName,
};
