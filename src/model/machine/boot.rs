//! What booted the host, and what will.

use serde::{Deserialize, Serialize};

/// What booted the host, and what will boot it next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Whether the firmware started it as UEFI or as BIOS.
    pub firmware: Firmware,
    /// The loader that started the running system; `None` where the signs contradict each other or are missing.
    pub loader: Option<Loader>,
    /// What that is concluded from: a file or command, and what it said.
    pub signs: Vec<Sign>,
    /// Whether Secure Boot is enforced; `None` where the firmware has no such variable, as without UEFI.
    pub secure_boot: Option<bool>,
    /// `/etc/kernel/proxmox-boot-uuids`: EFI system partitions that `proxmox-boot-tool` fills; empty where it does not.
    pub esps: Vec<String>,
    /// `/etc/kernel/proxmox-boot-pin`: the kernel that is booted whatever is newest.
    pub pinned: Option<String>,
    /// `/etc/kernel/next-boot-pin`: the kernel that is booted once.
    pub next_boot: Option<String>,
    /// File system of `/`: `zfs`, `ext4`, …
    pub root: RootFileSystem,
    /// When the running system was booted, in seconds since 1970 by the host's clock.
    pub booted_at: i64,
    /// When this was read, by the same clock.
    pub read_at: i64,
}

/// How the firmware started the system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Firmware {
    /// As a BIOS, or as UEFI in its compatibility mode.
    #[default]
    Bios,
    /// As UEFI: `/sys/firmware/efi` is there.
    Uefi,
}

/// A boot loader that Proxmox VE installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loader {
    /// GRUB, started by BIOS or UEFI.
    Grub,
    /// systemd-boot, as the installer uses it for ZFS on UEFI without Secure Boot.
    SystemdBoot,
}

/// Something that tells which loader it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// The file or command.
    pub source: String,
    /// The deciding words.
    pub text: String,
}

/// What `/` is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFileSystem {
    /// `/dev/mapper/pve-root`, `rpool/ROOT/pve-1`.
    pub source: String,
    /// `ext4`, `zfs`, …
    pub kind: String,
}

impl Loader {
    /// As its makers write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grub => "GRUB",
            Self::SystemdBoot => "systemd-boot",
        }
    }

    /// The file that its kernel command line is taken from.
    #[must_use]
    pub fn command_line_file(self) -> &'static str {
        match self {
            Self::Grub => "/etc/default/grub",
            Self::SystemdBoot => "/etc/kernel/cmdline",
        }
    }
}

impl Boot {
    /// The command that takes a changed command line over into the loader; `None` where nobody can tell.
    ///
    /// Where `proxmox-boot-tool` fills the EFI system partitions, GRUB reads its menu from there and not from
    /// `/boot/grub/grub.cfg`, so it is its `refresh` for either loader (proxmox-kernel-helper, `zz-proxmox-boot`).
    #[must_use]
    pub fn refresh(&self) -> Option<&'static [&'static str]> {
        match (self.loader?, self.esps.is_empty()) {
            (_, false) => Some(&["proxmox-boot-tool", "refresh"]),
            (Loader::Grub, true) => Some(&["update-grub"]),
            (Loader::SystemdBoot, true) => None,
        }
    }

    /// The kernel that is pinned for the next boot, be it for once or for good.
    #[must_use]
    pub fn pin(&self) -> Option<&str> {
        self.next_boot.as_deref().or(self.pinned.as_deref())
    }
}
