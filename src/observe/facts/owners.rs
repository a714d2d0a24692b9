//! Owners of directories.

use std::collections::BTreeMap;

use crate::ports::Output;

/// Asks for the owners of `paths`.
#[must_use]
pub fn command(paths: &[String]) -> Vec<String> {
    ["stat", "-c", "%n %u %g"].into_iter().map(str::to_owned).chain(paths.iter().cloned()).collect()
}

/// Reads uid and gid by path. A path that is not there is not in it; `stat` then fails, having
/// printed the others all the same.
#[must_use]
pub fn read(output: &Output) -> BTreeMap<String, (u32, u32)> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter_map(|line| {
            let (rest, gid) = line.rsplit_once(' ')?;
            let (path, uid) = rest.rsplit_once(' ')?;
            Some((path.to_owned(), (uid.parse().ok()?, gid.parse().ok()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn a_path_may_hold_spaces_and_may_be_missing() {
        let owners =
            read(&output(1, "/a b 100000 100033\n/c 0 0\n", "stat: cannot statx '/d': No such file or directory\n"));
        assert_eq!(owners, BTreeMap::from([("/a b".into(), (100_000, 100_033)), ("/c".into(), (0, 0))]));
    }
}
