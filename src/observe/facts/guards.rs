//! Reverts that a host has, pending or past.

use std::collections::BTreeMap;

use super::text;
use crate::diag::Invalid;
use crate::model::guard::{Guard, GuardState};
use crate::ports::Output;

/// Names the files of every guard, directory by directory; changes nothing.
pub const COMMAND: [&str; 3] = ["ls", "-1R", Guard::HOME];

/// Reads them; a host that never had one has no such directory.
///
/// # Errors
/// When the directory cannot be read.
pub fn read(output: &Output) -> Result<BTreeMap<String, GuardState>, Invalid> {
    if output.code != 0 && text::stderr(output).contains("No such file or directory") {
        return Ok(BTreeMap::new());
    }
    let listing = text::good(output, "ls")?;
    let mut guards = BTreeMap::new();
    for block in listing.split("\n\n") {
        let mut lines = block.lines().map(str::trim);
        let Some(directory) = lines.next().and_then(|head| head.strip_suffix(':')) else { continue };
        if let Some(name) = directory.strip_prefix(Guard::HOME).and_then(|rest| rest.strip_prefix('/')) {
            guards.insert(name.to_owned(), GuardState::of(lines));
        }
    }
    Ok(guards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn each_directory_is_a_guard() {
        let text = "/var/lib/infra/guard:\nbridge\nfirewall\n\n/var/lib/infra/guard/bridge:\n0\nreverted\nrevert\n\n\
                    /var/lib/infra/guard/firewall:\n0\narmed\nrevert\n";
        let guards = read(&output(0, text, "")).unwrap();
        assert_eq!(guards["bridge"], GuardState::Reverted);
        assert_eq!(guards["firewall"], GuardState::Armed);
        assert_eq!(guards.len(), 2);
        let none = output(2, "", "ls: cannot access '/var/lib/infra/guard': No such file or directory\n");
        assert_eq!(read(&none), Ok(BTreeMap::new()));
        assert!(read(&output(2, "", "ls: cannot open directory: Permission denied\n")).is_err());
    }
}
