//! Whether a storage can be used on a node, and PVE's words when it cannot.

use super::{Storage, StorageKind, World};

impl World {
    /// Why a storage cannot be used on a node, as PVE says it when it tries to.
    #[must_use]
    pub fn inactive(&self, node: &str, id: &str, entry: &Storage) -> Option<String> {
        let host = self.nodes.get(node)?;
        match &entry.kind {
            StorageKind::Dir { path, .. } => {
                let may_make = |option: &str| entry.options.get(option).is_none_or(|v| v == "1");
                let makes = may_make("mkdir") && may_make("create-base-path");
                let there = self.directory_exists(node, path) || self.kept(node, id).is_some();
                let mounted = match entry.options.get("is_mountpoint").map(String::as_str) {
                    None | Some("0" | "no" | "off" | "false") => None,
                    Some("1" | "yes" | "on" | "true") => Some(path.as_str()),
                    Some(other) => Some(other),
                };
                if let Some(at) = mounted.filter(|at| host.zfs.mounted_at(at).is_none()) {
                    return Some(format!(
                        "unable to activate storage '{id}' - directory is expected to be a mount point but is not mounted: '{at}'"
                    ));
                }
                (!makes && !there)
                    .then(|| format!("unable to activate storage '{id}' - directory '{path}' does not exist"))
            }
            StorageKind::ZfsPool { pool, .. } => {
                let name = pool.split('/').next().unwrap_or_default();
                let error = host.zfs.unusable(name).or_else(|| {
                    let gone = !host.zfs.pools.contains_key(name);
                    gone.then(|| format!("cannot import '{name}': no such pool available"))
                });
                error.map(|error| format!("could not activate storage '{id}', zfs error: {error}\n"))
            }
            // A volume group that is not there is no error before a volume is wanted.
            StorageKind::Lvm { .. } => None,
            StorageKind::LvmThin { vgname, thinpool } => {
                let there = host.volume_groups.get(vgname).is_some_and(|g| g.thin_pools.contains_key(thinpool));
                (!there).then(|| format!("no such logical volume {vgname}/{thinpool}"))
            }
            StorageKind::Nfs { .. } | StorageKind::Cifs { .. } => {
                let there = entry.share().is_some_and(|share| self.shares.contains_key(&share));
                (!there).then(|| format!("storage '{id}' is not online"))
            }
            StorageKind::Pbs { server, .. } => {
                let there = entry.share().is_some_and(|share| self.shares.contains_key(&share));
                (!there).then(|| {
                    format!("{id}: error fetching datastores - 500 Can't connect to {server}:8007 (No route to host)")
                })
            }
        }
    }

    /// Whether a storage shows as active on a node.
    #[must_use]
    pub fn is_active(&self, node: &str, id: &str) -> bool {
        let Some(entry) = self.storages.get(id) else { return false };
        let there = match &entry.kind {
            StorageKind::Lvm { vgname } => self.nodes.get(node).is_some_and(|n| n.volume_groups.contains_key(vgname)),
            _ => self.inactive(node, id, entry).is_none(),
        };
        there && !entry.disabled && entry.serves(node)
    }
}
