//! What is rendered for the edge, held against the programs that it is for: Caddy serves the routes on loopback, and
//! `caddy validate`, `named-checkzone`, `named-checkconf` and `nft -c` read every file of every inventory.
//!
//! Nothing leaves loopback, and no ruleset is loaded: nft only looks, in a network namespace of its own. A program that
//! is missing is said, and what needs it did not run.

mod caddy;
mod files;
mod peers;
mod random;
mod routes;

use std::process::{Command, Stdio};

use infra::adapters::files::read_inventory;
use infra::blueprint::{Blueprint, resolve};
use infra::inventory::{InventoryFiles, Layer, SourceFile, load};

/// Whether a program answers; says what to install if it does not.
fn there(program: &str, version: &str, package: &str) -> bool {
    let mut command = Command::new(program);
    let ran = command.arg(version).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = ran.is_ok_and(|status| status.success());
    if !there {
        println!("not run: install {package}");
    }
    there
}

/// The inventory of this repository with something over it, each text a layer.
fn vrooli_with(over: &[&str]) -> InventoryFiles {
    let root = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = read_inventory(&[root.join("inventories/vrooli")]);
    for (number, text) in over.iter().enumerate() {
        let name = format!("over-{number}.yaml");
        files.layers.push(Layer { path: name.clone().into(), files: vec![SourceFile::new(name, *text)] });
    }
    files
}

/// The blueprint of files that are sound.
fn blueprint(files: &InventoryFiles) -> Blueprint {
    let loaded = load(files);
    assert!(!loaded.diagnostics.has_errors(), "{:#?}", loaded.diagnostics);
    let (blueprint, problems) = resolve(&loaded.inventory.unwrap());
    blueprint.unwrap_or_else(|| panic!("{problems:#?}"))
}

/// The inventory of this repository with zones made from a seed.
pub(crate) fn with_zones(seed: u64) -> Blueprint {
    blueprint(&vrooli_with(&[&random::layer(seed)]))
}
