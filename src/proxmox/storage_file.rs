//! `/etc/pve/storage.cfg`: where the directories of file-based storages are.
//!
//! Read over SSH, since `GET /storage/{id}` needs `Datastore.Allocate`, which a careful token has not.

use std::collections::BTreeMap;

use crate::model::StorageName;

/// The directory of each storage that has one.
#[must_use]
pub fn paths(text: &str) -> BTreeMap<StorageName, String> {
    let mut paths = BTreeMap::new();
    let mut current: Option<StorageName> = None;
    for line in text.lines() {
        if !line.starts_with([' ', '\t']) {
            current = line.split_once(':').and_then(|(_, name)| name.trim().parse().ok());
        } else if let (Some(name), Some(path)) = (&current, line.trim().strip_prefix("path ")) {
            paths.insert(name.clone(), path.trim().to_owned());
        }
    }
    // A host without an entry for `local` has it all the same: PVE adds it when reading the file.
    if let Ok(local) = "local".parse() {
        paths.entry(local).or_insert_with(|| "/var/lib/vz".to_owned());
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_have_a_path() {
        let text = "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\nzfspool: zp\n\tpool tank/vm\n\tmountpoint /tank/vm\n\ndir: data\n\tpath /srv/data\n";
        let paths = paths(text);
        assert_eq!(paths[&"data".parse().unwrap()], "/srv/data");
        assert_eq!(paths.len(), 2);
    }
}
