//! A host as the installer leaves it, made fit for its passed-through devices as the documentation says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{Loader, PoolState, boot, module_of, native_driver, refresh_images, refresh_loader, usual_packages};
use crate::lab::world::{File, Node, Service, Version};

const PVE_BLACKLIST: &str = "\
# This file contains a list of modules which are not supported by Proxmox VE 

# nvidiafb see bugreport https://bugzilla.proxmox.com/show_bug.cgi?id=701
blacklist nvidiafb
";
const MODULES: &str = "\
# /etc/modules is obsolete and has been replaced by /etc/modules-load.d/.
# Please see modules-load.d(5) and modprobe.d(5) for details.
#
# Updating this file still works, but it is undocumented and unsupported.
";
const MODULES_8: &str = "\
# /etc/modules: kernel modules to load at boot time.
#
# This file contains the names of kernel modules that should be loaded
# at boot time, one per line. Lines beginning with \"#\" are ignored.
# Parameters can be specified after the module name.

";
const INITRAMFS_MODULES: &str = "\
# List of modules that you want to include in your initramfs.
# They will be loaded at boot time in the order below.
#
# Syntax:  module_name [args ...]
#
# You must run update-initramfs(8) to effect this change.
#
# Examples:
#
# raid1
# sd_mod
";
const GRUB: &str = "\
# If you change this file or any /etc/default/grub.d/*.cfg file,
# run 'update-grub' afterwards to update /boot/grub/grub.cfg.
# For full documentation of the options in these files, see:
#   info -f grub -n 'Simple configuration'

