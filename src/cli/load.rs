//! Reading an inventory from disk.

use camino::Utf8PathBuf;

use super::args::InventoryArgs;
use super::{CommandError, settings};
use crate::adapters::files::read_inventory;
use crate::blueprint::{self, Blueprint};
use crate::diag::{Diagnostics, SourceMap};
use crate::inventory;

/// What reading gives, sound or not.
#[derive(Debug)]
pub(super) struct Read {
    /// The paths that it was read from.
    pub paths: Vec<Utf8PathBuf>,
    /// There unless something stood in the way of it; there may be errors all the same.
    pub blueprint: Option<Blueprint>,
    /// Every problem, by place; first those of files that could not be read at all.
    pub diagnostics: Diagnostics,
    /// The texts that they point into.
    pub sources: SourceMap,
}

/// An inventory that was read and found sound.
#[derive(Debug)]
pub(super) struct Sound {
    pub paths: Vec<Utf8PathBuf>,
    pub blueprint: Blueprint,
    pub warnings: usize,
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
        diagnostics.sort_by_place();
        blueprint = resolved;
    }
    Ok(Read { paths, blueprint, diagnostics, sources })
}

/// Reads an inventory and refuses one that is not sound.
pub(super) fn sound(args: &InventoryArgs) -> Result<Sound, CommandError> {
    let Read { paths, blueprint, diagnostics, sources } = read(args)?;
    match blueprint {
        Some(blueprint) if !diagnostics.has_errors() => {
            Ok(Sound { paths, blueprint, warnings: diagnostics.warning_count(), sources })
        }
        _ => Err(CommandError::in_files(diagnostics, sources)),
    }
}
