//! Functions on the PCI bus, as the kernel sees them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{PciAddress, PciId};

/// Every function on the bus, bridges among them, by address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciBus {
    /// The functions.
    pub functions: BTreeMap<PciAddress, PciFunction>,
}

impl PciBus {
    /// All functions of the device that an address is of, in order.
    pub fn device(&self, address: &PciAddress) -> impl Iterator<Item = (&PciAddress, &PciFunction)> {
        let device = address.device();
        self.functions.iter().filter(move |(at, _)| at.device() == device)
    }
}

/// One function of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciFunction {
    /// Vendor and device.
    pub id: PciId,
    /// Vendor and device of its board; bridges and some old devices have none.
    pub subsystem: Option<PciId>,
    /// Class code: 24 bits, such as `0x030000`.
    pub class: u32,
    /// The function that it is behind: a bridge or a port. `None` on the root bus.
    pub parent: Option<PciAddress>,
    /// Which driver has it, if any.
    pub driver: Option<String>,
    /// The only driver that may have it, if somebody said so.
    pub driver_override: Option<String>,
    /// Whether the firmware showed its console here; `None` where it is no VGA device.
    pub boot_vga: Option<bool>,
    /// Whether there is a bus behind it. PVE takes this for a bridge, whatever its class.
    pub bridge: bool,
    /// Whether it is a virtual function of another one.
    pub virtual_function: bool,
    /// Whether the kernel can reset it alone.
    pub can_reset: bool,
    /// How it is reset: `flr`, `bus`, `pm`, `device_specific`, …, in the order in which they are tried. Empty where
    /// it cannot be, and before kernel 5.15, which does not say.
    pub reset_methods: Vec<String>,
    /// Its PCI Express link; `None` for what has none or sleeps.
    pub link: Option<PciLink>,
    /// Whether it may lose its power altogether while it idles.
    pub d3cold_allowed: Option<bool>,
    /// `D0`, `D3hot`, `D3cold`, `unknown`, `error`; `None` on kernels that do not say.
    pub power_state: Option<String>,
    /// Memory node that it is next to; `None` where there is but one.
    pub numa_node: Option<u32>,
    /// Serial number that it tells: by its PCI Express capability (kernel 6.18 on) or by its driver.
    pub serial: Option<String>,
    /// What the host sees it as.
    pub roles: BTreeSet<PciRole>,
}

impl PciFunction {
    /// The function with nothing known but what every function has.
    #[must_use]
    pub fn new(id: PciId, class: u32) -> Self {
        Self {
            id,
            subsystem: None,
            class,
            parent: None,
            driver: None,
            driver_override: None,
            boot_vga: None,
            bridge: false,
            virtual_function: false,
            can_reset: false,
            reset_methods: Vec::new(),
            link: None,
            d3cold_allowed: None,
            power_state: None,
            numa_node: None,
            serial: None,
            roles: BTreeSet::new(),
        }
    }

    /// Base class: the upper eight bits.
    #[must_use]
    pub fn base_class(&self) -> u8 {
        u8::try_from((self.class >> 16) & 0xff).expect("eight bits")
    }

    /// Base class and subclass: the upper sixteen bits, as `lspci -nn` shows them.
    #[must_use]
    pub fn subclass(&self) -> u16 {
        u16::try_from((self.class >> 8) & 0xffff).expect("sixteen bits")
    }

    /// Whether it computes or shows pictures: display controllers and processing accelerators.
    #[must_use]
    pub fn is_gpu(&self) -> bool {
        matches!(self.base_class(), 0x03 | 0x12)
    }

    /// Whether it is a VGA device, on which a console can be.
    #[must_use]
    pub fn is_vga(&self) -> bool {
        self.subclass() == 0x0300
    }

    /// Whether a VM may have it right now: nobody on the host holds it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.driver.as_deref().is_none_or(|driver| matches!(driver, "vfio-pci" | "pci-stub"))
    }

    /// What it is, in the words of `lspci`.
    #[must_use]
    pub fn class_name(&self) -> &'static str {
        match self.subclass() {
            0x0101 => "IDE controller",
            0x0104 => "RAID controller",
            0x0106 => "SATA controller",
            0x0107 => "SAS controller",
            0x0108 => "NVMe controller",
            0x0200 => "Ethernet controller",
            0x0280 => "network controller",
            0x0300 => "VGA controller",
            0x0302 => "3D controller",
            0x0380 => "display controller",
            0x0403 => "audio device",
            0x0600 => "host bridge",
            0x0601 => "ISA bridge",
            0x0604 => "PCI bridge",
            0x0c03 => "USB controller",
            0x0c05 => "SMBus",
            0x0c80 => "serial bus controller",
            0x1080 => "encryption controller",
            _ => match self.base_class() {
                0x01 => "storage controller",
                0x02 => "network controller",
                0x03 => "display controller",
                0x04 => "multimedia device",
                0x06 => "bridge",
                0x07 => "communication controller",
                0x0c => "bus controller",
                0x10 => "encryption controller",
                0x11 => "signal processor",
                0x12 => "processing accelerator",
                _ => "device",
            },
        }
    }
}

/// What the host sees a function as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PciRole {
    /// A disk, or the controller of some: `sda`, `nvme0`.
    Disk(String),
    /// A network interface: `enp3s0`.
    Network(String),
    /// A frame buffer or a DRM card: `fb0`, `card0`.
    Display(String),
}

impl PciRole {
    /// Its name on the host.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Disk(name) | Self::Network(name) | Self::Display(name) => name,
        }
    }
}

/// A PCI Express link. Widths are lanes, 1 to 32; speeds are as the kernel prints them (`16.0 GT/s PCIe`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciLink {
    /// Lanes in use; `None` while the function sleeps and does not answer.
    pub width: Option<u8>,
    /// Lanes that the function has.
    pub max_width: u8,
    /// Speed now; lower while the function idles.
    pub speed: Option<String>,
    /// Speed that the function can do.
    pub max_speed: Option<String>,
}
