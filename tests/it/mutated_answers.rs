//! Every answer that a plan stands on, changed at random in one place: the plan comes out or says what is wrong.
//!
//! It never panics, never waits without end, and never proposes to remove or replace anything. Seeded: the same
//! changes on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use infra::blueprint::Blueprint;
use infra::client::{Door, Doors};
use infra::lab::DirectApi;
use infra::lab::shell::DirectShell;
use infra::model::change::Action;
use infra::observe::{Interest, observe};
use infra::plan::{Plan, Scope, build};
use infra::ports::{Api, BoxFuture, Request, Response, TransportError};
use infra::resources::{datasets_of_interest, snippets_of_interest};
use serde_json::{Map, Value, json};

use crate::fault_sweep::before_and_after;
use crate::rig::{Rig, SECRET};

const MUTATIONS: u64 = 500;

/// What is asked of the API, and which answer is changed.
#[derive(Default)]
struct Tampering {
    asked: BTreeSet<String>,
    target: Option<(String, u64)>,
    done: Option<String>,
}

struct Tampered {
    inner: DirectApi,
    tampering: Arc<Mutex<Tampering>>,
}

fn name(request: &Request) -> String {
    let params: Vec<String> = request.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{}?{}", request.path, params.join("&"))
}

impl Api for Tampered {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let mut response = self.inner.send(request).await?;
            let mut tampering = self.tampering.lock().unwrap();
            tampering.asked.insert(name(request));
            let seed = tampering.target.as_ref().filter(|(target, _)| *target == name(request)).map(|(_, seed)| *seed);
            if let Some(seed) = seed
                && let Ok(mut body) = serde_json::from_slice::<Value>(&response.body)
            {
                tampering.done = Some(mutate(&mut body, &mut fastrand::Rng::with_seed(seed)));
                response.body = body.to_string().into_bytes();
            }
            Ok(response)
        })
    }
}

/// Every place in a value, as the keys that lead there.
fn places(value: &Value, at: &[String], all: &mut Vec<Vec<String>>) {
    all.push(at.to_vec());
    let mut below = |key: String, value: &Value| places(value, &[at, &[key]].concat(), all);
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| below(key.clone(), value)),
        Value::Array(values) => values.iter().enumerate().for_each(|(index, value)| below(index.to_string(), value)),
        _ => {}
    }
}

fn at<'a>(value: &'a mut Value, place: &[String]) -> &'a mut Value {
    place.iter().fold(value, |value, key| match value {
        Value::Array(values) => &mut values[key.parse::<usize>().unwrap()],
        value => &mut value[key.as_str()],
    })
}

/// Changes one place, and says which and how.
fn mutate(body: &mut Value, dice: &mut fastrand::Rng) -> String {
    let mut all = Vec::new();
    places(body, &[], &mut all);
    let place = all[dice.usize(..all.len())].clone();
    let kind = dice.usize(..12);
    let spoiled = at(body, &place);
    let was = spoiled.take();
    *spoiled = match kind {
        0 => Value::Null,
        1 => json!({"unexpected": was}),
        2 => json!([was]),
        3 => json!(""),
        4 => json!("\u{0}\u{fffd} ../../etc ' \" \n"),
        5 => json!(-1),
        6 => json!(1.8e19),
        7 => json!(true),
        8 => json!(was.to_string()),
        9 => Value::Array(vec![was; 3]),
        10 => json!("x".repeat(100_000)),
        _ => {
            // gone
            match place.split_last() {
                None => *spoiled = json!({}),
                Some((key, above)) => match at(body, above) {
                    Value::Array(values) => drop(values.remove(key.parse().unwrap())),
                    Value::Object(object) => drop(object.shift_remove(key)),
                    _ => {}
                },
            }
            return format!("without /{}", place.join("/"));
        }
    };
    format!("kind {kind} at /{}", place.join("/"))
}

async fn plan(doors: &Doors, blueprint: &Blueprint) -> Result<Plan, String> {
    let interest = Interest {
        snippets: snippets_of_interest(blueprint),
        datasets: datasets_of_interest(blueprint),
        ..Interest::default()
    };
    let looking = observe(blueprint, doors, &interest);
    let observed = tokio::time::timeout(Duration::from_secs(60), looking).await.expect("looking comes to an end");
    let request = infra::plan::Request {
        blueprint,
        observed: &observed,
        memory: &BTreeMap::default(),
        scope: &Scope::default(),
        allowed: &Default::default(),
        unfinished: &BTreeSet::new(),
    };
    build(&request).map_err(|problems| {
        let told: Vec<String> = problems.into_iter().map(|problem| format!("{problem:?}")).collect();
        assert!(!told.is_empty(), "a refusal says why");
        told.join("\n")
    })
}

