//! Resources of the host itself, below Proxmox: what `infra prepare` brings about.
//!
//! One file per kind, beside the pure editors of the files that they change (`*_file`, `module_list`). Files
//! of our own where the system reads drop-ins, else the least edit of what is there; the original is kept on
//! the host, and every step can be taken back from it. Entry: [`desired`] of each kind, listed in
//! [`super::HOST_KINDS`].

pub(super) mod arc_limit;
pub mod cmdline_file;
mod files;
pub mod grub_file;
pub(super) mod kernel_command_line;
pub(super) mod modprobe;
pub mod modprobe_file;
pub mod module_list;
pub(super) mod modules;
pub(super) mod packages;
pub mod reboot;
pub(super) mod sysctl;

pub use files::{FileState, FileWrite, file_writes};

use crate::blueprint::{Blueprint, GuestShape, Host};
use crate::model::GpuName;
use crate::model::machine::{ConfigFiles, Machine};

use super::{Context, Finding};

/// GPUs of a host that are passed to one of its VMs.
fn passed_gpus<'a>(blueprint: &'a Blueprint, host: &'a Host) -> impl Iterator<Item = &'a GpuName> {
    host.gpus.keys().filter(move |gpu| {
        blueprint
            .guests
            .values()
            .any(|guest| guest.host == host.name && matches!(&guest.shape, GuestShape::Vm(vm) if vm.gpus.contains(gpu)))
    })
}

/// What was observed of a host below Proxmox.
fn machine<'a>(context: &Context<'a>, host: &Host) -> &'a Machine {
    &context.observed.hosts[&host.name].machine
}

/// Its configuration files. Only all of them are good enough: what is not seen would be written over.
fn config<'a>(context: &Context<'a>, host: &Host) -> Result<&'a ConfigFiles, Finding> {
    let fact = &machine(context, host).config;
    fact.value().filter(|_| fact.is_complete()).ok_or_else(|| Finding::Gap {
        why: format!("configuration files of `{}`: {}", host.name, fact.why().unwrap_or("not known")),
    })
}

/// What stands at the top of every file of ours.
fn header(blueprint: &Blueprint) -> String {
    format!(
        "# Written by infra for the inventory `{}`: `infra prepare` changes it, `infra rollback` takes it back.\n",
        blueprint.name
    )
}
