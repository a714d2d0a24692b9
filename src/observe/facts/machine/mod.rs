//! Facts about the host below Proxmox: one file each, its commands and the pure reader of what they print.
//!
//! All commands of all facts go into one batch, which is one round trip. They only read, need nothing
//! that Proxmox VE does not ship, and work under dash. A missing program or an unreadable file makes its
//! own fact unavailable and nothing else. The entry is [`Probe`].

pub mod apt;
pub mod boot;
mod certificates;
pub mod command_lines;
pub mod config;
mod cpu;
mod device_nodes;
pub mod failed_units;
pub mod framebuffers;
mod grub_defaults;
mod guest_files;
mod held_locks;
mod host_clock;
pub mod interrupts;
pub mod iommu;
pub mod kernel;
pub mod kernel_log;
pub mod kernels;
mod links;
mod login;
pub mod memory;
pub mod module_config;
pub mod modules;
mod neighbourhood;
pub mod nvidia;
pub mod os;
pub mod packages;
pub mod pci;
pub mod pools;
pub mod reservations;
mod rom_files;
pub mod space;
mod sub_ids;
mod sysctl;
pub mod translation;
pub mod vfio;
mod wanted_packages;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

pub use host_clock::Asked;

use crate::blueprint::{Blueprint, GuestShape, Host};
use crate::diag::Invalid;
use crate::model::machine::Machine;
use crate::model::observed::Fact;
use crate::ports::{Batch, Output};

/// What is asked for beyond what every host has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Addresses that are asked for from the host, all at once: silence costs a second.
    pub addresses: BTreeSet<IpAddr>,
    /// Device nodes whose owner and mode are needed.
    pub device_nodes: BTreeSet<String>,
    /// Kernel settings, as `sysctl` names them.
    pub sysctl: BTreeSet<String>,
    /// Debian packages.
    pub packages: BTreeSet<String>,
}

impl Question {
    /// All that checks want to know about what a blueprint places on a host.
    #[must_use]
    pub fn about(blueprint: &Blueprint, host: &Host) -> Self {
        let guests = || blueprint.guests.values().filter(|guest| guest.host == host.name);
        let containers = guests().filter_map(|guest| match &guest.shape {
            GuestShape::Container(container) => Some(container),
            GuestShape::Vm(_) => None,
        });
        Self {
            addresses: guests().map(|guest| guest.interface.address()).collect(),
            device_nodes: containers.flat_map(|ct| ct.devices.iter().map(|node| node.path.clone())).collect(),
            sysctl: host.system.sysctl.keys().cloned().collect(),
            packages: host.system.packages.iter().cloned().collect(),
        }
    }
}

/// Where in a batch the answers about a machine are.
#[derive(Debug)]
pub struct Probe {
    kernel: Range<usize>,
    iommu: Range<usize>,
    first_time: usize,
    last_time: usize,
    clock: Range<usize>,
    links: Range<usize>,
    certificates: Range<usize>,
    guest_files: Range<usize>,
    held_locks: Range<usize>,
    ping: Option<usize>,
    neighbours: usize,
    login: Range<usize>,
    sub_ids: Range<usize>,
    device_paths: BTreeSet<String>,
    device_nodes: Option<usize>,
    rom_files: Range<usize>,
    cpu: Range<usize>,
    pci: Range<usize>,
    interrupts: Range<usize>,
    vfio: Range<usize>,
    kernel_log: Range<usize>,
    framebuffers: Range<usize>,
    reservations: Range<usize>,
    config: Range<usize>,
    boot: Range<usize>,
    command_lines: Range<usize>,
    kernels: Range<usize>,
    modules: Range<usize>,
    os: Range<usize>,
    packages: Range<usize>,
    apt: Range<usize>,
    failed_units: Range<usize>,
    translation: Range<usize>,
    memory: Range<usize>,
    pools: Range<usize>,
    space: Range<usize>,
    nvidia: Range<usize>,
    question: Question,
    sysctl: Option<usize>,
    wanted_packages: Option<usize>,
}

