//! Zones are put into BIND of a container of the lab, served there, and put back where they are not taken.

use infra::blueprint::Blueprint;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::guest_edge::{SERVED, STUBBORN, install};
use infra::lab::world::Guest;
use infra::model::change::Action;
use infra::plan::Plan;
use infra::render::serial_of;
use serde_json::{Value, json};

use crate::random_inventory::{inventory, usual};
use crate::rig::{Rig, blueprint};

const CONFIG: &str = "/etc/bind/named.conf.local";
const ZONE: &str = "/var/lib/bind/db.example.net";
const OTHER: &str = "/var/lib/bind/db.example.org";
const PACKAGED: &str = "//\n// Do any local configuration here\n//\n";

/// An inventory with a container that serves two zones, one of them with this address of `nas`.
fn with_zones(nas: &str) -> (Blueprint, u32) {
    let mut text: Value = serde_json::from_str(&inventory(&[usual(false)])).unwrap();
    text["dns"] = json!({ "zones": {
        "example.net": { "guest": "g0", "records": { "nas": nas } },
        "example.org": { "guest": "g0", "guests": false },
    }});
    let blueprint = blueprint(&text.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let vmid = blueprint.guests.values().next().unwrap().vmid.get();
    (blueprint, vmid)
}

fn change(rig: &Rig, vmid: u32, change: impl FnOnce(&mut Guest)) {
    rig.site.change(|world| change(world.guests.get_mut(&vmid).unwrap())).unwrap();
}

fn file(rig: &Rig, vmid: u32, path: &str) -> Option<String> {
    rig.site.look(|world| world.guests[&vmid].text(path)).unwrap()
}

fn of_zones(plan: &Plan) -> Vec<Action> {
    let zones = plan.changes.iter().filter(|change| change.addr.to_string() == "zones.g0");
    zones.map(|change| change.action).collect()
}

async fn installed(blueprint: &Blueprint, vmid: u32) -> Rig {
    let rig = Rig::new(0);
    let run = rig.apply(blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let plan = rig.plan(blueprint).await.unwrap();
    assert!(format!("{:?}", plan.gaps).contains("there is no BIND in g0 yet"), "{:?}", plan.gaps);
    change(&rig, vmid, |guest| {
        install(guest, "bind9");
        guest.put(CONFIG, PACKAGED);
    });
    rig
}

#[tokio::test]
async fn zones_are_served_and_a_serial_moves_only_with_its_zone() {
    let (blueprint, vmid) = with_zones("10.2.0.5");
    let rig = installed(&blueprint, vmid).await;
    assert_eq!(of_zones(&rig.plan(&blueprint).await.unwrap()), [Action::Create]);
    let run = rig.apply(&blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let first = file(&rig, vmid, ZONE).unwrap();
    let serial = serial_of(&first).unwrap();
    assert_eq!(serial / 100, 20_261_121, "the guest's own day");
    assert_eq!(file(&rig, vmid, SERVED).unwrap(), format!("example.net {serial}\nexample.org {serial}\n"));
    let again = rig.plan(&blueprint).await.unwrap();
    assert!(again.changes.is_empty() && again.gaps.is_empty(), "{:#?} {:#?}", again.changes, again.gaps);

    let (moved, _) = with_zones("10.2.0.6");
    let plan = rig.plan(&moved).await.unwrap();
    assert_eq!(plan.changes[0].fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>(), [ZONE]);
    assert_eq!(rig.apply(&moved).await.ended, Ended::Done);
    assert_eq!(serial_of(&file(&rig, vmid, ZONE).unwrap()), Some(serial + 1));
    assert_eq!(serial_of(&file(&rig, vmid, OTHER).unwrap()), Some(serial));

    change(&rig, vmid, |guest| {
        let text = guest.text(ZONE).unwrap().replace("10.2.0.6", "10.6.6.6");
        guest.put(ZONE, text);
    });
    let plan = rig.plan(&moved).await.unwrap();
    assert!(plan.changes[0].drift, "somebody changed it");
    assert_eq!(rig.apply(&moved).await.ended, Ended::Done);
    let mended = file(&rig, vmid, ZONE).unwrap();
    assert!(mended.contains("10.2.0.6") && serial_of(&mended) == Some(serial + 2), "{mended}");
}

#[tokio::test]
async fn zones_of_somebody_else_are_not_touched() {
    let (blueprint, vmid) = with_zones("10.2.0.5");
    let rig = installed(&blueprint, vmid).await;
    for (path, text) in [
        (CONFIG, format!("{PACKAGED}zone \"example.com\" {{\n\tfile \"x\";\n}};\n")),
        (ZONE, "@ IN SOA ns host ( 7 1 1 1 1 )\n".to_owned()),
        (CONFIG, "// Written by infra for another: change the inventory, not this file.\n".to_owned()),
    ] {
        let before = file(&rig, vmid, path);
        change(&rig, vmid, |guest| guest.put(path, text));
        let refused = rig.plan(&blueprint).await.unwrap_err();
        assert!(refused.iter().any(|problem| problem.code == "plan.foreign-configuration"), "{refused:#?}");
        change(&rig, vmid, |guest| match before {
            Some(text) => guest.put(path, text),
            None => drop(guest.files.remove(path)),
        });
    }
    assert_eq!(of_zones(&rig.plan(&blueprint).await.unwrap()), [Action::Create]);
}

#[tokio::test]
async fn where_a_zone_is_not_served_after_it_the_old_ones_are() {
    let (blueprint, vmid) = with_zones("10.2.0.5");
    let rig = installed(&blueprint, vmid).await;
    assert_eq!(rig.apply(&blueprint).await.ended, Ended::Done);
    let (zone, config) = (file(&rig, vmid, ZONE), file(&rig, vmid, CONFIG));
    change(&rig, vmid, |guest| guest.put(STUBBORN, "example.org\n"));
    let (moved, _) = with_zones("10.2.0.6");
    let plan = rig.plan(&moved).await.unwrap();
    let run = rig.carry_out(&moved, plan, OnFailure::Keep, &Stop::default()).await;
    assert_ne!(run.ended, Ended::Done);
    assert!(run.failures.iter().any(|failure| failure.starts_with("zones.g0")), "{:#?}", run.failures);
    assert_eq!((file(&rig, vmid, ZONE), file(&rig, vmid, CONFIG)), (zone, config));
    change(&rig, vmid, |guest| drop(guest.files.remove(STUBBORN)));
    assert_eq!(rig.apply(&moved).await.ended, Ended::Done);
    assert!(rig.plan(&moved).await.unwrap().changes.is_empty());
}
