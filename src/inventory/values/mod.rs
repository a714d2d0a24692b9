//! Single values of the format, each checked as soon as it is read.
//!
//! What is wrong with a value is said once, here, with what to write instead; nothing here looks at a
//! second value.

mod container;
mod host;
mod lists;
mod macros;
mod public_key;
mod refs;
mod secret;
mod setting;
mod tailnet;
mod text;
mod web;
mod words;

pub use container::{Digest, EnvironmentVariable, FileMode, HttpPath, ImageRef, InsidePath, ModelSource};
pub use host::{KernelParameter, ModuleName, SysctlKey, SysctlValue};
pub use lists::{PeerList, PortSpan, Ports};
pub use public_key::PublicKey;
pub use refs::{Destination, LocalService, Peer, ServiceRef, Viewer};
pub use secret::{Recipient, SecretKey, SecretPlace};
pub use setting::RawSetting;
pub use tailnet::{Selector, TailnetName};
pub use text::{
    CpuName, DatasetPath, DevicePath, Domain, HttpsUrl, Ip, LocalPath, MountPath, Origin, Package, SecretName, Sha256,
    SiteName, Subnet, TokenId, UserName,
};
pub use web::{Email, LoginName, RecordData, RecordName, VisitorName};
pub use words::{
    Action, AudienceName, AuthName, Compression, ControlPlane, Demand, Direction, DnsProvider, GpuDemand, HealthProbe,
    KindName, ModelKind, PolicyStyle, Protocol, ProviderName, ProxyName, SecretKind, SshAction, StackTier, State,
    TlsName, TransportName, VariableType, VfioBinding,
};