impl Probe {
    /// Adds the commands of every fact to a batch.
    pub fn push(batch: &mut Batch, question: &Question) -> Self {
        let (addresses, paths) = (&question.addresses, &question.device_nodes);
        Self {
            first_time: batch.push(host_clock::TIME.iter().copied()),
            kernel: push(batch, kernel::COMMANDS),
            iommu: push(batch, iommu::COMMANDS),
            clock: push(batch, host_clock::COMMANDS),
            links: push(batch, links::COMMANDS),
            certificates: push(batch, certificates::COMMANDS),
            guest_files: push(batch, guest_files::COMMANDS),
            held_locks: push(batch, held_locks::COMMANDS),
            ping: (!addresses.is_empty()).then(|| batch.push(neighbourhood::ping_command(addresses))),
            neighbours: batch.push(neighbourhood::COMMAND.iter().copied()),
            login: push(batch, login::COMMANDS),
            sub_ids: push(batch, sub_ids::COMMANDS),
            device_paths: paths.clone(),
            device_nodes: (!paths.is_empty()).then(|| batch.push(device_nodes::command(paths))),
            rom_files: push(batch, rom_files::COMMANDS),
            cpu: push(batch, cpu::COMMANDS),
            pci: push(batch, pci::COMMANDS),
            interrupts: push(batch, interrupts::COMMANDS),
            vfio: push(batch, vfio::COMMANDS),
            kernel_log: push(batch, kernel_log::COMMANDS),
            framebuffers: push(batch, framebuffers::COMMANDS),
            reservations: push(batch, reservations::COMMANDS),
            config: push(batch, config::COMMANDS),
            boot: push(batch, boot::COMMANDS),
            command_lines: push(batch, command_lines::COMMANDS),
            kernels: push(batch, kernels::COMMANDS),
            modules: push(batch, modules::COMMANDS),
            os: push(batch, os::COMMANDS),
            packages: push(batch, packages::COMMANDS),
            apt: push(batch, apt::COMMANDS),
            failed_units: push(batch, failed_units::COMMANDS),
            translation: push(batch, translation::COMMANDS),
            memory: push(batch, memory::COMMANDS),
            pools: push(batch, pools::COMMANDS),
            space: push(batch, space::COMMANDS),
            nvidia: push(batch, nvidia::COMMANDS),
            sysctl: sysctl::command(&question.sysctl).map(|argv| batch.push(argv)),
            wanted_packages: wanted_packages::command(&question.packages).map(|argv| batch.push(argv)),
            question: question.clone(),
            last_time: batch.push(host_clock::TIME.iter().copied()),
        }
    }

    /// Reads every fact from the outputs of the batch, which was `asked` then.
    #[must_use]
    pub fn read(&self, outputs: &[Output], asked: Asked) -> Machine {
        let at = |range: &Range<usize>| &outputs[range.clone()];
        let (first, last) = (&outputs[self.first_time], &outputs[self.last_time]);
        let pinged = self.ping.map(|at| &outputs[at]);
        let config = config::read(at(&self.config));
        let configured = config.as_ref().map_err(Clone::clone);
        Machine {
            kernel: fact(kernel::read(at(&self.kernel))),
            iommu: fact(iommu::read(at(&self.iommu))),
            clock: fact(host_clock::read(first, last, at(&self.clock), asked)),
            links: fact(links::read(at(&self.links))),
            certificates: fact(certificates::read(at(&self.certificates))),
            guest_files: guest_files::read(at(&self.guest_files)),
            held_locks: fact(held_locks::read(at(&self.held_locks))),
            neighbourhood: match pinged.and_then(neighbourhood::problem) {
                Some(invalid) => Fact::unavailable(invalid.problem),
                None => fact(neighbourhood::read(pinged, &outputs[self.neighbours])),
            },
            login: fact(login::read(at(&self.login))),
            sub_ids: fact(sub_ids::read(at(&self.sub_ids))),
            device_nodes: fact(device_nodes::read(&self.device_paths, self.device_nodes.map(|at| &outputs[at]))),
            rom_files: fact(rom_files::read(at(&self.rom_files))),
            cpu: fact(cpu::read(at(&self.cpu))),
            pci: fact(pci::read(at(&self.pci))),
            remapped_interrupts: fact(interrupts::read(at(&self.interrupts))),
            vfio: fact(vfio::read(at(&self.vfio))),
            kernel_log: kernel_log::read(at(&self.kernel_log)),
            boot_framebuffers: fact(framebuffers::read(at(&self.framebuffers))),
            pci_reservations: fact(reservations::read(at(&self.reservations))),
            boot: fact(boot::read(at(&self.boot))),
            command_lines: fact(
                configured.clone().and_then(|config| command_lines::read(at(&self.command_lines), config)),
            ),
            kernels: fact(kernels::read(at(&self.kernels))),
            module_config: fact(configured.clone().map(module_config::read)),
            modules: fact(modules::read(at(&self.modules))),
            os: fact(os::read(at(&self.os))),
            packages: fact(packages::read(at(&self.packages))),
            apt: fact(configured.and_then(|config| apt::read(at(&self.apt), config))),
            failed_units: fact(failed_units::read(at(&self.failed_units))),
            translation: fact(translation::read(at(&self.translation))),
            memory: fact(memory::read(at(&self.memory))),
            pools: fact(pools::read(at(&self.pools))),
            space: fact(space::read(at(&self.space))),
            nvidia: fact(nvidia::read(at(&self.nvidia))),
            config: fact(config),
            sysctl: fact(sysctl::read(&self.question.sysctl, self.sysctl.map(|at| &outputs[at]))),
            wanted_packages: fact(wanted_packages::read(self.wanted_packages.map(|at| &outputs[at]))),
        }
    }
}

fn push(batch: &mut Batch, commands: &[&[&str]]) -> Range<usize> {
    let start = batch.len();
    for argv in commands {
        batch.push(argv.iter().copied());
    }
    start..batch.len()
}

fn fact<T>(read: Result<T, Invalid>) -> Fact<T> {
    match read {
        Ok(value) => Fact::complete(value),
        Err(invalid) => Fact::unavailable(invalid.problem),
    }
}
