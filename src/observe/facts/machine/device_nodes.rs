//! Device nodes of the host that containers are given.

use std::collections::{BTreeMap, BTreeSet};

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::DeviceFile;
use crate::ports::Output;

/// Asks for them.
#[must_use]
pub fn command(paths: &BTreeSet<String>) -> Vec<String> {
    ["stat", "-L", "-c", "%n\t%u\t%g\t%a\t%F", "--"]
        .into_iter()
        .map(str::to_owned)
        .chain(paths.iter().cloned())
        .collect()
}

/// Reads them; nothing for one that is not there.
///
/// # Errors
/// When one is neither there nor said to be missing.
pub fn read(
    paths: &BTreeSet<String>,
    output: Option<&Output>,
) -> Result<BTreeMap<String, Option<DeviceFile>>, Invalid> {
    let Some(output) = output else { return Ok(BTreeMap::new()) };
    let said = String::from_utf8_lossy(&output.stdout);
    let file = |line: &str| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [path, uid, gid, mode, kind] = parts[..] else { return None };
        let file = DeviceFile {
            is_device: kind.contains("special file"),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            mode: u32::from_str_radix(mode, 8).ok()?,
        };
        Some((path.to_owned(), file))
    };
    let there: BTreeMap<String, DeviceFile> = said.lines().filter_map(file).collect();
    let errors = text::stderr(output);
    let one = |path: &String| {
        let missing = || {
            let quoted = format!("'{path}'");
            errors.lines().any(|line| line.contains(&quoted) && line.ends_with("No such file or directory"))
        };
        match there.get(path) {
            Some(file) => Ok((path.clone(), Some(*file))),
            None if missing() => Ok((path.clone(), None)),
            None => Err(text::failed(output, "stat")),
        }
    };
    paths.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn a_missing_one_is_told_from_one_that_cannot_be_read() {
        let paths: BTreeSet<String> = ["/dev/net/tun", "/dev/nope"].map(str::to_owned).into();
        let said = "/dev/net/tun\t0\t0\t666\tcharacter special file\n";
        let both = output(1, said, "stat: cannot statx '/dev/nope': No such file or directory\n");
        let files = read(&paths, Some(&both)).unwrap();
        assert_eq!(files["/dev/net/tun"].unwrap().mode, 0o666);
        assert!(files["/dev/net/tun"].unwrap().is_device && files["/dev/nope"].is_none());
        assert!(read(&paths, Some(&output(127, "", "sh: 1: stat: not found\n"))).is_err());
        assert_eq!(read(&BTreeSet::new(), None), Ok(BTreeMap::new()));
    }
}