GRUB_DEFAULT=0
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`
GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"
GRUB_CMDLINE_LINUX=\"\"

# If your computer has multiple operating systems installed, then you
# probably want to run os-prober. However, if your computer is a host
# for guest OSes installed via LVM or raw disk devices, running
# os-prober can cause damage to those guest OSes as it mounts
# filesystems to look for things.
#GRUB_DISABLE_OS_PROBER=false
";
const DEBIAN_SOURCES: &str = "\
Types: deb
URIs: http://deb.debian.org/debian/
Suites: trixie trixie-updates
Components: main contrib non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.debian.org/debian-security/
Suites: trixie-security
Components: main contrib non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
";
const PROXMOX_SOURCES: &str = "\
Types: deb
URIs: http://download.proxmox.com/debian/pve
Suites: trixie
Components: pve-no-subscription
Signed-By: /usr/share/keyrings/proxmox-archive-keyring.gpg
";
const ENTERPRISE_SOURCES: &str = "\
Types: deb
URIs: https://enterprise.proxmox.com/debian/pve
Suites: trixie
Components: pve-enterprise
Signed-By: /usr/share/keyrings/proxmox-archive-keyring.gpg
Enabled: false
";
const SOURCES_8: &str = "\
deb http://ftp.debian.org/debian bookworm main contrib

deb http://ftp.debian.org/debian bookworm-updates main contrib

# security updates
deb http://security.debian.org bookworm-security main contrib

deb http://download.proxmox.com/debian/pve bookworm pve-no-subscription
";
const ENTERPRISE_8: &str = "# deb https://enterprise.proxmox.com/debian/pve bookworm pve-enterprise\n";
const OS_RELEASE: &str = "\
PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"
NAME=\"Debian GNU/Linux\"
VERSION_ID=\"13\"
VERSION=\"13 (trixie)\"
VERSION_CODENAME=trixie
DEBIAN_VERSION_FULL=13.2
ID=debian
HOME_URL=\"https://www.debian.org/\"
SUPPORT_URL=\"https://www.debian.org/support\"
BUG_REPORT_URL=\"https://bugs.debian.org/\"
";
const OS_RELEASE_8: &str = "\
PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"
NAME=\"Debian GNU/Linux\"
VERSION_ID=\"12\"
VERSION=\"12 (bookworm)\"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL=\"https://www.debian.org/\"
SUPPORT_URL=\"https://www.debian.org/support\"
BUG_REPORT_URL=\"https://bugs.debian.org/\"
";

/// The kernel that a release runs unless somebody installed another.
#[must_use]
pub fn usual_kernel(version: Version) -> &'static str {
    match version {
        Version::V8_4 => "6.8.12-15-pve",
        Version::V9_1 => "6.17.2-1-pve",
        Version::V9_2 => "6.17.9-1-pve",
    }
}

/// Makes a node a host: what the installer writes, what its passed-through devices need, and one boot.
///
/// Its root is on the pool `rpool` where there is one, and on LVM where there is none. Devices whose driver
/// is `vfio-pci` were given to it by their ids. Nothing is done to a node that is a host already.
pub fn install(node: &mut Node, version: Version, now_ms: i64) {
    if node.machine.is_installed() {
        return;
    }
    node.machine.firmware.has_iommu = node.pci.is_empty() || node.pci.values().any(|device| device.iommu_group >= 0);
    let zfs = node.zfs.pools.contains_key("rpool");
    let chain = &mut node.machine.boot;
    chain.loader = if zfs && !node.system.legacy_bios { Loader::SystemdBoot } else { Loader::Grub };
    chain.by_tool = zfs;
    chain.root = if zfs { "ZFS=rpool/ROOT/pve-1" } else { "/dev/mapper/pve-root" }.to_owned();
    chain.esps = if zfs { vec!["5A1C-9F3E".to_owned()] } else { Vec::new() };
    let release = match node.system.kernel_release.as_str() {
        "" => usual_kernel(version),
        release => release,
    };
    chain.kernels = BTreeSet::from([release.to_owned()]);
    if node.fingerprint.is_empty() {
        let digest = Sha256::digest(format!("certificate of {}", node.address));
        node.fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    }
    node.machine.packages = usual_packages(version, &node.machine.boot.kernels);
    node.machine.units = usual_units();
    let day = 86_400_000;
    for name in node.zfs.pools.keys() {
        let state = PoolState { scrubbed_ms: Some(now_ms - 13 * day), ..PoolState::default() };
        node.machine.pools.insert(name.clone(), state);
    }
    files(node, version, now_ms - 30 * day);
    refresh_loader(node);
    refresh_images(node, &[], now_ms - 29 * day);
    let booted_ms = node.booted_ms;
    boot(node, booted_ms);
}

/// Units of systemd that every host has beside Proxmox's services.
#[must_use]
pub fn usual_units() -> BTreeMap<String, Service> {
    let units: &[(&str, &str, bool, &str)] = &[
        ("apparmor.service", "Load AppArmor profiles", true, "enabled"),
        ("pve-guests.service", "PVE guests", true, "enabled"),
        ("ssh.service", "OpenBSD Secure Shell server", true, "enabled"),
        ("systemd-modules-load.service", "Load Kernel Modules", true, "static"),
        ("systemd-timesyncd.service", "Network Time Synchronization", false, "disabled"),
        ("zfs-import-cache.service", "Import ZFS pools by cache file", true, "enabled"),
        ("zfs-mount.service", "Mount ZFS filesystems", true, "enabled"),
        ("zfs-zed.service", "ZFS Event Daemon (zed)", true, "enabled"),
        ("zfs.target", "ZFS startup target", true, "enabled"),
    ];
    units.iter().map(|(name, what, running, state)| ((*name).to_owned(), Service::new(what, *running, state))).collect()
}

fn files(node: &mut Node, version: Version, now_ms: i64) {
    let old = version == Version::V8_4;
    let mut put = |path: &str, text: &str| {
        let file = File { content: text.as_bytes().to_vec(), mode: 0o644, modified_ms: now_ms, ..File::default() };
        node.files.entry(path.to_owned()).or_insert(file);
    };
    put("/etc/default/grub", GRUB);
    put("/etc/modprobe.d/pve-blacklist.conf", PVE_BLACKLIST);
    put("/etc/modules", if old { MODULES_8 } else { MODULES });
    put("/etc/initramfs-tools/modules", INITRAMFS_MODULES);
    put("/etc/debian_version", if old { "12.12\n" } else { "13.2\n" });
    put("/usr/lib/os-release", if old { OS_RELEASE_8 } else { OS_RELEASE });
    if old {
        put("/etc/apt/sources.list", SOURCES_8);
        put("/etc/apt/sources.list.d/pve-enterprise.list", ENTERPRISE_8);
    } else {
        put("/etc/apt/sources.list.d/debian.sources", DEBIAN_SOURCES);
        put("/etc/apt/sources.list.d/proxmox.sources", PROXMOX_SOURCES);
        put("/etc/apt/sources.list.d/pve-enterprise.sources", ENTERPRISE_SOURCES);
    }
    let root = node.machine.boot.root.clone();
    if let Some(dataset) = root.strip_prefix("ZFS=") {
        put("/etc/kernel/cmdline", &format!("root=ZFS={dataset} boot=zfs\n"));
        put(
            "/etc/default/grub.d/zfs.cfg",
            &format!("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX root=ZFS={dataset} boot=zfs\"\n"),
        );
        let esps: String = node.machine.boot.esps.iter().map(|id| format!("{id}\n")).collect();
        put("/etc/kernel/proxmox-boot-uuids", &esps);
    }
    if !node.zfs.pools.is_empty() {
        // a tenth of the memory, 16 GiB at most: what the installer does since 8.1
        let limit = (node.memory / 10).clamp(64 << 20, 16 << 30) >> 20 << 20;
        put("/etc/modprobe.d/zfs.conf", &format!("options zfs zfs_arc_max={limit}\n"));
    }
    let passed: Vec<_> = node.pci.values().filter(|device| device.driver.as_deref() == Some("vfio-pci")).collect();
    if passed.is_empty() {
        return;
    }
    let mut ids: Vec<String> = passed.iter().map(|device| device.id()).collect();
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    let drivers: BTreeSet<&str> = passed
        .iter()
        .filter_map(|device| device.native_driver.as_deref().or_else(|| native_driver(device)))
        .map(module_of)
        .filter(|module| !module.is_empty())
        .collect();
    let mut text = format!("options vfio-pci ids={}\n", ids.join(","));
    for driver in drivers {
        let _ = writeln!(text, "softdep {driver} pre: vfio-pci");
    }
    put("/etc/modprobe.d/vfio.conf", &text);
    put("/etc/modules-load.d/vfio.conf", "vfio\nvfio_iommu_type1\nvfio_pci\n");
}
