//! Holds the readers of `observe` to answers recorded from a real 9.2.11.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use infra::model::observed::GuestKind;
use infra::observe::facts;
use serde_json::Value;

pub fn recordings() -> Option<Vec<Value>> {
    let shared = std::env::var_os("INFRA_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let file = std::fs::File::open(shared.join("pve/recordings-9.2.jsonl.gz")).ok()?;
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

/// Whether a reader understood the data; `None` if there is none for this path.
fn understood(path: &str, data: &Value) -> Option<Result<(), String>> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let done = match parts[..] {
        ["version"] => facts::version::read(data).map(drop),
        ["cluster", "status"] => facts::nodes::read(data).map(drop),
        ["cluster", "resources"] => facts::guests::read_site(data).map(drop),
        ["cluster", "mapping", "pci"] => facts::pci_mappings::read(data).map(drop),
        ["pools"] => facts::pools::read(data).map(drop),
        ["nodes", node, "qemu"] => facts::guests::read_node(data, &node.parse().unwrap(), GuestKind::Qemu).map(drop),
        ["nodes", node, "lxc"] => facts::guests::read_node(data, &node.parse().unwrap(), GuestKind::Lxc).map(drop),
        ["nodes", _, "hardware", "pci"] => facts::pci_devices::read(data).map(drop),
        ["nodes", _, "aplinfo"] => facts::appliances::read(data).map(drop),
        ["access", "permissions"] => facts::permissions::read(data).map(drop),
        ["nodes", _, "network"] => facts::bridges::read(data).map(drop),
        ["nodes", _, "storage"] => facts::storages::read(data).map(drop),
        ["nodes", _, "storage", _, "content"] => facts::volumes::read(data).map(drop),
        ["nodes", _, "qemu" | "lxc", _, "pending"] => facts::guest_config::read(data).map(|config| {
            let trimmed = config.active("description").is_none_or(|text| !text.ends_with('\n'));
            assert!(config.digest.is_some() && !config.current.is_empty() && trimmed);
        }),
        _ => return None,
    };
    Some(done.map_err(|invalid| invalid.problem))
}

#[test]
fn every_recorded_answer_is_understood() {
    let Some(recordings) = recordings() else {
        println!("not run: the recordings are not here (set INFRA_SHARED)");
        return;
    };
    let mut read = std::collections::BTreeMap::new();
    for exchange in &recordings {
        let (request, response) = (&exchange["request"], &exchange["response"]);
        if request["method"] != "GET" || response["status"] != 200 {
            continue;
        }
        let path = request["path"].as_str().unwrap().trim_start_matches("/api2/json").split('?').next().unwrap();
        if let Some(done) = understood(path, &response["json"]["data"]) {
            assert_eq!(done, Ok(()), "{}: {path}", exchange["seq"]);
            *read.entry(path.to_owned()).or_insert(0) += 1;
        }
    }
    println!("{read:?}");
    assert!(read.len() >= 12, "{read:?}");
}
