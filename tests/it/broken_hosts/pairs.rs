//! Two defects at once: the one that shows after a reboot comes first, as a reboot takes over what the other did.

use infra::checks::Verdict::Warn;

use super::Difference;

/// A defect, another one, and what is found where that is not simply what both find.
pub const PAIRS: &[(&str, &str, Option<&[Difference]>)] = &[
    ("iommu-firmware", "iommu-command-line", None),
    ("iommu-only-in-dmesg", "vfio-virqfd-listed", None),
    ("intel", "iommu-command-line", None),
    ("grub-efi", "iommu-command-line", None),
    ("grub-bios", "iommu-firmware", None),
    ("group-with-disk", "gpu-nouveau", None),
    ("group-with-disk", "group-with-network", None),
    ("group-with-network", "narrow-link", None),
    ("no-interrupt-remapping", "group-with-disk", None),
    ("unsafe-interrupts", "gpu-dead", None),
    ("intremap-off", "only-display", None),
    ("gpu-nouveau", "only-display", None),
    ("gpu-nouveau", "gpu-sound-driver", None),
    // The driver that has the card ends that console itself, and so does vfio-pci when it takes it.
    (
        "gpu-nouveau",
        "console-in-gpu",
        Some(&[
            ("gpu-host-driver", Some("gpu rtx4090 at 0000:01:00"), Warn),
            ("boot-framebuffer", Some("gpu rtx4090 at 0000:01:00"), Warn),
        ]),
    ),
    ("console-in-gpu", "only-display", None),
    ("console-in-free-gpu", "narrow-link", None),
    ("bar-collision", "console-in-gpu", None),
    ("mapping-renumbered", "narrow-link", None),
    ("mapping-other-group", "group-with-sound", None),
    ("gpu-no-reset", "gpu-dead", None),
    ("gpu-slow-reset", "gpu-dead", None),
    ("no-address-space", "gpu-dead", None),
    ("firmware-memory", "group-with-sound", None),
    ("firmware-memory", "no-interrupt-remapping", None),
    ("vfio-takes-disk", "gpu-nouveau", None),
    ("vfio-takes-disk", "group-with-disk", None),
    ("vfio-takes-twin-audio", "gpu-sound-driver", None),
    ("gpu-gone", "no-interrupt-remapping", None),
    ("grub-efi", "command-line-not-refreshed", None),
    ("grub-bios", "command-line-not-rebooted", None),
    ("pool-degraded", "pool-never-scrubbed", None),
    ("kernel-not-booted", "initramfs-being-written", None),
    ("vfio-virqfd-listed", "unit-failed", None),
];
