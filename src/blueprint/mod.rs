//! Inventory, profiles and services resolved: typed, complete, cross-checked.
//!
//! Owns [`Blueprint`] and the way to it ([`resolve`]). A pure function of files: no host is asked, no
//! secret is read. What is in a blueprint is complete and consistent, so that whoever reads it has
//! nothing left to check.

mod assemble;
mod catalogue;
mod dns;
mod draft;
mod firewall;
mod flow;
mod guest;
mod ingress;
mod model;
mod profiles;
mod recipe;
mod resolve;
mod rules;
mod secrets;
mod selection;
mod service;
mod services;
mod setting;
mod stack;
mod tailnet;
#[cfg(test)]
pub(crate) mod testing;
mod types;

pub use catalogue::catalogue;
pub use dns::{Answered, Dns, NameService, OpnSense, RecordData, Zone};
pub use firewall::{Firewall, HostFirewall, OWN_PREFIX, Rule, SecurityGroup, Verdict};
pub use flow::{Flow, FlowOrigin, Party};
pub use guest::{
    Agent, Container, CpuModel, DatasetMount, DeviceNode, Guest, GuestShape, Limits, PowerState, Startup, Vm,
};
pub use ingress::{Auth, ForwardAuth, Ingress, Proxy, Site, Tls};
pub use model::Model;
use model::model_footprint;
pub use recipe::{Backup, Deployment, FileMount, GpuMaker, Health, Metrics, Needs, Recipe, Secret, Stack, Volume};
pub use resolve::resolve;
pub use secrets::{Generate, OwnStore, SecretProvider, SecretSettings, SecretSource, Secrets};
pub use selection::Selection;
pub use service::{Audience, Service, ServicePort};
pub use setting::{Setting, Variable};
pub use stack::{Bind, Publication, ScrapeTarget};
pub use tailnet::{ControlPlane, PolicyStyle, TUN, Tailnet, TailnetSsh};
pub use types::{
    Access, ApiAccess, Blueprint, Gpu, Host, HostNetwork, HostStorage, HostSystem, Image, ImageSource, SecretRef,
    SshAccess, Trust,
};
