//! What is found where guests are there already.

use infra::checks::Verdict::{CouldNotRun, Fail, Pass, Skipped, Warn};

use super::{Difference, Expected};

const VM: Option<&str> = Some("vm.plan-hq");
const CT: Option<&str> = Some("ct.proj-x");

/// What is looked at only of a guest that is there.
const VM_FREE: Difference = ("guest-locked", VM, Pass);
const VM_SETTLED: Difference = ("pending-configuration", VM, Pass);
const CT_FREE: Difference = ("guest-locked", CT, Pass);
const CT_SETTLED: Difference = ("pending-configuration", CT, Pass);
const CT_MAPPED: Difference = ("container-idmap", CT, Pass);

pub const EXPECTED: &[Expected] = &[
    ("gpu-vm-there", &[VM_FREE, VM_SETTLED]),
    ("gpu-seabios", &[VM_FREE, VM_SETTLED, ("gpu-machine-type", VM, Warn)]),
    ("gpu-no-efidisk", &[VM_FREE, VM_SETTLED, ("gpu-machine-type", VM, Warn)]),
    ("gpu-romfile", &[VM_FREE, VM_SETTLED, ("gpu-rom", VM, Warn)]),
    ("gpu-balloon", &[VM_FREE, VM_SETTLED]),
    ("gpu-memory-snapshot", &[VM_FREE, VM_SETTLED, ("gpu-ram-snapshot", VM, Warn)]),
    ("gpu-high-availability", &[VM_FREE, VM_SETTLED, ("gpu-local-resource", VM, Warn)]),
    (
        "gpu-raw-address",
        &[
            VM_FREE,
            VM_SETTLED,
            ("gpu-raw-address", VM, Fail),
            ("gpu-functions-left", Some("gpu rtx4090 at 0000:01:00"), Pass),
        ],
    ),
    ("ct-there", &[CT_FREE, CT_SETTLED, CT_MAPPED]),
    ("ct-apparmor", &[CT_FREE, CT_SETTLED, CT_MAPPED, ("container-apparmor", CT, Warn)]),
    ("ct-snapshot", &[CT_FREE, CT_SETTLED, CT_MAPPED, ("container-snapshots", CT, Warn)]),
    ("ct-idmap", &[CT_FREE, CT_SETTLED, ("container-idmap", CT, Fail)]),
    ("ct-privileged", &[CT_FREE, CT_SETTLED, ("container-idmap", CT, Fail)]),
    ("ct-tun-by-hand", &[CT_FREE, CT_SETTLED, CT_MAPPED, ("container-tun", CT, Warn)]),
    ("ct-locked", &[("guest-locked", CT, Fail), CT_SETTLED, CT_MAPPED]),
    ("ct-lock-held", &[CT_FREE, CT_SETTLED, CT_MAPPED, ("lock-held", Some("/run/lock/lxc/pve-config-104.lock"), Warn)]),
    (
        "vmid-foreign",
        &[
            ("vmid-taken", CT, Fail),
            ("token-privileges", None, CouldNotRun),
            ("container-apparmor", CT, Skipped),
            ("container-nesting", CT, Skipped),
            ("container-snapshots", CT, Skipped),
        ],
    ),
    ("ct-pending", &[CT_FREE, ("pending-configuration", CT, Pass), CT_MAPPED]),
];
