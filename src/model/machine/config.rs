//! Files that say how the host shall boot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Files that say how the host shall boot, by path, whole and byte for byte.
///
/// `/etc/default/grub{,.d}`, `/etc/kernel/*`, `/etc/modules`, `modules-load.d`, `modprobe.d`,
/// `/etc/initramfs-tools/modules`, `sysctl.d`, `/etc/apt/sources.list{,.d}`. What is not in it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFiles {
    /// By absolute path, as found: a symbolic link is under its own name.
    pub files: BTreeMap<String, ConfigFile>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// All of it.
    pub content: String,
    /// When its content was changed last, in seconds since 1970 by the host's clock.
    pub modified: i64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Where it points, if it is a symbolic link; the rest is of the file that it points to.
    pub link: Option<String>,
}

impl ConfigFiles {
    /// A file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&ConfigFile> {
        self.files.get(path)
    }

    /// What a file holds.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<&str> {
        self.get(path).map(|file| file.content.as_str())
    }

    /// Files directly in a directory whose names end so, in the order of their names.
    pub fn in_dir<'a>(&'a self, dir: &'a str, suffix: &'a str) -> impl Iterator<Item = (&'a str, &'a ConfigFile)> {
        self.files.iter().filter_map(move |(path, file)| {
            let name = path.strip_prefix(dir)?.strip_prefix('/')?;
            (!name.contains('/') && name.ends_with(suffix)).then_some((path.as_str(), file))
        })
    }
}
