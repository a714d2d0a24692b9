//! `/etc/pve/storage.cfg`: how storages are set up, and where the directories of file-based ones are.
//!
//! Read over SSH, since `GET /storage/{id}` needs `Datastore.Allocate`, which a careful token has not.

use std::collections::BTreeMap;

use crate::model::StorageName;
use crate::model::observed::StorageEntry;

/// Every entry. Secrets are not in this file but below `/etc/pve/priv`.
#[must_use]
pub fn entries(text: &str) -> BTreeMap<StorageName, StorageEntry> {
    let mut entries: BTreeMap<StorageName, StorageEntry> = BTreeMap::new();
    let mut current: Option<StorageName> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        if !line.starts_with([' ', '\t']) {
            // a name that no inventory can hold is none that anybody asks for
            current = line.split_once(':').and_then(|(kind, name)| {
                let name: StorageName = name.trim().parse().ok()?;
                entries.entry(name.clone()).or_default().kind = kind.trim().to_owned();
                Some(name)
            });
        } else if let Some(entry) = current.as_ref().and_then(|name| entries.get_mut(name)) {
            let (key, value) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), "1"));
            entry.options.insert(key.to_owned(), value.trim().to_owned());
        }
    }
    // A host without an entry for `local` has it all the same: PVE adds it when reading the file.
    if let Ok(local) = "local".parse() {
        entries.entry(local).or_insert_with(|| StorageEntry {
            kind: "dir".to_owned(),
            options: BTreeMap::from([("path".to_owned(), "/var/lib/vz".to_owned())]),
        });
    }
    entries
}

/// The directory of each storage that has one.
#[must_use]
pub fn paths(entries: &BTreeMap<StorageName, StorageEntry>) -> BTreeMap<StorageName, String> {
    let path = |entry: &StorageEntry| entry.options.get("path").cloned();
    entries.iter().filter_map(|(name, entry)| Some((name.clone(), path(entry)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_have_a_path() {
        let text = "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\nzfspool: zp\n\tpool tank/vm\n\tmountpoint /tank/vm\n\ndir: data\n\tpath /srv/data\n";
        let paths = paths(&entries(text));
        assert_eq!(paths[&"data".parse().unwrap()], "/srv/data");
        assert_eq!(paths.len(), 2);
    }

    #[test]
    fn an_entry_is_its_kind_and_its_options() {
        let text = "# by hand\nzfspool: zp\n\tpool tank/vm\n\tsparse\n\tcontent images,rootdir\n\nlvmthin: th\n\tthinpool data\n\tvgname pve\n";
        let entries = entries(text);
        let zp = &entries[&"zp".parse().unwrap()];
        assert_eq!(
            (zp.kind.as_str(), zp.options["pool"].as_str(), zp.options["sparse"].as_str()),
            ("zfspool", "tank/vm", "1")
        );
        assert_eq!(entries[&"th".parse().unwrap()].kind, "lvmthin");
        assert_eq!(entries[&"local".parse().unwrap()].options["path"], "/var/lib/vz", "PVE's own default");
    }
}
