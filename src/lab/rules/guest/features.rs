//! What storages can do with a guest's volumes: snapshots, linked clones, full copies.

use super::volumes::volumes;
use crate::lab::world::{Guest, GuestKind, World, is_base};

/// One of the things that `…/feature` is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Making a snapshot.
    Snapshot,
    /// Making a linked clone.
    Clone,
    /// Making a full copy.
    Copy,
}

/// Whether a volume's storage has a feature for it; of its snapshot, if one is named.
#[must_use]
pub fn of_volume(world: &World, guest: &Guest, volid: &str, feature: Feature, snapshot: Option<&str>) -> bool {
    let Some(volume) = world.volume(&guest.node, volid) else { return false };
    let files = volid.split_once(':').is_some_and(|(storage, _)| !world.is_block(storage));
    match feature {
        Feature::Snapshot => world.keeps_snapshots(&guest.node, volid),
        // On files a clone is an image with a backing file, which containers cannot use.
        Feature::Clone => is_base(volid) && !(files && guest.kind == GuestKind::Lxc),
        Feature::Copy => snapshot.is_none() || world.keeps_snapshots(&guest.node, volid) && volume.format != "raw",
    }
}

/// Whether all volumes of a guest have a feature. A bind mount is no volume and has none.
#[must_use]
pub fn of_guest(world: &World, guest: &Guest, feature: Feature, snapshot: Option<&str>) -> bool {
    volumes(guest).iter().all(|(_, volid)| of_volume(world, guest, volid, feature, snapshot))
}
