//! Packages that a host of a release has, as far as anybody asks for them.

use std::collections::BTreeMap;

use crate::lab::world::Version;

const V9: &[(&str, &str)] = &[
    ("apparmor", "4.1.0-1"),
    ("chrony", "4.6.1-3"),
    ("corosync", "3.1.9-pve2"),
    ("efibootmgr", "18-2"),
    ("grub-efi-amd64-bin", "2.12-9+pmx2"),
    ("grub-pc-bin", "2.12-9+pmx2"),
    ("ifupdown2", "3.3.0-1+pmx11"),
    ("initramfs-tools", "0.148.3"),
    ("libpve-common-perl", "9.0.15"),
    ("lxc-pve", "6.0.5-3"),
    ("lxcfs", "6.0.4-pve1"),
    ("openssh-server", "1:10.0p1-7"),
    ("pciutils", "1:3.13.0-2"),
    ("pve-container", "6.0.18"),
    ("pve-firmware", "3.17-2"),
    ("pve-qemu-kvm", "10.1.2-4"),
    ("pve-storage", "9.1.0"),
    ("qemu-server", "9.1.0"),
    ("systemd", "257.9-1~deb13u1"),
    ("systemd-boot", "257.9-1~deb13u1"),
    ("zfs-initramfs", "2.3.4-pve1"),
    ("zfsutils-linux", "2.3.4-pve1"),
];

const V8: &[(&str, &str)] = &[
    ("apparmor", "3.0.8-3"),
    ("chrony", "4.3-2+deb12u1"),
    ("corosync", "3.1.9-pve1"),
    ("efibootmgr", "17-2"),
    ("grub-efi-amd64-bin", "2.06-13+pmx7"),
    ("grub-pc-bin", "2.06-13+pmx7"),
    ("ifupdown2", "3.2.0-1+pmx11"),
    ("initramfs-tools", "0.142+deb12u3"),
    ("libpve-common-perl", "8.3.4"),
    ("lxc-pve", "6.0.0-1"),
    ("lxcfs", "6.0.0-pve2"),
    ("openssh-server", "1:9.2p1-2+deb12u7"),
    ("pciutils", "1:3.9.0-4"),
    ("pve-container", "5.3.3"),
    ("pve-firmware", "3.16-3"),
    ("pve-qemu-kvm", "9.2.0-7"),
    ("qemu-server", "8.4.4"),
    ("systemd", "252.39-1~deb12u1"),
    ("systemd-boot", "252.39-1~deb12u1"),
    ("zfs-initramfs", "2.2.8-pve1"),
    ("zfsutils-linux", "2.2.8-pve1"),
];

/// Packages and their versions; `kernels` are those that are installed.
#[must_use]
pub fn usual_packages<'a>(version: Version, kernels: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, String> {
    let list = if version == Version::V8_4 { V8 } else { V9 };
    let mut all: BTreeMap<String, String> =
        list.iter().map(|(name, v)| ((*name).to_owned(), (*v).to_owned())).collect();
    all.insert("pve-manager".to_owned(), version.full().to_owned());
    all.insert("proxmox-ve".to_owned(), format!("{}.0", version.release()));
    for release in kernels {
        let Some(number) = release.strip_suffix("-pve") else { continue };
        all.insert(format!("proxmox-kernel-{release}-signed"), number.to_owned());
        let series: Vec<&str> = release.split('.').take(2).collect();
        all.insert(format!("proxmox-kernel-{}", series.join(".")), number.to_owned());
    }
    all
}