#[test]
fn a_plan_on_spoiled_answers_is_a_plan_or_a_refusal() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (before, after) = before_and_after();
        let rig = Rig::new(0);
        rig.apply(&before).await;
        let tampering = Arc::new(Mutex::new(Tampering::default()));
        let doors = doors(&rig, &after, &tampering);
        let honest = plan(&doors, &after).await.unwrap();
        assert!(!honest.changes.is_empty() && honest.gaps.is_empty());
        let asked: Vec<String> = tampering.lock().unwrap().asked.iter().cloned().collect();
        let (mut plans, mut gapped, mut refused) = (0, 0, 0);
        for seed in 0..MUTATIONS {
            let target = asked[usize::try_from(seed).unwrap() % asked.len()].clone();
            *tampering.lock().unwrap() = Tampering { target: Some((target.clone(), seed)), ..Tampering::default() };
            let outcome = plan(&doors, &after).await;
            let done = tampering.lock().unwrap().done.take().expect("the answer was asked for again");
            println!("{seed}: {target}: {done}");
            match outcome {
                Ok(plan) => {
                    let destructive = |action: Action| matches!(action, Action::Destroy | Action::Replace);
                    let worst = plan.changes.iter().find(|change| destructive(change.action));
                    assert!(worst.is_none(), "{seed}: {target}: {done}: {worst:#?}");
                    plans += 1;
                    gapped += usize::from(!plan.gaps.is_empty());
                }
                Err(_) => refused += 1,
            }
        }
        println!(
            "{} requests, {MUTATIONS} changes: {plans} plans ({gapped} with gaps), {refused} refusals",
            asked.len()
        );
        assert!(gapped > 50 && refused > 0, "spoiling is noticed");
    });
}

fn doors(rig: &Rig, blueprint: &Blueprint, tampering: &Arc<Mutex<Tampering>>) -> Doors {
    let token = format!("infra@pve!lab={SECRET}");
    let doors = blueprint.hosts.values().map(|host| {
        let inner = DirectApi::new(Arc::clone(&rig.site), token.clone().into());
        let door = Door {
            api: Arc::new(Tampered { inner, tampering: Arc::clone(tampering) }),
            shell: Some(Arc::new(DirectShell::new(Arc::<infra::lab::LiveSite>::clone(&rig.site), host.node.as_str()))),
        };
        (host.name.clone(), door)
    });
    Doors::new(doors.collect(), Arc::<crate::rig::VirtualClock>::clone(&rig.clock), 7)
}

/// What understands an answer.
type Reader = fn(&Value) -> Result<(), infra::diag::Invalid>;

#[test]
fn an_answer_of_another_shape_is_an_error_for_every_reader() {
    use infra::model::observed::GuestKind::Qemu;
    use infra::observe::facts as f;
    let one = |value: Value| vec![json!([value])];
    // beside what none of them understands: what each one has to refuse
    let readers: Vec<(&str, Reader, Vec<Value>)> = vec![
        ("appliances", |v| f::appliances::read(v).map(drop), one(json!({"template": []}))),
        ("bridges", |v| f::bridges::read(v).map(drop), one(json!({}))),
        (
            "guest_config",
            |v| f::guest_config::read(v).map(drop),
            vec![json!([]), json!([{"key": "digest"}]), json!([{"key": "a", "value": {}}])],
        ),
        ("guests", |v| f::guests::read_site(v).map(drop), one(json!({"type": "qemu", "vmid": "x", "node": "a"}))),
        (
            "guests of a node",
            |v| f::guests::read_node(v, &"pve1".parse().unwrap(), Qemu).map(drop),
            vec![
                json!([{"vmid": 100, "template": "maybe"}]),
                json!([{"vmid": 100, "tags": ["a"]}]),
                json!([{"vmid": 1e9}]),
            ],
        ),
        (
            "nodes",
            |v| f::nodes::read(v).map(drop),
            vec![json!([]), json!([{"type": "node", "name": "a", "online": "yes"}])],
        ),
        ("pci_devices", |v| f::pci_devices::read(v).map(drop), one(json!({"id": "0000:01:00.0"}))),
        ("pci_mappings", |v| f::pci_mappings::read(v).map(drop), one(json!({"id": "gpu", "map": "node=a"}))),
        ("pools", |v| f::pools::read(v).map(drop), one(json!({"poolid": null}))),
        (
            "storages",
            |v| f::storages::read(v).map(drop),
            vec![
                json!([{"storage": "a", "type": "dir", "active": 1, "total": 5}]),
                json!([{"storage": "a", "type": "dir", "active": 1, "total": 5, "avail": "much"}]),
                json!([{"storage": "a", "type": "dir", "active": {}}]),
            ],
        ),
        ("tasks", |v| f::tasks::read(v).map(drop), one(json!({"upid": "UPID:garbage"}))),
        ("version", |v| f::version::read(v).map(drop), vec![json!({"version": 9}), json!([])]),
        ("volumes", |v| f::volumes::read(v).map(drop), one(json!({"volid": "a:b", "content": "iso", "size": "big"}))),
        ("permissions", |v| f::permissions::read(v).map(drop), vec![json!([]), json!({"/": ["VM.Audit"]})]),
    ];
    for (name, read, refused) in readers {
        let none = [
            Value::Null,
            json!("text"),
            json!(5),
            json!(true),
            json!([null]),
            json!([[]]),
            json!([1]),
            json!({"a": 1}),
        ];
        for value in none.iter().chain(&refused) {
            assert!(read(value).is_err(), "{name}: {value}");
        }
    }
}

#[test]
fn mutations_are_the_same_each_time_and_change_something() {
    let body = json!({"data": [{"a": 1, "b": {"c": "d"}}]});
    let spoil = |seed| {
        let mut value = body.clone();
        let told = mutate(&mut value, &mut fastrand::Rng::with_seed(seed));
        (told, value)
    };
    let seen: Map<String, Value> = (0..200).map(spoil).collect();
    assert!(seen.len() > 40, "{}", seen.len());
    assert_eq!(spoil(7), spoil(7));
}
