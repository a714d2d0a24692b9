//! What is rendered for services, held against the programs that read it: `docker compose config`, `promtool`, `amtool`,
//! TensorZero's own loader, LiteLLM's proxy.
//!
//! No container runs and nothing is pulled. A program that is missing is said, and what needs it did not run. What each
//! service is held against is one list (`held.rs`).

mod compose;
mod litellm;
mod monitoring;
mod programs;
mod tensorzero;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use infra::adapters::files::read_inventory;
use infra::blueprint::{Blueprint, resolve};
use infra::inventory::{InventoryFiles, Layer, SourceFile, load};
use infra::render::{StackFile, stack};
use secrecy::{ExposeSecret, SecretString};

/// What every secret of the suite is: nothing that a shell, YAML or TOML would read as more than a text.
pub(crate) const SECRET: &str = "k9Canary-0123456789abcdef";

fn blueprint(files: &InventoryFiles) -> Blueprint {
    let loaded = load(files);
    assert!(!loaded.diagnostics.has_errors(), "{:#?}", loaded.diagnostics);
    let (blueprint, problems) = resolve(&loaded.inventory.unwrap());
    blueprint.unwrap_or_else(|| panic!("{problems:#?}"))
}

/// The inventory with every service in it.
fn everything() -> Blueprint {
    written(EVERYTHING)
}

pub(crate) const EVERYTHING: &str = include_str!("everything.yaml");

/// What an inventory says that is one file.
pub(crate) fn written(text: &str) -> Blueprint {
    let layer = Layer { path: "everything.yaml".into(), files: vec![SourceFile::new("everything.yaml", text)] };
    blueprint(&InventoryFiles { layers: vec![layer], ..InventoryFiles::default() })
}

/// The inventory of this repository.
fn vrooli() -> Blueprint {
    let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    blueprint(&read_inventory(&[root.join("inventories/vrooli")]))
}

/// The value of every secret.
pub(crate) fn secret() -> SecretString {
    SecretString::from(SECRET.to_owned())
}

/// Files of every stack, by guest and service.
pub(crate) fn stacks(blueprint: &Blueprint) -> BTreeMap<(String, String), Vec<StackFile>> {
    let guests = blueprint.guests.values();
    let all = guests.flat_map(|guest| guest.deployments.values().map(move |deployment| (guest, deployment)));
    all.map(|(guest, deployment)| {
        let files = stack(blueprint, guest, deployment).unwrap_or_else(|error| panic!("{}: {error}", guest.name));
        ((guest.name.to_string(), deployment.service.to_string()), files)
    })
    .collect()
}

/// Writes a stack as it is delivered, with secrets.
fn deliver(files: &[StackFile], folder: &Utf8Path) {
    for file in files {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let filled = file.content.filled(|_| Some(secret())).unwrap();
        std::fs::write(&path, filled.expose_secret()).unwrap();
    }
}

/// A folder that goes away.
fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

#[test]
fn every_service_with_an_image_is_in_the_inventory_of_the_suite() {
    let blueprint = everything();
    let there: Vec<String> = stacks(&blueprint).into_keys().map(|(_, service)| service).collect();
    for service in infra::inventory::BUILT_IN.iter().filter(|service| service.template.contains("\nimage: ")) {
        assert!(there.iter().any(|own| own == service.name), "{} is rendered nowhere", service.name);
    }
}

#[test]
fn a_secret_is_in_files_that_root_alone_may_read_or_whom_they_are_for_and_nowhere_else() {
    for ((guest, service), files) in stacks(&everything()) {
        for file in &files {
            let shown = file.content.shown();
            assert!(!shown.contains(['\u{e000}', '\u{e001}']), "{guest}/{service}/{} shows a mark", file.path);
            if file.content.secrets().next().is_some() {
                assert_eq!(file.mode & 0o077, 0, "{guest}/{service}/{} can be read by others", file.path);
            }
            if file.path == "compose.yaml" {
                assert_eq!(file.content.secrets().count(), 0, "{guest}/{service} has a secret in its compose file");
            }
        }
    }
}

#[test]
fn what_nobody_outside_reaches_is_not_published() {
    let blueprint = everything();
    for ((guest, service), files) in stacks(&blueprint) {
        let compose = files.iter().find(|file| file.path == "compose.yaml").unwrap().content.shown();
        let published = blueprint
            .published(&blueprint.guests[&guest.parse().unwrap()], &blueprint.services[&service.parse().unwrap()]);
        assert_eq!(compose.contains("\n    ports:\n"), !published.is_empty(), "{guest}/{service}:\n{compose}");
        assert!(!compose.contains("\n      - \"0.0.0.0:"), "{guest}/{service} binds to every address:\n{compose}");
    }
}
