//! ZFS file systems of a host.

use std::collections::BTreeMap;

use super::text;
use crate::diag::Invalid;
use crate::model::DatasetName;
use crate::model::observed::Dataset;
use crate::ports::Output;

/// Lists them; `-p` for exact numbers, since `-j` is unknown to ZFS before 2.3.
pub const COMMAND: [&str; 7] = [
    "zfs",
    "list",
    "-Hp",
    "-t",
    "filesystem",
    "-o",
    "name,mountpoint,mounted,quota,recordsize,compression,used,infra:owner",
];

/// Reads the list. Columns are split at tabs only: mount points may hold spaces.
///
/// # Errors
/// When `zfs` failed, or its answer is not understood.
pub fn read(output: &Output) -> Result<BTreeMap<DatasetName, Dataset>, Invalid> {
    let text = text::good(output, "zfs list")?;
    let mut datasets = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, mountpoint, mounted, quota, recordsize, compression, used, owner] = columns[..] else {
            return Err(Invalid::new(format!("`zfs list` printed {} columns instead of 8", columns.len())));
        };
        // a name that no inventory can hold is none that anybody asks for
        let Ok(name) = name.parse() else { continue };
        let dataset = Dataset {
            mountpoint: Some(mountpoint).filter(|m| m.starts_with('/')).map(str::to_owned),
            mounted: mounted == "yes",
            quota: number(quota)?.filter(|bytes| *bytes > 0),
            recordsize: number(recordsize)?,
            compression: compression.to_owned(),
            used: number(used)?.unwrap_or_default(),
            owner: Some(owner).filter(|o| *o != "-").map(str::to_owned),
            uid_gid: None,
        };
        datasets.insert(name, dataset);
    }
    Ok(datasets)
}

fn number(text: &str) -> Result<Option<u64>, Invalid> {
    match text {
        "-" | "none" => Ok(None),
        digits => digits
            .parse()
            .map(Some)
            .map_err(|_| Invalid::new(format!("`zfs list -p` printed `{digits}` where a number belongs"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn absent_values_have_three_spellings() {
        let list = "rpool\t/rpool\tyes\t0\t131072\tlz4\t98304\t-\n\
                    rpool/containers/a b\t/x y\tyes\t0\t131072\tlz4\t98304\t-\n\
                    rpool/containers/proj-x\t/rpool/containers/proj-x\tyes\t21474836480\t1048576\tzstd\t24576\tvrooli\n\
                    rpool/data\tnone\tno\tnone\t131072\ton\t24576\t-\n\
                    rpool/old\tlegacy\tno\t0\t-\ton\t24576\t-\n";
        let datasets = read(&output(0, list, "")).unwrap();
        assert_eq!(datasets.len(), 4);
        let ours = &datasets[&"rpool/containers/proj-x".parse().unwrap()];
        assert_eq!(
            (ours.quota, ours.recordsize, ours.owner.as_deref()),
            (Some(20 << 30), Some(1 << 20), Some("vrooli"))
        );
        for name in ["rpool/data", "rpool/old"] {
            let dataset = &datasets[&name.parse().unwrap()];
            assert_eq!((&dataset.mountpoint, dataset.mounted, dataset.quota), (&None, false, None));
        }
    }

    #[test]
    fn no_dataset_at_all_is_an_answer_and_no_zfs_is_none() {
        assert!(read(&output(0, "", "no datasets available\n")).unwrap().is_empty());
        let missing = read(&output(127, "", "sh: 3: zfs: not found\n")).unwrap_err();
        assert!(missing.problem.contains("not found"));
        assert!(read(&output(0, "rpool\t/rpool\n", "")).is_err());
    }
}
