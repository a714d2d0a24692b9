//! What is found where the IOMMU is off; and the hosts that are another one and in order.

use infra::checks::Verdict::{CouldNotRun, Fail, Skipped};

use super::{Difference, Expected};

/// What hangs on the groups is not known without them.
const OFF: &[Difference] = &[
    ("iommu-off", None, Fail),
    ("token-privileges", None, CouldNotRun),
    ("interrupt-remapping", None, Skipped),
    ("iommu-group-shared", Some("gpu rtx4090 at 0000:01:00"), CouldNotRun),
    ("firmware-memory", Some("gpu rtx4090 at 0000:01:00"), Skipped),
    ("gpu-host-driver", Some("gpu rtx4090 at 0000:01:00"), Skipped),
    // No plan can be made for a GPU without a group.
    ("token-privileges", None, CouldNotRun),
];

pub const EXPECTED: &[Expected] = &[
    ("intel", &[]),
    ("grub-efi", &[]),
    ("grub-bios", &[]),
    ("iommu-firmware", OFF),
    ("iommu-command-line", OFF),
    ("iommu-old-kernel", OFF),
    ("iommu-only-in-dmesg", OFF),
];
