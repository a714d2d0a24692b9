//! Parameters of the kernel's command line, as the kernel reads them.
//!
//! Owns what a name and a value are and which names may stand there several times; must not know any file
//! or boot loader. Entry: [`name`].

/// The name of a parameter: what stands before its first `=`.
#[must_use]
pub fn name(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// Whether two names mean the same parameter: the kernel takes `-` and `_` for one another
/// (`parameqn` in its `kernel/params.c`).
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| dash(a) == dash(b))
}

/// Whether the kernel takes each of several parameters of that name, and not only the last one.
#[must_use]
pub fn accumulates(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "blacklist",
        "console",
        "earlycon",
        "earlyprintk",
        "hugepages",
        "hugepagesz",
        "initcall_blacklist",
        "memmap",
        "module_blacklist",
        "modprobe.blacklist",
        "pci",
        "video",
    ];
    NAMES.iter().any(|known| same_name(known, name)) || name.starts_with("rd.")
}

fn dash(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_and_underscores_are_the_same() {
        assert!(same_name("vfio-pci.ids", "vfio_pci.ids"));
        assert!(!same_name("iommu", "iommu.strict"));
        assert!(accumulates("console") && accumulates("initcall-blacklist") && !accumulates("iommu"));
    }
}
