//! The kernel's command line as it is configured and as the loader was given it.

use serde::{Deserialize, Serialize};

/// The kernel's command line where it is configured, for either loader.
///
/// Which of both counts is [`super::Boot::loader`]'s to say. What the running kernel got is
/// [`super::Kernel::command_line`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLines {
    /// `/etc/default/grub` and `/etc/default/grub.d/*.cfg`, as `grub-mkconfig` reads them; `None` without that file.
    pub grub: Option<GrubDefaults>,
    /// The first line of `/etc/kernel/cmdline`, split at white space; `None` without that file.
    pub kernel: Option<Vec<String>>,
    /// Entries of `/boot/grub/grub.cfg` in their order; `None` without that file. GRUB reads this file only
    /// where `proxmox-boot-tool` does not fill the EFI system partitions.
    pub grub_entries: Option<Vec<GrubEntry>>,
}

/// What `grub-mkconfig` takes from its defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrubDefaults {
    /// `GRUB_CMDLINE_LINUX`: for every entry.
    pub linux: Vec<String>,
    /// `GRUB_CMDLINE_LINUX_DEFAULT`: for every entry but recovery.
    pub linux_default: Vec<String>,
    /// `GRUB_DEFAULT`: which entry is booted.
    pub default: Option<String>,
    /// Files that set one of them, in the order in which they are read.
    pub set_in: Vec<String>,
    /// Why these are perhaps not the values: the files are shell scripts, and something in them is more than
    /// an assignment.
    pub unclear: Option<String>,
}

impl GrubDefaults {
    /// The words of the command line of an ordinary entry, without `root=` and the like.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        self.linux.iter().chain(&self.linux_default).map(String::as_str).collect()
    }
}

/// An entry of GRUB's menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrubEntry {
    /// Its title.
    pub title: String,
    /// The kernel's file: `/boot/vmlinuz-6.17.9-1-pve`.
    pub kernel: String,
    /// Its command line, split at white space.
    pub options: Vec<String>,
}

impl GrubEntry {
    /// The kernel's release, as `uname -r` will say it.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.kernel.rsplit('/').next()?.strip_prefix("vmlinuz-")
    }
}
