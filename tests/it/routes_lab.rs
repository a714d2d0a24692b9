//! Routes are put into a container of the lab, loaded there, kept as they are, and put back where they are not taken.

use infra::blueprint::Blueprint;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::guest_files::{CADDY, MUTE};
use infra::lab::world::Guest;
use infra::model::change::Action;
use infra::plan::Plan;
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
        guest.put(CADDY, "2.6.2".to_owned());
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
        guest.put(CONFIG, "example.org {\n}\n".to_owned());
    });
    let refused = rig.plan(&blueprint).await.unwrap_err();
    assert!(refused.iter().any(|problem| problem.code == "plan.foreign-routes"), "{refused:#?}");
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
    // The file with the users is not there yet.
    let routes = json!({ "a.example.com": { "port": 8080, "auth": "basic" } });
    let (blueprint, vmid) = with_sites(routes, json!({ "alice": "secret:alice" }));
    let rig = installed(&blueprint, vmid).await;
    let run = rig.apply(&blueprint).await;
    assert_ne!(run.ended, Ended::Done);
    assert!(run.failures.iter().any(|failure| failure.contains("File to import not found")), "{:#?}", run.failures);
    assert_eq!((file(&rig, vmid, CONFIG), file(&rig, vmid, RUNNING)), (None, None));
}
