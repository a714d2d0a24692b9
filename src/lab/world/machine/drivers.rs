//! Which driver of the kernel takes a device unless somebody else does first.

use crate::lab::world::PciDevice;

/// The driver that takes a device by itself, as `/sys/bus/pci/drivers` names it.
#[must_use]
pub fn native_driver(device: &PciDevice) -> Option<&'static str> {
    let base = device.class.get(..4).unwrap_or_default();
    match (base, device.vendor.as_str(), device.device.as_str()) {
        ("0300" | "0302" | "0380", "10de", _) => Some("nouveau"),
        ("0300" | "0302" | "0380", "1002", _) => Some("amdgpu"),
        ("0300" | "0302" | "0380", "8086", _) => Some("i915"),
        ("0300", "1a03", _) => Some("ast"),
        ("0300" | "0380", "1234", _) => Some("bochs-drm"),
        ("0403", ..) => Some("snd_hda_intel"),
        ("0604", ..) => Some("pcieport"),
        ("0106", ..) => Some("ahci"),
        ("0107", ..) => Some("mpt3sas"),
        ("0108", ..) => Some("nvme"),
        ("0c03", ..) => Some("xhci_hcd"),
        ("0200", "8086", "15f3" | "125c") => Some("igc"),
        ("0200", "8086", "10c9") => Some("igb"),
        ("0200", "8086", _) => Some("e1000e"),
        ("0200", "10ec", _) => Some("r8169"),
        ("0200", "15b3", _) => Some("mlx5_core"),
        _ => None,
    }
}

/// The module that a driver is in.
#[must_use]
pub fn module_of(driver: &str) -> &str {
    match driver {
        "vfio-pci" => "vfio_pci",
        "bochs-drm" => "bochs",
        "xhci_hcd" => "xhci_pci",
        // built into Proxmox's kernels
        "pcieport" => "",
        other => other,
    }
}
