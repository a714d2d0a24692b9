//! One file per fact: the request or command that asks for it, and the pure reader of the answer.
//!
//! A reader gives the whole value or says why the answer is not understood; it never guesses. Formats
//! are those observed on Proxmox VE 9.2.11 and ZFS 2.3.

pub mod appliances;
pub mod bridges;
pub mod cluster_firewall;
pub mod datasets;
pub mod files;
pub mod firewall_files;
pub mod guards;
pub mod guest_config;
pub mod guest_docker;
pub mod guest_firewalls;
pub mod guest_looks;
pub mod guest_tailscale;
pub mod guests;
pub mod host_firewall;
pub mod listeners;
pub mod machine;
pub mod nodes;
pub mod operator;
pub mod opnsense;
pub mod owners;
pub mod pci_devices;
pub mod pci_mappings;
pub mod permissions;
pub mod pools;
mod row;
pub mod storage_entries;
pub mod storages;
pub mod tailnet;
pub mod tasks;
mod text;
pub mod version;
pub mod volumes;
