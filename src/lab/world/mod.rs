//! What a simulated site consists of: one Proxmox VE cluster, or one single host.
//!
//! Owns plain, serialisable data and the arithmetic that belongs to it (space, digests, permissions).
//! Knows neither HTTP nor a shell: what may be done to it, and what PVE answers, is in
//! [`rules`](super::rules). The API, the files below `/etc/pve` and the ZFS commands are views of this
//! one value; none of them has data of its own. Entry type: [`World`].

mod access;
mod activation;
mod around;
mod caller;
pub mod conf;
mod copies;
mod docker;
mod firewall;
pub mod firewall_file;
mod guest;
mod inside;
pub mod interfaces;
pub mod machine;
mod node;
mod privileges;
pub mod property;
mod storage;
mod system;
mod task;
mod ticket;
mod units;
mod version;
mod volumes;
#[expect(clippy::module_inception, reason = "the file holds the type that the room is named after")]
mod world;
mod zfs;

pub use access::{Access, Acl, Grantee, Group, Token, User};
pub use around::{Around, Stranger};
pub use caller::Caller;
pub use copies::is_base;
pub use docker::{
    Container, ContainerState, Daemon, Docker, DockerNetwork, DockerVolume, HealthCheck, Image, Mount, Published, Store,
};
pub use firewall::{Alias, Enforced, Firewall, IpSet, IpSetEntry, Rule, SecurityGroup};
pub use guest::{Guest, GuestKind, GuestSnapshot, Pending, Run};
pub use inside::{GpuDriver, GuestUnits, Inside, UnitRun};
pub use node::{Capacity, File, Network, Node, PciDevice, VolumeGroup};
pub use privileges::{built_in_roles, known_privileges};
pub use storage::{Provision, Storage, StorageKind, Volume, content_of, split_volid};
pub use system::{Service, System, usual_services};
pub use task::{Task, TaskState, Work};
pub use units::Units;
pub use version::Version;
pub use world::{Appliance, Download, Ha, ImageRegistry, Mapping, Pool, Sdn, World};
pub use zfs::{Dataset, DatasetKind, Zfs, ZfsError, ZfsSnapshot, ZfsSupport, Zpool};
