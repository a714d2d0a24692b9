//! Memory and ZFS's cache.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{Arc, Memory};
use crate::ports::Output;

/// Asks for it.
pub const COMMANDS: &[&[&str]] = &[
    &["cat", "/proc/meminfo"],
    &["cat", "/proc/spl/kstat/zfs/arcstats"],
    &["cat", "/sys/module/zfs/parameters/zfs_arc_max"],
];

/// Reads it.
///
/// # Errors
/// When the kernel's own numbers are not there, or ZFS's are and make no sense.
pub fn read(outputs: &[Output]) -> Result<Memory, Invalid> {
    let [meminfo, arcstats, parameter] = outputs else { return Err(Invalid::new("not asked for")) };
    let text = text::good(meminfo, "cat")?;
    let number = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let kib = |name: &str| number(name).map(|kib| kib.saturating_mul(1024));
    let missing = |name: &str| Invalid::new(format!("`/proc/meminfo` has no `{name}`"));
    let page = kib("Hugepagesize").unwrap_or_default();
    let mut memory = Memory {
        total: kib("MemTotal").ok_or_else(|| missing("MemTotal"))?,
        available: kib("MemAvailable").ok_or_else(|| missing("MemAvailable"))?,
        swap: kib("SwapTotal").unwrap_or_default(),
        huge_pages: number("HugePages_Total").unwrap_or_default().saturating_mul(page),
        arc: None,
    };
    if let Some(stats) = text::file(arcstats)? {
        let value = |name: &str| -> Result<u64, Invalid> {
            let found = stats.lines().find_map(|line| {
                let mut words = line.split_whitespace();
                (words.next() == Some(name)).then(|| words.nth(1)?.parse().ok()).flatten()
            });
            found.ok_or_else(|| Invalid::new(format!("`arcstats` has no `{name}`")))
        };
        let parameter = text::good(parameter, "cat")?;
        let parameter = parameter.trim().parse().map_err(|_| Invalid::new("`zfs_arc_max` is no number"))?;
        memory.arc = Some(Arc { size: value("size")?, limit: value("c_max")?, floor: value("c_min")?, parameter });
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const MEMINFO: &str = "MemTotal:       65842304 kB\nMemFree:  1 kB\nMemAvailable:   40000000 kB\n\
                           SwapTotal:       8388604 kB\nHugePages_Total:       4\nHugepagesize:       2048 kB\n";

    #[test]
    fn memory_with_and_without_zfs() {
        let missing = || output(1, "", "cat: /x: No such file or directory\n");
        let memory = read(&[output(0, MEMINFO, ""), missing(), missing()]).unwrap();
        assert_eq!((memory.total, memory.huge_pages), (65_842_304 * 1024, 8 << 20));
        assert_eq!(memory.arc, None);
        let stats = "13 1 0x01 147 39984 3 9\nname                            type data\n\
                     c                               4    3000\nc_min                           4    1000\n\
                     c_max                           4    6000\nsize                            4    2500\n";
        let memory = read(&[output(0, MEMINFO, ""), output(0, stats, ""), output(0, "0\n", "")]).unwrap();
        assert_eq!(memory.arc, Some(Arc { size: 2500, limit: 6000, floor: 1000, parameter: 0 }));
    }

    #[test]
    fn half_of_the_numbers_are_none() {
        let missing = || output(1, "", "cat: /x: No such file or directory\n");
        assert!(read(&[output(0, "MemTotal: 1 kB\n", ""), missing(), missing()]).is_err());
        assert!(read(&[output(0, MEMINFO, ""), output(0, "size 4 1\n", ""), output(0, "0\n", "")]).is_err());
    }
}
