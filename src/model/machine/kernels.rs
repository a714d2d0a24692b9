//! Kernels and initial RAM disks in `/boot`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Kernels and initial RAM disks in `/boot`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernels {
    /// `vmlinuz-*` by release.
    pub images: BTreeMap<String, BootFile>,
    /// `initrd.img-*` by release.
    pub initramfs: BTreeMap<String, BootFile>,
    /// `initrd.img-*.new` by release: one that is being written, or that was not finished.
    pub unfinished: BTreeMap<String, BootFile>,
    /// Processes that are making an initial RAM disk right now: their command lines.
    pub writers: Vec<String>,
}

/// A file in `/boot`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFile {
    /// Bytes.
    pub size: u64,
    /// When its content was changed last, in seconds since 1970 by the host's clock.
    pub modified: i64,
}

impl Kernels {
    /// The newest installed release, in the order that Proxmox boots them.
    ///
    /// `proxmox-boot-tool` and GRUB sort by version and know no dates.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.images.keys().map(String::as_str).max_by(|a, b| version_order(a, b))
    }
}

/// Orders releases as `sort --version-sort` does where it matters: numbers as numbers.
#[must_use]
pub fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |text: &str| -> Vec<(u64, String)> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let words = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let word = &rest[..words];
            rest = &rest[words..];
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            // a number that no version has: all of them sort last
            let number = rest[..digits].parse().unwrap_or(if digits == 0 { 0 } else { u64::MAX });
            rest = &rest[digits..];
            parts.push((number, word.to_owned()));
        }
        parts
    };
    let (a, b) = (key(a), key(b));
    for ((number_a, word_a), (number_b, word_b)) in a.iter().zip(&b) {
        let order = word_a.cmp(word_b).then(number_a.cmp(number_b));
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_is_by_version_and_not_by_letters_or_dates() {
        let mut kernels = Kernels::default();
        for (release, modified) in
            [("6.8.12-9-pve", 3), ("6.8.12-15-pve", 2), ("6.14.11-1-pve", 1), ("6.2.16-3-pve", 9)]
        {
            kernels.images.insert(release.to_owned(), BootFile { size: 1, modified });
        }
        assert_eq!(kernels.newest(), Some("6.14.11-1-pve"));
        assert!(version_order("6.8.12-9-pve", "6.8.12-15-pve").is_lt());
        assert!(version_order("6.12.117+deb13-amd64", "6.12.117+deb13-amd64").is_eq());
        assert!(version_order("6.17.2-1-pve", "6.17.2-1-pve-signed").is_lt());
    }
}
