//! A guest as the rules know it: its configuration, its volumes, how it shows, who may change what of it.
//!
//! Nothing here answers a request or works in the background: that is for [`guests`](super::guests) and
//! [`deeds`](super::deeds), which both stand on this.

pub mod access;
pub mod addresses;
pub mod cloudinit;
pub mod config;
pub mod devices;
pub mod disk_log;
pub mod disks;
pub mod features;
pub mod lxc_keys;
pub mod lxc_pending;
pub mod lxc_values;
pub mod password;
pub mod qemu_keys;
pub mod qemu_pending;
pub mod qemu_values;
pub mod status;
pub mod volumes;
