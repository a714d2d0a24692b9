//! Reading an inventory from disk.

use super::args::InventoryArgs;
use super::{CommandError, settings};
use crate::adapters::files::read_inventory;
use crate::blueprint::{self, Blueprint};
use crate::diag::{Diagnostics, SourceMap};
use crate::inventory;

/// What reading gives, sound or not.
#[derive(Debug)]
pub(super) struct Read {
    /// There unless something stood in the way of it; there may be errors all the same.
    pub blueprint: Option<Blueprint>,
    /// Every problem, by place.
    pub diagnostics: Diagnostics,
    /// The texts that they point into.
    pub sources: SourceMap,
}

/// Reads an inventory.
pub(super) fn read(args: &InventoryArgs) -> Result<Read, CommandError> {
    let paths = settings::inventory_paths(args)?;
    let inventory::Loaded { sources, inventory, mut diagnostics } = inventory::load(&read_inventory(&paths));
    let mut blueprint = None;
    if let Some(inventory) = &inventory {
        let (resolved, problems) = blueprint::resolve(inventory);
        diagnostics.extend(problems);
        blueprint = resolved;
    }
    diagnostics.sort_by_place();
    Ok(Read { blueprint, diagnostics, sources })
}
