//! What is said about inventories that are wrong, each held against the text beside it.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use infra::adapters::files::read_inventory;
use infra::blueprint::resolve;
use infra::diag::Diagnostics;
use infra::inventory::{InventoryFiles, Layer, SourceFile, load};
use infra::ui::{Terminal, diagnostics_text};

const WIDTH: usize = 100;

fn folder() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

/// The good inventory, with paths that are the same on every machine.
fn base() -> InventoryFiles {
    let folder = folder();
    let mut files = read_inventory(&[folder.join("base")]);
    let short = |file: &mut SourceFile| {
        file.path = file.path.strip_prefix(&folder).expect("files are below the folder").to_owned();
    };
    files.layers.iter_mut().flat_map(|layer| &mut layer.files).for_each(short);
    files.profiles.iter_mut().for_each(short);
    // Those of the repository are found above the folder; the cases see those that come with the program.
    files.templates.clear();
    files
}

/// Puts a case together as its first line says.
fn compose(name: &str, bytes: &[u8]) -> InventoryFiles {
    let mut parts: Vec<(String, String, Vec<u8>)> = vec![("file".to_owned(), name.to_owned(), Vec::new())];
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("#>>> ")) {
            Some(directive) => {
                let (kind, name) = directive.trim().split_once(' ').expect("a directive names a kind and a file");
                parts.push((kind.to_owned(), name.to_owned(), Vec::new()));
            }
            None => parts.last_mut().unwrap().2.extend_from_slice(line),
        }
    }
    let first = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
    let (mode, what) = first.strip_prefix("# ").and_then(|line| line.split_once(": ")).expect("a case says what it is");
    assert!(!what.is_empty(), "{name} says what is wrong");
    let mut files = if mode == "alone" { InventoryFiles::default() } else { base() };
    for (kind, name, content) in parts {
        let file = match kind.as_str() {
            "missing" => SourceFile { path: name.into(), content: Err("there is no such file".to_owned()) },
            _ => SourceFile::new(name, content),
        };
        match (kind.as_str(), mode) {
            ("profile", _) => {
                files.profiles.push(SourceFile { path: Utf8Path::new("profiles").join(file.path), ..file })
            }
            ("service", _) => files
                .templates
                .push(SourceFile { path: Utf8Path::new("templates").join(file.path).join("template.yaml"), ..file }),
            (_, "beside base") => files.layers[0].files.push(file),
            (_, "over base" | "alone") => files.layers.push(Layer { path: file.path.clone(), files: vec![file] }),
            (_, other) => panic!("`{other}` is no way to use a case"),
        }
    }
    files
}

fn said(files: &InventoryFiles) -> (Diagnostics, String) {
    let loaded = load(files);
    let mut diagnostics = loaded.diagnostics;
    if let Some(inventory) = loaded.inventory {
        diagnostics.extend(resolve(&inventory).1);
        diagnostics.sort_by_place();
    }
    let text = diagnostics_text(&diagnostics, &loaded.sources, &Terminal::plain().with_width(WIDTH));
    (diagnostics, text)
}

fn cases() -> BTreeMap<String, Vec<u8>> {
    let files = folder().read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    let cases = files.filter(|path| path.extension() == Some("yaml"));
    cases.map(|path| (path.file_name().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn the_base_is_good() {
    assert_eq!(said(&base()).1, "");
}

#[test]
fn every_bad_inventory_is_explained() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, bytes) in &cases {
        let (diagnostics, text) = said(&compose(name, bytes));
        assert!(!diagnostics.is_empty(), "{name}: nothing is said");
        let expected = folder().join(name).with_extension("txt");
        if update {
            std::fs::write(&expected, &text).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != text {
            wrong.push(format!("{name}:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ from their texts; they are now\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_text_has_its_inventory() {
    let cases = cases();
    for entry in folder().read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.extension() == Some("txt") {
            let case = path.with_extension("yaml");
            assert!(cases.contains_key(case.file_name().unwrap()), "{path} belongs to nothing");
        }
    }
}

#[test]
fn every_error_says_where_or_what_to_do() {
    for (name, bytes) in cases() {
        for diagnostic in said(&compose(&name, &bytes)).0 {
            let helped = diagnostic.primary.is_some() || !diagnostic.hints.is_empty() || !diagnostic.causes.is_empty();
            assert!(helped, "{name}: {diagnostic:?}");
            assert!(!diagnostic.summary.ends_with('.'), "{name}: {}", diagnostic.summary);
        }
    }
}

#[test]
fn no_secret_is_ever_echoed() {
    for (name, bytes) in cases() {
        let files = compose(&name, &bytes);
        let (diagnostics, text) = said(&files);
        let loaded = load(&files);
        let everything = format!("{text}{diagnostics:?}{:?}", loaded.sources);
        for secret in ["0a1b2c3d", "hunter2", "b3BlbnNzaC1r"] {
            assert!(!everything.contains(secret), "{name} echoes {secret}");
        }
    }
}
