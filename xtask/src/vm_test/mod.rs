//! `vm-test`: preflight and prepare against a real kernel, a real IOMMU, a real reboot and real ZFS.
//!
//! A Debian host is built once ([`image`]), booted under QEMU's software emulation ([`machine`]) and kept as a
//! saved running state ([`state`]), from which every case starts in seconds and to which it changes nothing.
//! The machine is no Proxmox host: where Proxmox's API is needed, a lab answers ([`lab`]), and SSH leads to
//! the machine. Everything lives below `target/vm/`; the fast suites know nothing of it.

mod cases;
mod image;
mod infra;
mod lab;
mod log;
mod machine;
mod monitor;
mod requirements;
mod run;
mod ssh;
mod state;

pub use run::run;
