//! What is found where the IOMMU is off; and the hosts that are another one and in order.

use infra::checks::Verdict::Fail;

use super::Expected;

pub const EXPECTED: &[Expected] = &[
    ("intel", &[]),
    ("grub-efi", &[]),
    ("grub-bios", &[]),
    ("iommu-firmware", &[("iommu-off", None, Fail)]),
    ("iommu-command-line", &[("iommu-off", None, Fail)]),
    ("iommu-old-kernel", &[("iommu-off", None, Fail)]),
];
