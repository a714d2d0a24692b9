//! What a host is below Proxmox: kernel, firmware, devices, boot chain, pools, packages.
//!
//! One type per fact, each read on its own: what could not be read is unavailable and says why, so that
//! nothing is ever judged from a guess. `observe::facts::machine` reads them, `checks` judge them.

mod boot;
mod certificate;
mod command_lines;
mod config;
mod cpu;
mod device_nodes;
mod framebuffers;
mod guest_files;
mod held_locks;
mod host_clock;
mod iommu;
mod kernel;
mod kernel_log;
mod kernels;
mod links;
mod login;
mod memory;
mod modules;
mod neighbourhood;
mod pci;
mod pci_reservation;
mod pools;
mod space;
mod sub_ids;
mod system;
mod translation;
mod vfio;

pub use boot::{Boot, Firmware, Loader, RootFileSystem, Sign};
pub use certificate::{Certificate, Certificates};
pub use command_lines::{CommandLines, GrubDefaults, GrubEntry};
pub use config::{ConfigFile, ConfigFiles};
pub use cpu::Cpu;
pub use device_nodes::DeviceFile;
pub use framebuffers::BootFramebuffer;
pub use guest_files::{GuestFile, GuestFiles};
pub use held_locks::HeldLock;
pub use host_clock::HostClock;
pub use iommu::{Iommu, IommuDomain, IommuGroup};
pub use kernel::Kernel;
pub use kernel_log::KernelLog;
pub use kernels::{BootFile, Kernels, version_order};
pub use links::{Link, Links};
pub use login::Login;
pub use memory::{Arc, Memory};
pub use modules::{Directive, LoadedModules, ModprobeLine, ModuleConfig, ModuleLine};
pub use neighbourhood::{Neighbour, Neighbourhood, Ping};
pub use pci::{PciBus, PciFunction, PciLink, PciRole};
pub use pci_reservation::{PciReservation, ReservationHolds};
pub use pools::{Pool, Scan};
pub use space::Space;
pub use sub_ids::SubIds;
pub use system::{Apt, AptSource, FailedUnits, NvidiaDriver, OsRelease, Packages};
pub use translation::Translation;
pub use vfio::Vfio;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::observed::Fact;

/// A host below Proxmox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The kernel that runs.
    pub kernel: Fact<Kernel>,
    /// What translates and separates the memory accesses of devices.
    pub iommu: Fact<Iommu>,
    /// Its clock against ours.
    pub clock: Fact<HostClock>,
    /// Network interfaces.
    pub links: Fact<Links>,
    /// Certificates of the API.
    pub certificates: Fact<Certificates>,
    /// What stands about guests in `/etc/pve`, whoever owns them.
    pub guest_files: Fact<GuestFiles>,
    /// Locks on guests' files that a process holds.
    pub held_locks: Fact<Vec<HeldLock>>,
    /// Who answers at the addresses that were asked for.
    pub neighbourhood: Fact<Neighbourhood>,
    /// How we are logged in.
    pub login: Fact<Login>,
    /// Ids that root may give to containers.
    pub sub_ids: Fact<SubIds>,
    /// Device nodes that were asked for; `None` for one that is not there.
    pub device_nodes: Fact<BTreeMap<String, Option<DeviceFile>>>,
    /// Files that QEMU can take a device's ROM from.
    pub rom_files: Fact<BTreeSet<String>>,
    /// What the processor can do.
    pub cpu: Fact<Cpu>,
    /// Functions on the PCI bus.
    pub pci: Fact<PciBus>,
    /// Whether interrupts of devices are remapped.
    pub remapped_interrupts: Fact<bool>,
    /// What hands devices to virtual machines.
    pub vfio: Fact<Vfio>,
    /// What the kernel said about devices since boot.
    pub kernel_log: Fact<KernelLog>,
    /// Where the firmware's console is drawn.
    pub boot_framebuffers: Fact<Vec<BootFramebuffer>>,
    /// Which VM has which PCI function of this host.
    pub pci_reservations: Fact<Vec<PciReservation>>,
    /// Files that say how the host shall boot.
    pub config: Fact<ConfigFiles>,
    /// What booted the host, and what will.
    pub boot: Fact<Boot>,
    /// The kernel's command line where it is configured.
    pub command_lines: Fact<CommandLines>,
    /// Kernels and initial RAM disks.
    pub kernels: Fact<Kernels>,
    /// What is configured about kernel modules.
    pub module_config: Fact<ModuleConfig>,
    /// Modules in the running kernel.
    pub modules: Fact<LoadedModules>,
    /// The operating system.
    pub os: Fact<OsRelease>,
    /// Packages.
    pub packages: Fact<Packages>,
    /// Where packages come from.
    pub apt: Fact<Apt>,
    /// Address translation for what it routes.
    #[serde(default)]
    pub translation: Fact<Translation>,
    /// Units that failed.
    pub failed_units: Fact<FailedUnits>,
    /// Memory and ZFS's cache.
    pub memory: Fact<Memory>,
    /// ZFS pools by name.
    pub pools: Fact<BTreeMap<String, Pool>>,
    /// Space where the system itself needs it.
    pub space: Fact<Vec<Space>>,
    /// The NVIDIA driver of the host.
    pub nvidia: Fact<NvidiaDriver>,
    /// Kernel settings that were asked for, as they are now; what the kernel does not have is not in it.
    pub sysctl: Fact<BTreeMap<String, String>>,
    /// Packages of those that were asked for that are installed.
    pub wanted_packages: Fact<BTreeSet<String>>,
}

impl Machine {
    /// Nothing could be read.
    #[must_use]
    pub fn unavailable(why: &str) -> Self {
        Self {
            kernel: Fact::unavailable(why),
            iommu: Fact::unavailable(why),
            clock: Fact::unavailable(why),
            links: Fact::unavailable(why),
            certificates: Fact::unavailable(why),
            guest_files: Fact::unavailable(why),
            held_locks: Fact::unavailable(why),
            neighbourhood: Fact::unavailable(why),
            login: Fact::unavailable(why),
            sub_ids: Fact::unavailable(why),
            device_nodes: Fact::unavailable(why),
            rom_files: Fact::unavailable(why),
            cpu: Fact::unavailable(why),
            pci: Fact::unavailable(why),
            remapped_interrupts: Fact::unavailable(why),
            vfio: Fact::unavailable(why),
            kernel_log: Fact::unavailable(why),
            boot_framebuffers: Fact::unavailable(why),
            pci_reservations: Fact::unavailable(why),
            config: Fact::unavailable(why),
            boot: Fact::unavailable(why),
            command_lines: Fact::unavailable(why),
            kernels: Fact::unavailable(why),
            module_config: Fact::unavailable(why),
            modules: Fact::unavailable(why),
            os: Fact::unavailable(why),
            packages: Fact::unavailable(why),
            apt: Fact::unavailable(why),
            translation: Fact::unavailable(why),
            failed_units: Fact::unavailable(why),
            memory: Fact::unavailable(why),
            pools: Fact::unavailable(why),
            space: Fact::unavailable(why),
            nvidia: Fact::unavailable(why),
            sysctl: Fact::unavailable(why),
            wanted_packages: Fact::unavailable(why),
        }
    }
}
