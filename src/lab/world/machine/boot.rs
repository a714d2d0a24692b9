//! The boot chain: what the next boot starts with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The boot chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boot {
    /// Who loads the kernel.
    pub loader: Loader,
    /// Whether `proxmox-boot-tool` keeps the ESPs, as on every host whose root is on ZFS.
    pub by_tool: bool,
    /// Root as the kernel is told: `ZFS=rpool/ROOT/pve-1`, `/dev/mapper/pve-root`.
    pub root: String,
    /// Installed kernels.
    pub kernels: BTreeSet<String>,
    /// What was written for the loader when it was last refreshed.
    pub given: Given,
    /// Initial RAM disks by kernel.
    pub images: BTreeMap<String, Image>,
    /// Kernels beside whose image an empty `.new` lies: the host was rebooted while it was written.
    pub half_written: BTreeSet<String>,
    /// Ids of the ESPs that `proxmox-boot-tool` keeps, as `/etc/kernel/proxmox-boot-uuids` has them.
    pub esps: Vec<String>,
}

/// Who loads the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loader {
    /// systemd-boot: what the installer puts on a ZFS root under UEFI without Secure Boot.
    #[default]
    SystemdBoot,
    /// GRUB, by BIOS or by UEFI.
    Grub,
}

/// What was written for the loader when it was last refreshed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    /// What the kernel is started with, beside where it and its image are.
    pub command_line: String,
    /// Kernels in the menu.
    pub kernels: BTreeSet<String>,
    /// The kernel that is started unless somebody chooses; the newest, if none.
    pub pinned: Option<String>,
    /// The kernel that the very next boot starts.
    pub next: Option<String>,
}

/// An initial RAM disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// `/etc/modprobe.d/*.conf` as it was when the image was made.
    pub modprobe: BTreeMap<String, String>,
    /// `/etc/initramfs-tools/modules` as it was.
    pub modules: String,
    /// When it was made, in milliseconds since the epoch.
    pub made_ms: i64,
}

impl Given {
    /// The kernel that the next boot starts.
    #[must_use]
    pub fn kernel(&self) -> Option<&String> {
        let there = |name: &Option<String>| name.as_ref().and_then(|name| self.kernels.get(name));
        there(&self.next).or_else(|| there(&self.pinned)).or_else(|| newest(&self.kernels))
    }
}

/// The newest of some kernels, by the numbers in their release.
#[must_use]
pub fn newest(kernels: &BTreeSet<String>) -> Option<&String> {
    kernels.iter().max_by_key(|release| numbers(release))
}

/// The numbers in a release, in their order.
pub(super) fn numbers(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        let kernels = ["6.8.12-15-pve", "6.17.2-1-pve", "6.17.9-1-pve", "6.5.13-6-pve"].map(str::to_owned);
        assert_eq!(newest(&kernels.into()).unwrap(), "6.17.9-1-pve");
    }

    #[test]
    fn the_next_boot_goes_before_the_pin_and_the_pin_before_the_newest() {
        let mut given = Given { kernels: ["6.8.1-1-pve", "6.9.1-1-pve"].map(str::to_owned).into(), ..Given::default() };
        assert_eq!(given.kernel().unwrap(), "6.9.1-1-pve");
        given.pinned = Some("6.8.1-1-pve".to_owned());
        assert_eq!(given.kernel().unwrap(), "6.8.1-1-pve");
        given.next = Some("6.9.1-1-pve".to_owned());
        assert_eq!(given.kernel().unwrap(), "6.9.1-1-pve");
        given.next = Some("6.2.1-1-pve".to_owned());
        assert_eq!(given.kernel().unwrap(), "6.8.1-1-pve", "what is not in the menu is not started");
    }
}
