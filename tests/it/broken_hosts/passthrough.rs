//! What is found where something stands in the way of a GPU.

use infra::checks::Verdict::{CouldNotRun, Fail, Pass, Skipped, Warn};

use super::Expected;

const GPU: Option<&str> = Some("gpu rtx4090 at 0000:01:00");
/// The same card where nobody knows where it is.
const UNPLACED: Option<&str> = Some("gpu rtx4090");

pub const EXPECTED: &[Expected] = &[
    ("no-interrupt-remapping", &[("interrupt-remapping", None, Fail)]),
    ("intremap-off", &[("interrupt-remapping", None, Fail)]),
    ("unsafe-interrupts", &[("interrupt-remapping", None, Warn)]),
    ("group-with-disk", &[("iommu-group-shared", GPU, Fail)]),
    ("group-with-network", &[("iommu-group-shared", GPU, Fail)]),
    ("group-with-bridge", &[]),
    ("group-with-host-bridge", &[]),
    ("group-with-sound", &[("iommu-group-shared", GPU, Warn)]),
    ("gpu-nouveau", &[("gpu-host-driver", GPU, Warn)]),
    ("gpu-sound-driver", &[("gpu-host-driver", GPU, Warn)]),
    ("gpu-no-driver", &[]),
    ("console-in-gpu", &[("boot-framebuffer", GPU, Fail)]),
    ("console-in-free-gpu", &[("boot-framebuffer", GPU, Warn)]),
    ("bar-collision", &[("boot-framebuffer", GPU, Warn)]),
    (
        "vfio-takes-disk",
        &[("initramfs-stale", None, Warn), ("vfio-ids", Some("NVMe controller at 0000:02:00.0"), Fail)],
    ),
    ("vfio-ids-of-gpu", &[("initramfs-stale", None, Warn)]),
    (
        "vfio-takes-twin-audio",
        &[("initramfs-stale", None, Warn), ("vfio-ids", Some("audio device at 0000:10:00.1"), Warn)],
    ),
    (
        "twin-gpu",
        &[
            ("token-privileges", None, CouldNotRun),
            ("gpu-not-found", UNPLACED, Pass),
            ("gpu-ambiguous", UNPLACED, Fail),
            ("iommu-group-shared", UNPLACED, Skipped),
            ("token-privileges", None, CouldNotRun),
            ("firmware-memory", UNPLACED, Skipped),
            ("pci-address-space", UNPLACED, Skipped),
            ("gpu-lost", UNPLACED, Skipped),
            ("gpu-host-driver", UNPLACED, Skipped),
            ("boot-framebuffer", UNPLACED, Skipped),
            ("only-console", UNPLACED, Skipped),
            ("gpu-reset", UNPLACED, Skipped),
            ("pcie-link", UNPLACED, Skipped),
            ("gpu-in-use", UNPLACED, Skipped),
            ("gpu-mapping", UNPLACED, Skipped),
            ("gpu-functions-left", UNPLACED, Skipped),
        ],
    ),
    (
        "gpu-gone",
        &[
            ("token-privileges", None, CouldNotRun),
            ("gpu-not-found", UNPLACED, Fail),
            ("iommu-group-shared", UNPLACED, Skipped),
            ("token-privileges", None, CouldNotRun),
            ("firmware-memory", UNPLACED, Skipped),
            ("pci-address-space", UNPLACED, Skipped),
            ("gpu-lost", UNPLACED, Skipped),
            ("gpu-host-driver", UNPLACED, Skipped),
            ("boot-framebuffer", UNPLACED, Skipped),
            ("only-console", UNPLACED, Skipped),
            ("gpu-reset", UNPLACED, Skipped),
            ("pcie-link", UNPLACED, Skipped),
            ("gpu-in-use", UNPLACED, Skipped),
            ("gpu-mapping", UNPLACED, Skipped),
            ("gpu-functions-left", UNPLACED, Skipped),
        ],
    ),
    ("mapping-renumbered", &[("gpu-mapping", GPU, Warn)]),
    ("mapping-other-group", &[("gpu-mapping", GPU, Warn)]),
    ("mapping-fits", &[("gpu-mapping", GPU, Pass)]),
    ("gpu-no-reset", &[("gpu-reset", GPU, Warn)]),
    ("gpu-dead", &[("gpu-lost", GPU, Fail)]),
    ("gpu-slow-reset", &[("gpu-lost", GPU, Warn)]),
    ("narrow-link", &[("pcie-link", GPU, Warn)]),
    ("sleeping-link", &[("pcie-link", GPU, Skipped)]),
    ("no-address-space", &[("pci-address-space", GPU, Fail)]),
    ("address-space-found-later", &[]),
    ("firmware-memory", &[("firmware-memory", GPU, Fail)]),
    ("only-display", &[("only-console", GPU, Warn)]),
];
