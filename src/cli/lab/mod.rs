//! The lab as the command line uses it: hardware that fits an inventory, a world that is kept, a file
//! that leads there.
//!
//! Owns what lies between an inventory and [`crate::lab`]: which hardware is simulated ([`scenario`]),
//! where its world is and who runs it ([`LabWorld`]), and the inventory file for other clients
//! ([`overlay`]). Knows no rule of Proxmox; those are in `crate::lab`.

mod described;
pub(super) mod overlay;
mod scenario;
mod world;

pub use scenario::scenario;
pub(super) use world::{LabWorld, Reach, read_scenario};
