//! Content and permissions of files.

use std::collections::BTreeMap;

use super::text;
use crate::diag::Invalid;
use crate::model::observed::File;
use crate::ports::Output;

/// Asks for the digests of `paths`.
#[must_use]
pub fn digests_command(paths: &[String]) -> Vec<String> {
    std::iter::once("sha256sum".to_owned()).chain(paths.iter().cloned()).collect()
}

/// Asks for the permission bits of `paths`.
#[must_use]
pub fn modes_command(paths: &[String]) -> Vec<String> {
    ["stat", "-c", "%n %a"].into_iter().map(str::to_owned).chain(paths.iter().cloned()).collect()
}

/// Joins both answers. Both commands fail when one file is missing, having printed the others.
///
/// # Errors
/// When a file is neither there nor said to be missing.
pub fn read(paths: &[String], digests: &Output, modes: &Output) -> Result<BTreeMap<String, Option<File>>, Invalid> {
    let digest_text = String::from_utf8_lossy(&digests.stdout);
    let digest: BTreeMap<&str, &str> =
        digest_text.lines().filter_map(|line| line.split_once("  ")).map(|(sum, path)| (path, sum)).collect();
    let mode_text = String::from_utf8_lossy(&modes.stdout);
    let mode: BTreeMap<&str, u32> = mode_text
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(path, bits)| Some((path, u32::from_str_radix(bits, 8).ok()?)))
        .collect();
    let errors = text::stderr(digests);
    let mut files = BTreeMap::new();
    for path in paths {
        let missing =
            || errors.lines().any(|line| line.contains(path.as_str()) && line.ends_with("No such file or directory"));
        let file = match (digest.get(path.as_str()), mode.get(path.as_str())) {
            (Some(sum), Some(mode)) => Some(File { sha256: (*sum).to_owned(), mode: *mode }),
            (None, None) if missing() => None,
            _ if digests.code != 0 => return Err(text::failed(digests, "sha256sum")),
            _ => return Err(text::failed(modes, "stat")),
        };
        files.insert(path.clone(), file);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_missing_file_is_told_from_one_that_cannot_be_read() {
        let paths = ["/s/a.yaml".to_owned(), "/s/b.yaml".to_owned()];
        let digests = output(1, &format!("{SUM}  /s/a.yaml\n"), "sha256sum: /s/b.yaml: No such file or directory\n");
        let modes = output(1, "/s/a.yaml 640\n", "stat: cannot statx '/s/b.yaml': No such file or directory\n");
        let files = read(&paths, &digests, &modes).unwrap();
        assert_eq!(files["/s/a.yaml"], Some(File { sha256: SUM.into(), mode: 0o640 }));
        assert_eq!(files["/s/b.yaml"], None);
        let denied = output(1, &format!("{SUM}  /s/a.yaml\n"), "sha256sum: /s/b.yaml: Permission denied\n");
        assert!(read(&paths, &denied, &modes).is_err());
    }
}
