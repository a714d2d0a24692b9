//! What each service of `templates/` is held against. One list: a suite that held something says so by [`held`], which
//! takes nothing that is not in it; `cargo xtask test` prints at its end what was said; `docs/services.md` shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use infra::inventory::BUILT_IN;

use crate::engine_real::LEFT_OUT;

pub const COMPOSE: &str = "`docker compose config`";
pub const ENGINE: &str = "started and healthy on a Docker engine, with a stand-in for its programs";

/// Services and what a program of their own, or one like it, made of what is rendered for them.
const OWN: &[(&str, &str)] = &[
    ("alertmanager", "`amtool check-config`"),
    ("bind", "`named-checkzone`, `named-checkconf`"),
    ("bind", "BIND 9.20 answers for its zones"),
    ("caddy", "`caddy validate`, and Caddy serves its routes"),
    ("litellm", "LiteLLM 1.83 routes, limits, streams and falls back, with a Redis"),
    ("nats", "NATS 2.10 lets in who knows its token"),
    ("postgres", "PostgreSQL 17 with pgvector: primary, streaming replica, dump"),
    ("prometheus", "`promtool check config`, `check rules`, `test rules`"),
    ("redis", "Redis 8 starts with its file"),
    ("tensorzero", "TensorZero's own loader"),
    ("tensorzero", "its door answers; Valkey 8.1 takes the command line"),
];

/// Everything that may be said, by service.
fn claims() -> BTreeMap<&'static str, Vec<&'static str>> {
    let each = BUILT_IN.iter().map(|service| {
        let container = service.template.lines().any(|line| line.starts_with("image:"));
        let engine = container && !LEFT_OUT.iter().any(|(name, _)| *name == service.name);
        let own = OWN.iter().filter(|(name, _)| *name == service.name).map(|(_, by)| *by);
        let all = container.then_some(COMPOSE).into_iter().chain(engine.then_some(ENGINE)).chain(own);
        (service.name, all.collect())
    });
    each.collect()
}

/// Says that a service was held against something, just now.
pub fn held(service: &str, by: &str) {
    let all = claims();
    assert!(all.get(service).is_some_and(|own| own.contains(&by)), "{service}: `{by}` is not in the list");
    if let Some(path) = std::env::var_os("INFRA_HELD") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{service}\t{by}\n").as_bytes()).unwrap();
    }
}

/// The list as `docs/services.md` has it: services that are held against the same stand together.
fn table() -> String {
    let mut out = String::from("| services | held against |\n|---|---|\n");
    let mut rows: BTreeMap<Vec<&str>, BTreeSet<&str>> = BTreeMap::new();
    for (service, by) in claims() {
        rows.entry(by).or_default().insert(service);
    }
    let mut rows: Vec<(BTreeSet<&str>, Vec<&str>)> = rows.into_iter().map(|(by, services)| (services, by)).collect();
    rows.sort();
    for (services, by) in rows {
        let names: Vec<String> = services.iter().map(|name| format!("`{name}`")).collect();
        let by = if by.is_empty() { "nothing".to_owned() } else { by.join("; ") };
        out.push_str(&format!("| {} | {by} |\n", names.join(", ")));
    }
    out
}

#[test]
fn the_document_says_what_each_service_is_held_against() {
    for (name, _) in OWN {
        assert!(BUILT_IN.iter().any(|service| service.name == *name), "{name} is no service");
    }
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/services.md")).unwrap();
    assert!(text.contains(&table()), "docs/services.md, \"What is held against what\", should say:\n\n{}", table());
}
