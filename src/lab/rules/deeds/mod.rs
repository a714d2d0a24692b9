//! What is done to guests, mostly by workers: one file per deed.
//!
//! A deed takes the world as it is when its time has come, checks again what may have changed since it was asked
//! for, and says how it went in PVE's words. Which deed belongs to which [`Work`](crate::lab::world::Work) is for
//! [`work`](super::work) to know.

pub mod backup;
pub mod clone;
pub mod copy;
pub mod destroy;
pub mod lxc_change;
pub mod lxc_create;
pub mod move_volume;
pub mod power;
pub mod qemu_change;
pub mod qemu_create;
pub mod resize;
pub mod snapshot;
pub mod start;
pub mod suspend;
pub mod template;
