//! The lab: a simulated Proxmox VE site inside the binary.
//!
//! Owns the [`world`] (plain data), the [`rules`] by which PVE changes and shows it, and the doors to it: the
//! API over TLS or in process, SSH with a small [`shell`]. May use `model`, `ports` and `diag` only: it must not share a line with our
//! client, or it would echo our own mistakes. What is claimed here about PVE is held against its published API
//! description and against recorded exchanges by tests. Entry types: [`Lab`] for a served one,
//! [`Scenario`] for what it is made of, [`LiveSite`] and [`DirectApi`] for tests without a network.

mod accept;
pub mod broken;
pub mod compose;
mod direct;
pub mod docker;
pub mod envelope;
pub mod faults;
pub mod guest_disk;
pub mod guest_edge;
pub mod guest_files;
pub mod guest_gpu;
mod guest_http;
mod guest_names;
pub mod guest_packages;
pub mod guest_smi;
pub mod guest_tailscale;
pub mod guest_units;
pub mod guests;
pub mod hardware;
mod intake;
mod live;
mod multipart;
pub mod opnsense;
mod persist;
pub mod power;
pub mod rules;
mod running;
pub mod scenario;
mod serve;
pub mod services;
pub mod shell;
pub mod site;
pub mod ssh_keys;
pub mod sshd;
pub mod tailnet;
pub mod twin;
pub mod world;

pub use direct::DirectApi;
pub use live::{Handled, LiveSite, Outcome};
pub use persist::StateDir;
pub use running::{ApiAccess, Lab, LabError, LabHost, LabOptions, RunningLab, SshAccess};
pub use scenario::Scenario;
pub use serve::connection;
