//! Which packages of those that the inventory asks for are installed.

use std::collections::BTreeSet;

use super::super::text;
use crate::diag::Invalid;
use crate::ports::Output;

/// Asks for these packages; nothing to ask where there are none.
#[must_use]
pub fn command(names: &BTreeSet<String>) -> Option<Vec<String>> {
    if names.is_empty() {
        return None;
    }
    let argv = ["dpkg-query", "-W", "-f", "${Package}\\t${db:Status-Status}\\n"];
    Some(argv.into_iter().map(str::to_owned).chain(names.iter().cloned()).collect())
}

/// Reads those that are installed and configured.
///
/// # Errors
/// When `dpkg-query` failed for another reason than that one of them is unknown.
pub fn read(output: Option<&Output>) -> Result<BTreeSet<String>, Invalid> {
    let Some(output) = output else { return Ok(BTreeSet::new()) };
    // 1: at least one of them is unknown; the others were printed.
    if output.code > 1 || output.code < 0 {
        return Err(text::failed(output, "dpkg-query"));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let installed =
        |line: &str| line.split_once('\t').filter(|(_, state)| *state == "installed").map(|(name, _)| name.to_owned());
    Ok(printed.lines().filter_map(installed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn removed_and_unknown_packages_are_not_installed() {
        let printed = "lm-sensors\tinstalled\nnvtop\tconfig-files\n";
        let missing = "dpkg-query: no packages found matching tree\n";
        let seen = read(Some(&output(1, printed, missing))).unwrap();
        assert_eq!(seen, BTreeSet::from(["lm-sensors".to_owned()]));
        assert!(read(Some(&output(127, "", "sh: 1: dpkg-query: not found\n"))).is_err());
    }
}
