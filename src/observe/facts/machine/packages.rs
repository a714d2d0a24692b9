//! Packages of a fixed list.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::Packages;
use crate::ports::Output;

/// Asks for them: names and patterns of packages that checks ask about.
pub const COMMANDS: &[&[&str]] = &[&[
    "dpkg-query",
    "-W",
    "-f",
    "${Package}\\t${Version}\\t${db:Status-Status}\\n",
    "proxmox-ve",
    "pve-manager",
    "qemu-server",
    "pve-qemu-kvm",
    "pve-container",
    "lxc-pve",
    "proxmox-kernel-helper",
    "proxmox-kernel-*",
    "pve-kernel-*",
    "linux-image-*",
    "zfsutils-linux",
    "zfs-initramfs",
    "libpve-common-perl",
    "libpve-guest-common-perl",
    "intel-microcode",
    "amd64-microcode",
    "grub-efi-amd64",
    "grub-pc",
    "systemd-boot",
    "shim-signed",
    "ifupdown2",
    "chrony",
    "nvidia-driver",
    "nvidia-kernel-dkms",
    "vendor-reset-dkms",
]];

/// Reads them.
///
/// # Errors
/// When `dpkg-query` itself failed; that some are not installed is an answer.
pub fn read(outputs: &[Output]) -> Result<Packages, Invalid> {
    let [list] = outputs else { return Err(Invalid::new("not asked for")) };
    let complaint = text::stderr(list);
    let known = complaint.lines().all(|line| line.trim().is_empty() || line.contains("no packages found matching"));
    if list.code > 1 || list.code != 0 && (!known || complaint.trim().is_empty()) {
        return Err(text::failed(list, "dpkg-query"));
    }
    let mut packages = Packages::default();
    for line in String::from_utf8_lossy(&list.stdout).lines().filter(|line| !line.is_empty()) {
        let [name, version, status] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(Invalid::new(format!("`dpkg-query` printed `{line}`, which is no package")));
        };
        match status {
            "installed" | "triggers-pending" | "triggers-awaited" => {
                packages.installed.insert(name.to_owned(), version.to_owned());
            }
            "not-installed" | "config-files" => {}
            other => {
                packages.broken.insert(name.to_owned(), other.to_owned());
            }
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn installed_removed_and_broken_packages_are_told_apart() {
        let list = "lxc-pve\t6.0.5-3\tinstalled\npve-kernel-5.15\t7.4-3\tconfig-files\nzfsutils-linux\t2.3.4-pve1\thalf-configured\n";
        let missing = "dpkg-query: no packages found matching nvidia-driver\n";
        let packages = read(&[output(1, list, missing)]).unwrap();
        assert_eq!(packages.installed.len(), 1);
        assert_eq!(packages.installed["lxc-pve"], "6.0.5-3");
        assert_eq!(packages.broken["zfsutils-linux"], "half-configured");
    }

    #[test]
    fn a_broken_database_is_no_empty_list() {
        let broken = output(2, "", "dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 3:\n");
        assert!(read(&[broken]).is_err());
        assert!(read(&[output(127, "", "sh: 1: dpkg-query: not found\n")]).is_err());
        assert!(read(&[output(0, "lxc-pve 6\n", "")]).is_err());
    }
}
