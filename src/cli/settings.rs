//! What flags, environment and directory mean together.

use camino::{Utf8Path, Utf8PathBuf};

use super::CommandError;
use super::args::InventoryArgs;
use crate::adapters::files::{inventories, only_inventory};
use crate::diag::{Diagnostic, Invalid};

/// The paths that make up the inventory, in order of precedence from low to high.
pub(super) fn inventory_paths(args: &InventoryArgs) -> Result<Vec<Utf8PathBuf>, CommandError> {
    Ok(choose(&args.inventory, std::env::var("INFRA_INVENTORY").ok().as_deref(), || only_inventory(Utf8Path::new("")))?)
}

/// Whether no inventory is named anywhere, and there is none to be found.
pub(super) fn no_inventory(args: &InventoryArgs) -> bool {
    let named = !args.inventory.is_empty() || std::env::var("INFRA_INVENTORY").is_ok_and(|env| !env.is_empty());
    !named && inventories(Utf8Path::new("")).is_empty()
}

/// `-i`, else `$INFRA_INVENTORY` (several separated by `:`), else the only one there is.
fn choose(
    flags: &[Utf8PathBuf],
    env: Option<&str>,
    only: impl FnOnce() -> Result<Utf8PathBuf, Invalid>,
) -> Result<Vec<Utf8PathBuf>, Diagnostic> {
    if !flags.is_empty() {
        return Ok(flags.to_vec());
    }
    if let Some(env) = env.filter(|env| !env.is_empty()) {
        return Ok(env.split(':').filter(|path| !path.is_empty()).map(Into::into).collect());
    }
    let only = only().map_err(|invalid| {
        Diagnostic::error("cli.inventory", format!("no inventory is named: {}", invalid.problem))
            .hint_maybe(invalid.hint)
    })?;
    Ok(vec![only])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<Utf8PathBuf> {
        names.iter().map(Into::into).collect()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_directory() {
        let only = || Ok("inventories/a".into());
        assert_eq!(choose(&paths(&["x", "y"]), Some("e"), only).unwrap(), paths(&["x", "y"]));
        assert_eq!(choose(&[], Some("e:f"), only).unwrap(), paths(&["e", "f"]));
        assert_eq!(choose(&[], Some(""), only).unwrap(), paths(&["inventories/a"]));
        assert_eq!(choose(&[], None, only).unwrap(), paths(&["inventories/a"]));
    }

    #[test]
    fn none_is_an_error_with_a_way_out() {
        let none =
            choose(&[], None, || Err(Invalid::new("there is none").hint("name one with `-i PATH`"))).unwrap_err();
        assert_eq!(none.summary, "no inventory is named: there is none");
        assert_eq!(none.hints, ["name one with `-i PATH`"]);
    }
}
