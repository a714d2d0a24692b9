//! Two defects at once: the one that shows after a reboot comes first, as a reboot takes over what the other did.

use super::Difference;

/// A defect, another one, and what is found where that is not simply what both find.
pub const PAIRS: &[(&str, &str, Option<&[Difference]>)] = &[
    ("iommu-firmware", "iommu-command-line", None),
    ("intel", "iommu-command-line", None),
    ("grub-efi", "iommu-command-line", None),
    ("grub-bios", "iommu-firmware", None),
];
