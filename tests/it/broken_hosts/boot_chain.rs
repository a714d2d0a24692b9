//! What is found of the boot chain, modules, packages, memory and pools.

use infra::checks::Verdict::Warn;

use super::Expected;

pub const EXPECTED: &[Expected] = &[
    ("command-line-wrong-place", &[("command-line", None, Warn)]),
    ("command-line-not-refreshed", &[("command-line", None, Warn)]),
    ("command-line-not-rebooted", &[("command-line", None, Warn)]),
    ("command-line-second-line", &[("command-line", None, Warn)]),
    ("vfio-virqfd-listed", &[("vfio-virqfd", Some("/etc/modules-load.d/old.conf"), Warn)]),
    ("module-listed-and-blacklisted", &[("module-blocked", Some("it87"), Warn)]),
    ("initramfs-stale", &[("initramfs-stale", None, Warn)]),
    ("initramfs-half-written", &[("initramfs-unfinished", Some("6.17.9-1-pve"), Warn)]),
    ("initramfs-being-written", &[("initramfs-unfinished", None, Warn)]),
    ("kernel-not-booted", &[("kernel-newest", None, Warn)]),
    ("kernel-pinned", &[("kernel-newest", None, Warn)]),
    ("secure-boot-with-dkms", &[("secure-boot", None, Warn)]),
    ("enterprise-without-key", &[("package-sources", Some("pve-enterprise"), Warn)]),
    ("no-repository", &[("package-sources", None, Warn)]),
    ("unit-failed", &[("failed-units", Some("systemd-modules-load.service"), Warn)]),
    ("arc-limit-not-active", &[("arc-limit", None, Warn)]),
    ("lxc-pve-old", &[("container-runc", None, Warn)]),
    ("zfs-without-overlay", &[("container-overlay", None, Warn)]),
    ("pool-degraded", &[("pool-health", Some("rpool"), Warn)]),
    ("pool-fragmented", &[("pool-space", Some("rpool"), Warn)]),
    ("pool-never-scrubbed", &[("pool-scrub", Some("rpool"), Warn)]),
    ("pool-data-errors", &[("pool-health", Some("rpool"), Warn), ("pool-scrub", Some("rpool"), Warn)]),
];
