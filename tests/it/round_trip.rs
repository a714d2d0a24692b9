//! Holds the lab's guest configurations against what a real 9.2.11 host makes of a value that it is given:
//! set a key to this, read back that.
//!
//! How our own comparison takes the same rows is held in `resources::setting`.

use std::collections::{BTreeMap, BTreeSet};

use infra::lab::envelope;
use infra::lab::rules::{self, work};
use infra::lab::world::{Acl, Caller, Grantee, User, World};
use serde::Deserialize;
use serde_json::Value;

use crate::fidelity;
use crate::lab_commands;

#[derive(Deserialize)]
struct Row {
    kind: String,
    key: String,
    put: String,
    status: u16,
    #[serde(default)]
    get: Value,
    #[serde(default)]
    error: Value,
}

/// Rows that tell of the recording machine and not of Proxmox VE: key, value, why.
const LISTED: &[(&str, &str, &str)] =
    &[("efidisk0", "data:1", "the recording machine had no OVMF firmware package, which every real host has")];

fn rows() -> Option<Vec<Row>> {
    let text = lab_commands::shared("config-round-trip-9.2.json")?;
    Some(serde_json::from_slice(&text).unwrap())
}

/// A token with all privileges that managing guests takes: what was refused for want of one was `Sys.Console`.
fn world() -> (World, Caller) {
    let mut world = lab_commands::world();
    let privileges = "VM.Allocate,VM.Audit,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,VM.Config.Disk,\
                      VM.Config.HWType,VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.PowerMgmt,\
                      Datastore.AllocateSpace,Datastore.Audit,Sys.Audit,Sys.Modify,SDN.Use,Mapping.Use";
    let privileges: BTreeSet<String> = privileges.split(',').map(str::to_owned).collect();
    world.access.roles.insert("Infra".into(), privileges);
    let user = User { enabled: true, ..User::default() };
    world.access.users.insert("infra@pve".into(), user);
    let grantee = Grantee::User("infra@pve".into());
    world.access.acls.push(Acl { path: "/".into(), grantee, role: "Infra".into(), propagate: true });
    for (path, params) in [
        ("/nodes/pve1/qemu", vec![("vmid", "100"), ("scsi0", "data:1")]),
        (
            "/nodes/pve1/lxc",
            vec![
                ("vmid", "200"),
                ("ostemplate", "data:vztmpl/alpine-3.22-default_20250617_amd64.tar.gz"),
                ("rootfs", "data:1"),
            ],
        ),
    ] {
        let (status, body) = send(&mut world, &Caller::root_pam(), "POST", path, &params);
        assert_eq!(status, 200, "{body}");
        work::finish(&mut world, body["data"].as_str().unwrap());
    }
    (world, Caller { user: "infra@pve".into(), token: None })
}

fn send(world: &mut World, caller: &Caller, method: &str, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
    let request = rules::Request {
        method: method.into(),
        path: path.into(),
        params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..rules::Request::default()
    };
    let response = envelope::wrap(rules::answer_as(world, caller, &request));
    (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
}

/// MACs that PVE made up are not the same twice.
fn masked(value: &Value, put: &str) -> Value {
    match value.as_str() {
        Some(text) => Value::String(
            text.split(',')
                .map(|part| match part.split_once('=') {
                    Some(("hwaddr", mac)) if !put.contains(mac) => "hwaddr=NEW".to_owned(),
                    _ => part.to_owned(),
                })
                .collect::<Vec<_>>()
                .join(","),
        ),
        None => value.clone(),
    }
}

#[test]
fn what_is_set_reads_back_as_on_a_real_host() {
    let Some(rows) = rows() else {
        println!("not run: the recorded round trips are not here (set INFRA_SHARED)");
        return;
    };
    let (mut world, caller) = world();
    let mut counts = BTreeMap::<&str, u32>::new();
    let mut failed = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> = LISTED.iter().map(|(key, put, _)| (*key, *put)).collect();
    for Row { kind, key, put, status, get, error } in &rows {
        let path = format!("/nodes/pve1/{kind}/{}/config", if kind == "qemu" { 100 } else { 200 });
        let listed = unused.take(&(key.as_str(), put.as_str()));
        // What is listed is seen to differ, and leaves nothing behind.
        let before = listed.map(|_| world.clone());
        let (code, body) = send(&mut world, &caller, "PUT", &path, &[(key, put)]);
        let wrong = if code != *status {
            Some(format!("status {code} {body}"))
        } else if code == 200 {
            let (_, config) = send(&mut world, &caller, "GET", &path, &[]);
            let found = masked(&config["data"][key], put);
            (found != masked(get, put)).then(|| format!("reads back {found}, recorded {get}"))
        } else {
            let said = if error.is_object() { &body["errors"] } else { &body["message"] };
            (said != error).then(|| format!("says {said}, recorded {error}"))
        };
        if let Some(before) = before {
            world = before;
        }
        let what = match (&wrong, listed) {
            (None, None) => "agreed",
            (Some(_), Some(_)) => "listed",
            (None, Some(_)) => {
                failed.push(format!("{kind} {key}={put}: is listed and agrees: take it off the list"));
                "failed"
            }
            (Some(wrong), None) => {
                failed.push(format!("{kind} {key}={put}: {wrong}"));
                "failed"
            }
        };
        *counts.entry(what).or_default() += 1;
    }
    println!("{} round trips: {counts:?}", rows.len());
    assert!(failed.is_empty() && unused.is_empty(), "{unused:?}\n{}", failed.join("\n"));
    assert!(counts["agreed"] > 150);
    let rows = counts.iter().map(|(what, count)| vec![(*what).to_owned(), count.to_string()]);
    assert_eq!(fidelity::stale("round trips", &fidelity::table(&["what", "settings"], rows)), None);
}
