//! The nouns, typed so that a wrong one cannot exist.
//!
//! Owns addresses, newtypes, what was observed ([`observed`]) and what a plan is made of ([`change`], [`guard`],
//! [`step`]). No I/O, no clock, no Proxmox call. Everything serialisable here is part of a published
//! format (saved plan, journal, JSON output): its text form is stable.

mod addr;
pub mod change;
mod content;
pub mod docker;
pub mod entrance;
pub mod guard;
pub mod guest_look;
pub mod hardware_lock;
mod inside;
pub mod kernel_parameter;
pub mod machine;
mod names;
mod net;
pub mod observed;
pub mod opnsense;
mod pci;
mod period;
mod permissions;
mod size;
pub mod step;
pub mod tailnet;
mod tls;
mod upid;

pub use addr::{Addr, Kind};
pub use content::{Content, Keep, Piece};
pub use inside::Inside;
pub use names::{
    BridgeName, DatasetName, EnvironmentName, GpuName, GroupName, GuestName, HostName, MappingName, ModelName,
    NodeName, PartName, PoolName, PortName, ServiceName, StorageName, Tag, Vmid,
};
pub use net::{Interface, PortRange, Transport};
pub use pci::{PciAddress, PciId};
pub use period::Period;
pub use permissions::{Permissions, how_to_grant};
pub use size::Size;
pub use tls::Fingerprint;
pub use upid::Upid;
