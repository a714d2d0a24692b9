//! User and group ids that root may give to containers.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::SubIds;
use crate::ports::Output;

/// Asks for them.
pub const COMMANDS: &[&[&str]] = &[&["cat", "/etc/subuid"], &["cat", "/etc/subgid"]];

/// Reads them; a file that is not there gives no ids to anybody.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn read(outputs: &[Output]) -> Result<SubIds, Invalid> {
    let [users, groups] = outputs else { return Err(Invalid::new("not asked for")) };
    let ranges = |output| -> Result<_, Invalid> {
        Ok(text::file(output)?.unwrap_or_default().lines().filter_map(range).collect())
    };
    Ok(SubIds { users: ranges(users)?, groups: ranges(groups)? })
}

/// Reads `root:100000:65536`; root may stand there by number, too.
fn range(line: &str) -> Option<(u64, u64)> {
    let parts: Vec<&str> = line.trim().split(':').collect();
    match parts[..] {
        ["root" | "0", first, count] => Some((first.parse().ok()?, count.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn only_root_s_ranges_count() {
        let users = output(0, "me:100000:65536\nroot:100000:65536\nroot:1000:1\n", "");
        let groups = output(0, "0:100000:65536\n", "");
        let ids = read(&[users, groups]).unwrap();
        assert!(ids.hold(100_000, 65_536) && ids.hold(165_535, 1) && !ids.hold(165_535, 2));
        let none = output(1, "", "cat: /etc/subgid: No such file or directory\n");
        let ids = read(&[output(0, "root:100000:65536\n", ""), none]).unwrap();
        assert!(!ids.hold(100_000, 65_536));
        assert!(read(&[output(1, "", "cat: /etc/subuid: Permission denied\n"), output(0, "", "")]).is_err());
    }
}
