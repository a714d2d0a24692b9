//! Pools and datasets of one node, and what `zfs(8)` may do to them.
//!
//! Properties hold what was set on the dataset itself; [`Zfs::get`] inherits. Errors carry the text
//! and exit code of OpenZFS 2.3, without the leading `cannot …` object that the command adds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All of a node's ZFS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Zfs {
    /// Pools by name.
    pub pools: BTreeMap<String, Zpool>,
    /// Datasets by full name; each pool has one of its own name.
    pub datasets: BTreeMap<String, Dataset>,
    /// Order of creation of snapshots.
    pub txg: u64,
    /// How far ZFS is set up.
    pub support: ZfsSupport,
}

/// How far ZFS is set up on a host: hosts that were installed on Debian may lack it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZfsSupport {
    /// Tools and kernel module are there.
    #[default]
    Ready,
    /// No tools.
    NoTools,
    /// Tools, but no kernel module.
    NoModule,
}

/// A pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zpool {
    /// Usable size in bytes.
    pub size: u64,
    /// `ONLINE`, `DEGRADED` …
    pub health: String,
}

/// File system or volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatasetKind {
    /// Mounted somewhere.
    #[default]
    Filesystem,
    /// A block device.
    Volume,
}

/// A dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dataset {
    /// File system or volume.
    pub kind: DatasetKind,
    /// Properties set here, native and user ones (`infra:owner`).
    pub properties: BTreeMap<String, String>,
    /// Data of its own, in bytes, without children.
    pub used: u64,
    /// Whether a file system is mounted.
    pub mounted: bool,
    /// Owner of the mount point's directory.
    pub uid: u32,
    /// Group of the mount point's directory.
    pub gid: u32,
    /// Permission bits of the mount point's directory.
    pub mode: u32,
    /// Snapshots by name.
    pub snapshots: BTreeMap<String, ZfsSnapshot>,
    /// When it was made, in seconds.
    pub created: i64,
    /// Snapshot (`dataset@name`) that it is a clone of.
    pub origin: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZfsSnapshot {
    /// When it was made, in seconds.
    pub created: i64,
    /// Its place in the order of creation.
    pub txg: u64,
    /// What a rollback brings back: own data in bytes.
    pub used: u64,
    /// What a rollback brings back: size of a volume.
    pub volsize: Option<String>,
    /// Holds by tag.
    pub holds: Vec<String>,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ZfsError {
    /// The line on stderr.
    pub message: String,
    /// Exit code.
    pub code: i32,
}

fn refuse<T>(code: i32, message: impl Into<String>) -> Result<T, ZfsError> {
    Err(ZfsError { message: message.into(), code })
}

impl Zfs {
    /// Why nothing can be asked of ZFS on this host, in the words of what is asked.
    #[must_use]
    pub fn unusable(&self, pool: &str) -> Option<String> {
        match self.support {
            ZfsSupport::Ready => None,
            ZfsSupport::NoTools => Some(format!(
                "open3: exec of zpool import -d /dev/disk/by-id/ -o cachefile=none {pool} failed: No such file or directory at /usr/share/perl5/PVE/Cmd.pm line 174."
            )),
            ZfsSupport::NoModule => Some("Try running 'modprobe zfs' as root to manually load them.".to_owned()),
        }
    }

    /// Makes a dataset with its properties.
    ///
    /// # Errors
    /// If it exists, its parent does not, or the quota of a pool leaves no room for a volume.
    pub fn create(
        &mut self,
        name: &str,
        kind: DatasetKind,
        properties: BTreeMap<String, String>,
        parents: bool,
        now: i64,
    ) -> Result<(), ZfsError> {
        if self.datasets.contains_key(name) {
            return if parents && kind == DatasetKind::Filesystem {
                Ok(())
            } else {
                refuse(1, format!("cannot create '{name}': dataset already exists"))
            };
        }
        let Some((parent, _)) = name.rsplit_once('/') else {
            return refuse(1, format!("cannot create '{name}': missing dataset name"));
        };
        let pool = name.split('/').next().unwrap_or_default();
        if !self.pools.contains_key(pool) {
            return refuse(1, format!("cannot create '{name}': no such pool '{pool}'"));
        }
        if !self.datasets.contains_key(parent) {
            if !parents {
                return refuse(1, format!("cannot create '{name}': parent does not exist"));
            }
            self.create(parent, DatasetKind::Filesystem, BTreeMap::new(), true, now)?;
        }
        let mut dataset = Dataset { kind, properties, mode: 0o755, created: now, ..Dataset::default() };
        dataset.used = if kind == DatasetKind::Filesystem { 98_304 } else { 57_344 };
        self.datasets.insert(name.to_owned(), dataset);
        let mountable = kind == DatasetKind::Filesystem
            && !matches!(self.get(name, "mountpoint").as_deref(), None | Some("none" | "legacy"))
            && self.get(name, "canmount").as_deref() != Some("off");
        if let Some(dataset) = self.datasets.get_mut(name) {
            dataset.mounted = mountable;
        }
        Ok(())
    }

    /// Removes a dataset; with `recursive` also its children and snapshots.
    ///
    /// # Errors
    /// If it does not exist, or has children or snapshots and `recursive` is not given.
    pub fn destroy(&mut self, name: &str, recursive: bool) -> Result<(), ZfsError> {
        if !self.datasets.contains_key(name) {
            return refuse(1, format!("cannot open '{name}': dataset does not exist"));
        }
        let below: Vec<String> = self.descendants(name);
        let has_more = !below.is_empty() || self.datasets.get(name).is_some_and(|d| !d.snapshots.is_empty());
        if has_more && !recursive {
            let mut items = self.datasets[name].snapshots.keys().map(|s| format!("{name}@{s}")).collect::<Vec<_>>();
            items.extend(below);
            return refuse(
                1,
                format!(
                    "cannot destroy '{name}': filesystem has children\nuse '-r' to destroy the following datasets:\n{}",
                    items.join("\n"),
                ),
            );
        }
        for one in below {
            self.datasets.remove(&one);
        }
        self.datasets.remove(name);
        Ok(())
    }

    /// Names of everything below a dataset, without itself.
    #[must_use]
    pub fn descendants(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name}/");
        self.datasets.keys().filter(|n| n.starts_with(&prefix)).cloned().collect()
    }

    /// Value of a property, inherited where it is not set; `None` when it has none.
    #[must_use]
    pub fn get(&self, name: &str, property: &str) -> Option<String> {
        let dataset = self.datasets.get(name)?;
        if let Some(value) = dataset.properties.get(property) {
            return Some(value.clone());
        }
        match property {
            // These belong to one dataset only.
            "quota" | "refquota" | "reservation" | "refreservation" if dataset.kind == DatasetKind::Filesystem => {
                return Some("0".to_owned());
            }
            "quota" | "refquota" | "volsize" => return None,
            "used" => return Some(self.used(name).to_string()),
            "available" | "avail" => return Some(self.available(name).to_string()),
            "type" => {
                return Some(if dataset.kind == DatasetKind::Volume { "volume" } else { "filesystem" }.to_owned());
            }
            "mounted" if dataset.kind == DatasetKind::Filesystem => {
                return Some(if dataset.mounted { "yes" } else { "no" }.to_owned());
            }
            "mounted" => return None,
            "mountpoint" | "recordsize" | "canmount" if dataset.kind == DatasetKind::Volume => return None,
            "canmount" => return Some("on".to_owned()),
            "origin" => return dataset.origin.clone(),
            _ => {}
        }
        if let Some((parent, leaf)) = name.rsplit_once('/') {
            let inherited = self.get(parent, property)?;
            return Some(match (property, inherited.as_str()) {
                ("mountpoint", "none" | "legacy") | ("compression" | "recordsize", _) => inherited,
                ("mountpoint", "/") => format!("/{leaf}"),
                ("mountpoint", _) => format!("{inherited}/{leaf}"),
                _ => inherited,
            });
        }
        match property {
            "mountpoint" => Some(format!("/{name}")),
            "compression" => Some("on".to_owned()),
            "recordsize" => Some("131072".to_owned()),
            "atime" | "relatime" => Some("on".to_owned()),
            "sync" => Some("standard".to_owned()),
            _ => None,
        }
    }

    /// Space that a dataset and what is below it take, in bytes.
    #[must_use]
    pub fn used(&self, name: &str) -> u64 {
        let own = self.datasets.get(name).map_or(0, |d| d.used + reserved(d));
        own + self
            .descendants(name)
            .iter()
            .filter_map(|n| self.datasets.get(n))
            .map(|d| d.used + reserved(d))
            .sum::<u64>()
    }

    /// Space that a dataset may still take, in bytes: quotas of all its parents count.
    #[must_use]
    pub fn available(&self, name: &str) -> u64 {
        let pool = name.split('/').next().unwrap_or_default();
        let mut free = self.pools.get(pool).map_or(0, |p| p.size).saturating_sub(self.used(pool));
        let mut at = name;
        loop {
            let quota =
                self.datasets.get(at).and_then(|d| d.properties.get("quota")).and_then(|q| q.parse::<u64>().ok());
            if let Some(quota) = quota.filter(|q| *q > 0) {
                free = free.min(quota.saturating_sub(self.used(at)));
            }
            match at.rsplit_once('/') {
                Some((parent, _)) => at = parent,
                None => return free,
            }
        }
    }

    /// Makes snapshots atomically: all of them or none.
    ///
    /// # Errors
    /// If a dataset does not exist or has a snapshot of that name.
    pub fn snapshot(&mut self, names: &[(String, String)], now: i64) -> Result<(), ZfsError> {
        for (dataset, snapshot) in names {
            match self.datasets.get(dataset) {
                None => {
                    return refuse(2, format!("cannot open '{dataset}': dataset does not exist"));
                }
                Some(found) if found.snapshots.contains_key(snapshot) => {
                    return refuse(1, format!("cannot create snapshot '{dataset}@{snapshot}': dataset already exists"));
                }
                Some(_) => {}
            }
        }
        self.txg += 1;
        let txg = self.txg;
        for (dataset, snapshot) in names {
            let volsize = self.datasets.get(dataset).and_then(|d| d.properties.get("volsize").cloned());
            if let Some(found) = self.datasets.get_mut(dataset) {
                let entry = ZfsSnapshot { created: now, txg, used: found.used, volsize, holds: Vec::new() };
                found.snapshots.insert(snapshot.clone(), entry);
            }
        }
        Ok(())
    }

    /// Newest snapshot of a dataset.
    #[must_use]
    pub fn newest(&self, dataset: &str) -> Option<&str> {
        let snapshots = &self.datasets.get(dataset)?.snapshots;
        snapshots.iter().max_by_key(|(_, s)| s.txg).map(|(name, _)| name.as_str())
    }

    /// Goes back to a snapshot; `recursive` destroys newer ones, not atomically (2.3: a held one in
    /// the middle leaves the newer ones destroyed and nothing rolled back).
    ///
    /// # Errors
    /// If there is no such snapshot, or newer ones are in the way.
    pub fn rollback(&mut self, dataset: &str, snapshot: &str, recursive: bool) -> Result<(), ZfsError> {
        let full = format!("{dataset}@{snapshot}");
        let Some(found) = self.datasets.get_mut(dataset) else {
            return refuse(1, format!("cannot open '{dataset}': dataset does not exist"));
        };
        let Some(target) = found.snapshots.get(snapshot).cloned() else {
            return refuse(1, format!("cannot open '{full}': dataset does not exist"));
        };
        let mut newer: Vec<(u64, String)> =
            found.snapshots.iter().filter(|(_, s)| s.txg > target.txg).map(|(name, s)| (s.txg, name.clone())).collect();
        newer.sort_by(|a, b| b.cmp(a));
        if !newer.is_empty() && !recursive {
            let list: Vec<String> = newer.iter().rev().map(|(_, name)| format!("{dataset}@{name}")).collect();
            return refuse(
                1,
                format!(
                    "cannot rollback to '{full}': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\n{}",
                    list.join("\n")
                ),
            );
        }
        for (_, name) in newer {
            if found.snapshots.get(&name).is_some_and(|s| !s.holds.is_empty()) {
                return refuse(1, format!("cannot destroy snapshot {dataset}@{name}: dataset is busy"));
            }
            found.snapshots.remove(&name);
        }
        found.used = target.used;
        if let Some(volsize) = target.volsize {
            found.properties.insert("volsize".to_owned(), volsize);
        }
        Ok(())
    }

    /// Removes one snapshot.
    ///
    /// # Errors
    /// If there is none, or it is held.
    pub fn destroy_snapshot(&mut self, dataset: &str, snapshot: &str) -> Result<(), ZfsError> {
        let full = format!("{dataset}@{snapshot}");
        let Some(found) = self.datasets.get_mut(dataset) else {
            return refuse(1, format!("cannot open '{dataset}': dataset does not exist"));
        };
        match found.snapshots.get(snapshot) {
            None => refuse(1, format!("could not find any snapshots to destroy; check snapshot names.\n{full}")),
            Some(s) if !s.holds.is_empty() => refuse(1, format!("cannot destroy snapshot {full}: dataset is busy")),
            Some(_) => {
                found.snapshots.remove(snapshot);
                Ok(())
            }
        }
    }

    /// The dataset whose mount point is this directory.
    #[must_use]
    pub fn mounted_at(&self, path: &str) -> Option<&str> {
        self.datasets
            .iter()
            .find(|(name, d)| d.mounted && self.get(name, "mountpoint").as_deref() == Some(path))
            .map(|(name, _)| name.as_str())
    }
}

