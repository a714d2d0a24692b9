//! Kernel settings that were asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::super::text;
use crate::diag::Invalid;
use crate::ports::Output;

/// Asks for these settings; nothing to ask where there are none.
#[must_use]
pub fn command(keys: &BTreeSet<String>) -> Option<Vec<String>> {
    if keys.is_empty() {
        return None;
    }
    Some(["grep", "-H", "."].into_iter().map(str::to_owned).chain(keys.iter().map(|key| path(key))).collect())
}

/// Where a setting is: dots separate its parts unless a slash comes first, as `sysctl(8)` has it.
fn path(key: &str) -> String {
    let slashes = key.find(['.', '/']).is_some_and(|at| key[at..].starts_with('/'));
    let swap = |c: char| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path: String = if slashes { key.to_owned() } else { key.chars().map(swap).collect() };
    format!("/proc/sys/{path}")
}

/// Reads them. What the kernel does not have is not in it.
///
/// # Errors
/// When one could not be read.
pub fn read(keys: &BTreeSet<String>, output: Option<&Output>) -> Result<BTreeMap<String, String>, Invalid> {
    let mut values = BTreeMap::new();
    let Some(output) = output else { return Ok(values) };
    let errors = text::stderr(output);
    if errors.lines().any(|line| !line.trim().is_empty() && !line.ends_with("No such file or directory")) {
        return Err(text::failed(output, "grep"));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    for key in keys {
        let start = format!("{}:", path(key));
        let value: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix(&start)).collect();
        if !value.is_empty() {
            values.insert(key.clone(), value.join("\n"));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn settings_are_found_where_sysctl_finds_them() {
        assert_eq!(path("vm.swappiness"), "/proc/sys/vm/swappiness");
        assert_eq!(path("net/ipv4/conf/eth0.5/forwarding"), "/proc/sys/net/ipv4/conf/eth0.5/forwarding");
        assert_eq!(path("net.ipv4.conf.eth0/5.forwarding"), "/proc/sys/net/ipv4/conf/eth0.5/forwarding");
    }

    #[test]
    fn what_the_kernel_does_not_have_is_absent_and_what_it_hides_is_an_error() {
        let keys = BTreeSet::from(["vm.swappiness".to_owned(), "vm.no-such".to_owned()]);
        let missing = "grep: /proc/sys/vm/no-such: No such file or directory\n";
        let seen = read(&keys, Some(&output(2, "/proc/sys/vm/swappiness:60\n", missing))).unwrap();
        assert_eq!(seen, BTreeMap::from([("vm.swappiness".to_owned(), "60".to_owned())]));
        assert!(read(&keys, Some(&output(2, "", "grep: /proc/sys/vm/swappiness: Permission denied\n"))).is_err());
        assert_eq!(read(&BTreeSet::new(), None), Ok(BTreeMap::new()));
    }
}
