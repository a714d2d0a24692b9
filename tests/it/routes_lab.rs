//! Routes are put into a container of the lab, loaded there, kept as they are, and put back where they are not taken.

use infra::blueprint::Blueprint;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::guest_edge::{TRAEFIK_RUNS, install};
use infra::lab::guest_files::{MUTE, PICKY};
use infra::lab::world::Guest;
use infra::model::change::Action;
use infra::plan::Plan;
use infra::ports::SecretStore as _;
use infra::secrets::StandIns;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::random_inventory::{inventory, usual};
use crate::rig::{Rig, blueprint};

const CONFIG: &str = "/etc/caddy/Caddyfile";
const RUNNING: &str = "/run/caddy/running";
const OLD: &str = "# Written by infra for lab: change the inventory, not this file.\n:80 {\n}\n";

/// An inventory with a container that the reverse proxy is in, and its site.
fn with_sites(routes: Value, users: Value) -> (Blueprint, u32) {
    let mut text: Value = serde_json::from_str(&inventory(&[usual(false)])).unwrap();
    text["guests"]["g0"]["routes"] = routes;
    text["ingress"] = json!({ "guest": "g0", "from": ["192.168.10.0/24"], "tls": "internal", "users": users });
    let blueprint = blueprint(&text.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let vmid = blueprint.guests.values().next().unwrap().vmid.get();
    (blueprint, vmid)
}

fn one() -> (Blueprint, u32) {
    with_sites(json!({ "a.example.com": 8080 }), json!({}))
}

fn change(rig: &Rig, vmid: u32, change: impl FnOnce(&mut Guest)) {
    rig.site.change(|world| change(world.guests.get_mut(&vmid).unwrap())).unwrap();
}

fn file(rig: &Rig, vmid: u32, path: &str) -> Option<String> {
    rig.site.look(|world| world.guests[&vmid].text(path)).unwrap()
}

fn of_routes(plan: &Plan) -> Vec<Action> {
    plan.changes
        .iter()
        .filter(|change| change.addr.to_string().starts_with("routes."))
        .map(|change| change.action)
        .collect()
}

/// A host with that container, and Caddy in it.
async fn installed(blueprint: &Blueprint, vmid: u32) -> Rig {
    let rig = Rig::new(0);
    let run = rig.apply(blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let plan = rig.plan(blueprint).await.unwrap();
    assert!(of_routes(&plan).is_empty(), "without Caddy nothing is done");
    assert!(format!("{:?}", plan.gaps).contains("there is no Caddy in"), "and that is said: {:?}", plan.gaps);
    change(&rig, vmid, |guest| {
        install(guest, "caddy");
    });
    rig
}

#[tokio::test]
async fn routes_are_written_loaded_and_then_left_alone() {
    let (blueprint, vmid) = one();
    let rig = installed(&blueprint, vmid).await;
    assert_eq!(of_routes(&rig.plan(&blueprint).await.unwrap()), [Action::Create]);
    let run = rig.apply(&blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let text = file(&rig, vmid, CONFIG).unwrap();
    assert!(text.contains("a.example.com {"), "{text}");
    assert_eq!(file(&rig, vmid, RUNNING), Some(text), "it is what runs");
    let again = rig.plan(&blueprint).await.unwrap();
    assert!(again.changes.is_empty() && again.gaps.is_empty(), "{:#?} {:#?}", again.changes, again.gaps);
    change(&rig, vmid, |guest| guest.put(CONFIG, guest.text(CONFIG).unwrap() + "# by hand\n"));
    let plan = rig.plan(&blueprint).await.unwrap();
    assert_eq!(of_routes(&plan), [Action::Update]);
    assert!(plan.changes[0].drift, "somebody changed it");
}

#[tokio::test]
async fn the_configuration_of_somebody_else_is_not_touched() {
    let (blueprint, vmid) = one();
    let rig = installed(&blueprint, vmid).await;
    change(&rig, vmid, |guest| {
        guest.put(CONFIG, "example.org {\n}\n");
    });
    let refused = rig.plan(&blueprint).await.unwrap_err();
    assert!(refused.iter().any(|problem| problem.code == "plan.foreign-configuration"), "{refused:#?}");
}

#[tokio::test]
async fn where_nothing_answers_after_it_the_old_configuration_runs_again() {
    let (blueprint, vmid) = one();
    let rig = installed(&blueprint, vmid).await;
    let old = OLD.replace("lab", blueprint.name.as_str());
    change(&rig, vmid, |guest| {
        guest.put(CONFIG, old.clone());
        guest.put(RUNNING, old.clone());
        guest.put(MUTE, "a.example.com {".to_owned());
    });
    let plan = rig.plan(&blueprint).await.unwrap();
    assert_eq!(of_routes(&plan), [Action::Update]);
    let run = rig.carry_out(&blueprint, plan, OnFailure::Keep, &Stop::default()).await;
    assert_ne!(run.ended, Ended::Done);
    assert!(run.failures.iter().any(|failure| failure.starts_with("routes.")), "{:#?}", run.failures);
    assert_eq!(file(&rig, vmid, CONFIG), Some(old.clone()));
    assert_eq!(file(&rig, vmid, RUNNING), Some(old), "without anybody having to ask for it");
    assert_eq!(of_routes(&rig.plan(&blueprint).await.unwrap()), [Action::Update], "it is still to be done");
}

#[tokio::test]
async fn what_caddy_does_not_take_is_never_put_in_its_place() {
    let (blueprint, vmid) = one();
    let rig = installed(&blueprint, vmid).await;
    change(&rig, vmid, |guest| guest.put(PICKY, "reverse_proxy"));
    let run = rig.apply(&blueprint).await;
    assert_ne!(run.ended, Ended::Done);
    assert!(run.failures.iter().any(|failure| failure.contains("unrecognized directive")), "{:#?}", run.failures);
    assert_eq!((file(&rig, vmid, CONFIG), file(&rig, vmid, RUNNING)), (None, None));
}

const USERS: &str = "/etc/caddy/infra-users";

#[tokio::test]
async fn names_and_hashes_are_brought_with_the_routes_and_no_plan_holds_a_hash() {
    let routes = json!({ "a.example.com": { "port": 8080, "auth": "basic" } });
    let (blueprint, vmid) = with_sites(routes.clone(), json!({ "alice": "secret:alice" }));
    let rig = installed(&blueprint, vmid).await;
    let plan = rig.plan(&blueprint).await.unwrap();
    let hash = StandIns.reveal("alice").unwrap();
    let shown = serde_json::to_string(&plan.steps).unwrap();
    assert!(shown.contains("alice") && !shown.contains(hash.expose_secret()), "{shown}");
    let run = rig.apply(&blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let users = file(&rig, vmid, USERS).unwrap();
    assert!(users.ends_with(&format!("\nalice {}\n", hash.expose_secret())), "{users}");
    let mode = rig.site.look(|world| world.guests[&vmid].files[USERS].mode).unwrap();
    assert_eq!(mode & 0o777, 0o640, "{mode:o}");
    let left: Vec<String> = rig.site.look(|world| world.guests[&vmid].files.keys().cloned().collect()).unwrap();
    assert!(!left.iter().any(|path| path.ends_with(".infra-new")), "{left:?}");
    let again = rig.plan(&blueprint).await.unwrap();
    assert!(again.changes.is_empty() && again.gaps.is_empty(), "{:#?} {:#?}", again.changes, again.gaps);
    // One more name makes it another file.
    let (more, _) = with_sites(routes, json!({ "alice": "secret:alice", "bob": "secret:bob" }));
    let plan = rig.plan(&more).await.unwrap();
    assert_eq!(of_routes(&plan), [Action::Update]);
    assert_eq!(plan.changes[0].fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>(), ["users"]);
    assert_eq!(rig.apply(&more).await.ended, Ended::Done);
    assert!(file(&rig, vmid, USERS).unwrap().contains("\nbob "));
}

#[tokio::test]
async fn an_edit_below_the_comment_of_the_package_is_somebody_s_own() {
    let (blueprint, vmid) = one();
    let rig = installed(&blueprint, vmid).await;
    let packaged = "# The Caddyfile is an easy way to configure your Caddy web server.\n";
    change(&rig, vmid, |guest| guest.put(CONFIG, packaged));
    assert_eq!(of_routes(&rig.plan(&blueprint).await.unwrap()), [Action::Create], "as the package brings it");
    change(&rig, vmid, |guest| guest.put(CONFIG, format!("{packaged}example.org {{\n}}\n")));
    let refused = rig.plan(&blueprint).await.unwrap_err();
    assert!(refused.iter().any(|problem| problem.code == "plan.foreign-configuration"), "{refused:#?}");
}

#[tokio::test]
async fn a_proxy_in_a_vm_is_reached_by_its_agent() {
    let mut text: Value = serde_json::from_str(&inventory(&[usual(true)])).unwrap();
    text["guests"]["g0"]["routes"] = json!({ "a.example.com": 8080 });
    text["ingress"] = json!({ "guest": "g0", "from": ["192.168.10.0/24"], "tls": "internal" });
    let blueprint = blueprint(&text.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let vmid = blueprint.guests.values().next().unwrap().vmid.get();
    let rig = installed(&blueprint, vmid).await;
    let run = rig.apply(&blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    assert!(file(&rig, vmid, CONFIG).unwrap().contains("a.example.com {"));
    assert!(rig.plan(&blueprint).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn traefik_is_restarted_only_for_what_it_is_started_with() {
    let traefik = |routes: Value| {
        let mut text: Value = serde_json::from_str(&inventory(&[usual(false)])).unwrap();
        text["guests"]["g0"]["routes"] = routes;
        text["ingress"] = json!({ "guest": "g0", "from": ["192.168.10.0/24"], "tls": "acme", "proxy": "traefik" });
        blueprint(&text.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"))
    };
    let first = traefik(json!({ "a.example.com": 8080 }));
    let vmid = first.guests.values().next().unwrap().vmid.get();
    let rig = Rig::new(0);
    assert_eq!(rig.apply(&first).await.ended, Ended::Done);
    change(&rig, vmid, |guest| install(guest, "traefik"));
    let run = rig.apply(&first).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let dynamic = "/etc/traefik/dynamic/infra.yaml";
    assert!(file(&rig, vmid, dynamic).unwrap().contains("a.example.com"));
    assert!(file(&rig, vmid, TRAEFIK_RUNS).is_some(), "it was started with its own file");
    assert!(rig.plan(&first).await.unwrap().changes.is_empty());
    let second = traefik(json!({ "a.example.com": 8080, "b.example.com": 8081 }));
    let plan = rig.plan(&second).await.unwrap();
    assert!(!serde_json::to_string(&plan.steps).unwrap().contains("restart"), "it watches the other file");
    assert_eq!(rig.apply(&second).await.ended, Ended::Done);
    assert!(file(&rig, vmid, dynamic).unwrap().contains("b.example.com"));
}