/// What a thick volume keeps for itself beyond its data.
fn reserved(dataset: &Dataset) -> u64 {
    let reservation = dataset.properties.get("refreservation").and_then(|r| r.parse::<u64>().ok()).unwrap_or(0);
    reservation.saturating_sub(dataset.used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zfs() -> Zfs {
        let mut zfs = Zfs::default();
        zfs.pools.insert("rpool".into(), Zpool { size: 1 << 40, health: "ONLINE".into() });
        zfs.datasets.insert("rpool".into(), Dataset { mounted: true, mode: 0o755, ..Dataset::default() });
        zfs
    }

    fn create(zfs: &mut Zfs, name: &str) {
        zfs.create(name, DatasetKind::Filesystem, BTreeMap::new(), false, 0).unwrap();
    }

    #[test]
    fn mountpoints_are_inherited_with_the_rest_of_the_name() {
        let mut zfs = zfs();
        create(&mut zfs, "rpool/a");
        create(&mut zfs, "rpool/a/b");
        assert_eq!(zfs.get("rpool/a/b", "mountpoint").as_deref(), Some("/rpool/a/b"));
        zfs.datasets.get_mut("rpool/a").unwrap().properties.insert("mountpoint".into(), "/srv".into());
        assert_eq!(zfs.get("rpool/a/b", "mountpoint").as_deref(), Some("/srv/b"));
    }

    #[test]
    fn rollback_with_r_is_not_atomic_when_a_newer_snapshot_is_held() {
        let mut zfs = zfs();
        create(&mut zfs, "rpool/a");
        for name in ["s1", "s2", "s3"] {
            zfs.snapshot(&[("rpool/a".into(), name.into())], 0).unwrap();
        }
        zfs.datasets.get_mut("rpool/a").unwrap().snapshots.get_mut("s2").unwrap().holds.push("keep".into());
        assert!(zfs.rollback("rpool/a", "s1", false).unwrap_err().message.contains("more recent snapshots"));
        assert!(zfs.rollback("rpool/a", "s1", true).is_err());
        let left: Vec<&String> = zfs.datasets["rpool/a"].snapshots.keys().collect();
        assert_eq!(left, ["s1", "s2"]);
    }

    #[test]
    fn a_snapshot_of_several_datasets_is_all_or_nothing() {
        let mut zfs = zfs();
        create(&mut zfs, "rpool/a");
        let error = zfs.snapshot(&[("rpool/a".into(), "x".into()), ("rpool/ghost".into(), "x".into())], 0).unwrap_err();
        assert_eq!(error.code, 2);
        assert!(zfs.datasets["rpool/a"].snapshots.is_empty());
    }

    #[test]
    fn quotas_of_parents_limit_what_is_available() {
        let mut zfs = zfs();
        create(&mut zfs, "rpool/a");
        create(&mut zfs, "rpool/a/b");
        zfs.datasets.get_mut("rpool/a").unwrap().properties.insert("quota".into(), (1u64 << 30).to_string());
        assert!(zfs.available("rpool/a/b") < 1 << 30);
    }
}
