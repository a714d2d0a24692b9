//! Guests join the tailnet by themselves: the whole way in the lab, what goes wrong on it, and what is left of a key.
//!
//! Done when: whatever is lost, ended, killed or taken back on the way, the next apply puts every guest in, and a key is
//! nowhere but in the one file that its guest's root reads while it joins.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use infra::adapters::{Dialect, TailnetApi, TailnetTarget, Trust};
use infra::blueprint::Blueprint;
use infra::diag::Diagnostics;
use infra::exec::{Ended, OnFailure, Stop};
use infra::lab::faults::{CommandEffect, Fault};
use infra::lab::tailnet::state::Key;
use infra::lab::tailnet::{Device, ServedTailnet, Tailnet};
use infra::model::change::Action;
use infra::model::step::{Condition, Op};
use infra::plan::Plan;
use infra::ports::{Api, BoxFuture, Clock, Command, Method, Request, Response, Shell, TransportError};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::random_inventory::{inventory, usual};
use crate::rig::{Rig, Run, VirtualClock, blueprint};

const TAILSCALE: &str = "/usr/bin/tailscale";
const KEY_FILE: &str = "/run/infra-tailscale.key";

/// A container and a VM that the phone reaches over the tailnet, the container with terminals.
fn members() -> Blueprint {
    let mut text: Value = serde_json::from_str(&inventory(&[usual(false), usual(true)])).unwrap();
    text["guests"]["g0"]["access"] = json!([{ "from": "tag:phone", "to": ["ssh"] }]);
    text["tailnet"] = json!({ "key": "secret:tailnet-key", "members": ["g1"], "ssh": { "users": ["root"] } });
    blueprint(&text.to_string()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn vmid(blueprint: &Blueprint, name: &str) -> u32 {
    blueprint.guests[&name.parse().unwrap()].vmid.get()
}

/// A host, a control plane, and the way between them.
struct Net {
    rig: Rig,
    plane: Arc<ServedTailnet>,
    api: Arc<TailnetApi>,
}

impl Net {
    async fn new() -> Self {
        let rig = Rig::new(0);
        let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&rig.clock);
        let plane = ServedTailnet::start(None, IpAddr::V4(Ipv4Addr::LOCALHOST), clock).await.unwrap();
        rig.site.change(|world| world.uplink = plane.uplink()).unwrap();
        let target = TailnetTarget {
            url: plane.url.clone(),
            name: "-".into(),
            dialect: Dialect::Tailscale,
            trust: Some(Trust::Pinned(plane.fingerprint)),
            key: SecretString::from(plane.token()),
        };
        let api = Arc::new(TailnetApi::new(target).unwrap());
        rig.with_tailnet(Arc::<TailnetApi>::clone(&api));
        Self { rig, plane: Arc::new(plane), api }
    }

    /// Everything is there, and every guest has joined.
    async fn joined(goal: &Blueprint) -> Self {
        let net = Self::new().await;
        let run = net.rig.apply(goal).await;
        assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
        net
    }

    async fn plan(&self, goal: &Blueprint) -> Plan {
        self.rig.plan(goal).await.unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    async fn refused(&self, goal: &Blueprint) -> Diagnostics {
        self.rig.plan(goal).await.expect_err("it is refused")
    }

    fn device(&self, tag: &str) -> Device {
        let mut all = self.plane.state().devices.into_iter().filter(|device| device.tags == [tag]);
        let device = all.next().unwrap_or_else(|| panic!("nothing bears {tag}"));
        assert_eq!(all.next(), None, "one device bears {tag}");
        device
    }

    fn change(&self, change: impl FnOnce(&mut Tailnet)) {
        self.plane.change(change).unwrap();
    }

    /// Somebody types this in a container.
    async fn type_in(&self, goal: &Blueprint, name: &str, command: &[&str]) -> infra::ports::Output {
        let doors = self.rig.doors(goal);
        let host = &goal.guests[&name.parse().unwrap()].host;
        let vmid = vmid(goal, name).to_string();
        let line = [&["pct", "exec", &vmid, "--"], command].concat();
        doors.shell(host).unwrap().run(&Command::new(line)).await.unwrap()
    }

    /// No key that anybody could still use, and no file that holds one.
    fn assert_no_key_is_left(&self, goal: &Blueprint, what: &str) {
        let usable = |key: &Key| key.revoked.is_none() && !key.used;
        let usable: Vec<_> = self.plane.state().keys.into_iter().filter(usable).collect();
        assert_eq!(usable, [], "{what}");
        self.assert_no_file_is_left(goal, what);
    }

    fn assert_no_file_is_left(&self, goal: &Blueprint, what: &str) {
        let there = self.rig.site.look(|world| world.guests.values().any(|guest| guest.files.contains_key(KEY_FILE)));
        assert!(!there.unwrap(), "{what}: a key is left in a file of {:?}", goal.guests.keys());
    }

    async fn settle(&self, goal: &Blueprint, what: &str) {
        for _ in 0..3 {
            let plan = self.plan(goal).await;
            if plan.changes.is_empty() {
                assert!(plan.gaps.is_empty(), "{what}: {:?}", plan.gaps);
                self.assert_in(what);
                self.assert_no_file_is_left(goal, what);
                return;
            }
            let run = self.rig.carry_out(goal, plan, OnFailure::Keep, &Stop::default()).await;
            assert_eq!(run.ended, Ended::Done, "{what}: {:#?}", run.failures);
        }
        panic!("{what}: it does not settle: {:#?}", self.plan(goal).await.changes);
    }

    fn assert_in(&self, what: &str) {
        let devices = self.plane.state().devices;
        for tag in ["tag:infra-random-g0", "tag:infra-random-g1"] {
            let bear = devices.iter().filter(|device| device.tags == [tag] && device.expires.is_none());
            assert!(bear.count() >= 1, "{what}: nothing bears {tag}: {devices:?}");
        }
    }
}

fn of_devices(plan: &Plan) -> Vec<(String, Action)> {
    let devices = plan.changes.iter().filter(|change| change.addr.to_string().starts_with("tailnet_"));
    devices.map(|change| (change.addr.to_string(), change.action)).collect()
}

fn fields(plan: &Plan, addr: &str) -> Vec<String> {
    let change = plan.changes.iter().find(|change| change.addr.to_string() == addr).expect("it changes");
    change.fields.iter().map(|field| field.path.clone()).collect()
}

#[tokio::test]
async fn guests_join_with_the_first_apply_and_the_second_plan_is_empty() {
    let goal = members();
    let net = Net::new().await;
    let heard = Arc::new(Overheard { inner: Arc::<TailnetApi>::clone(&net.api), keys: Mutex::default() });
    net.rig.with_tailnet(Arc::<Overheard>::clone(&heard));
    let plan = net.plan(&goal).await;
    assert!(!serde_json::to_string(&plan).unwrap().contains("tskey-auth"));
    let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let keys = heard.keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 2, "one key for each");
    assert_eq!(whereabouts(&net, &keys), (Vec::new(), false), "and none is anywhere any more");
    let (container, vm) = (net.device("tag:infra-random-g0"), net.device("tag:infra-random-g1"));
    assert_eq!((container.hostname.as_str(), container.authorized, container.expires), ("g0", true, None));
    assert_eq!((vm.hostname.as_str(), vm.user.as_str()), ("g1", ""));
    net.assert_no_key_is_left(&goal, "after joining");
    let again = net.plan(&goal).await;
    assert!(again.changes.is_empty() && again.gaps.is_empty(), "{:#?} {:#?}", again.changes, again.gaps);
    // Terminals of the one that the phone reaches, and names of neither.
    let said = net.type_in(&goal, "g0", &["tailscale", "debug", "prefs"]).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("\"RunSSH\": true") && said.contains("\"CorpDNS\": false"), "{said}");
    let policy = net.plane.state().policy;
    assert!(
        policy.contains("\"tests\"") && policy.contains("tag:infra-random-g1:9"),
        "the policy tests who has joined: {policy}"
    );
    let config = net.rig.site.look(|world| world.guests[&vmid(&goal, "g0")].config.clone()).unwrap();
    let tunnels = config.values().filter(|value| value.starts_with("/dev/net/tun")).count();
    assert_eq!(tunnels, 1, "{config:?}");
}

#[tokio::test]
async fn a_container_that_runs_already_is_restarted_for_the_tunnel_and_the_plan_says_so() {
    let goal = members();
    let net = Net::new().await;
    let mut alone: Value = serde_json::from_str(&inventory(&[usual(false), usual(true)])).unwrap();
    alone["guests"]["g0"].as_object_mut().unwrap().remove("devices");
    let before = blueprint(&alone.to_string()).unwrap();
    assert_eq!(net.rig.apply(&before).await.ended, Ended::Done);
    let mut text: Value = alone;
    text["tailnet"] = json!({ "key": "secret:tailnet-key", "members": ["g0"] });
    let joins = blueprint(&text.to_string()).unwrap();
    let plan = net.plan(&joins).await;
    let restart = plan.changes.iter().find(|change| change.addr.to_string() == "ct.g0").expect("the container changes");
    assert_eq!(restart.action, Action::Restart, "{restart:#?}");
    assert!(restart.fields.iter().any(|field| field.path == "devices./dev/net/tun" && field.needs_restart));
    let run = net.rig.carry_out(&joins, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    assert!(net.plan(&joins).await.changes.is_empty());
    assert_eq!(net.device("tag:infra-random-g0").hostname, "g0");
    drop(goal);
}

#[tokio::test]
async fn a_device_that_was_removed_joins_again_and_nothing_else_is_touched() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let other = net.device("tag:infra-random-g1");
    net.change(|tailnet| tailnet.devices.retain(|device| device.tags != ["tag:infra-random-g0"]));
    let plan = net.plan(&goal).await;
    assert_eq!(of_devices(&plan), [("tailnet_device.g0".to_owned(), Action::Update)], "{:#?}", plan.changes);
    assert!(plan.changes[0].drift && plan.steps.len() == 1, "{:#?}", plan.steps);
    let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    assert_eq!(net.device("tag:infra-random-g1"), other);
    net.settle(&goal, "after the device was removed").await;
    net.assert_no_key_is_left(&goal, "after joining again");
}

#[tokio::test]
async fn a_key_that_has_ended_is_renewed_for_the_same_device() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let before = net.device("tag:infra-random-g0");
    let now = net.rig.clock.now();
    net.change(|tailnet| tailnet.end_key(&before.id, now));
    let plan = net.plan(&goal).await;
    assert_eq!(of_devices(&plan), [("tailnet_device.g0".to_owned(), Action::Update)]);
    net.settle(&goal, "after the key ended").await;
    let after = net.device("tag:infra-random-g0");
    assert_eq!((after.id, after.expires), (before.id, None));
}

#[tokio::test]
async fn a_key_that_will_end_is_told_and_switched_off_without_joining_anew() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let before = net.device("tag:infra-random-g0");
    let ends = net.rig.clock.now().checked_add(jiff::SignedDuration::from_hours(24)).unwrap();
    net.change(|tailnet| tailnet.devices.iter_mut().for_each(|device| device.expires = Some(ends)));
    let plan = net.plan(&goal).await;
    assert_eq!(fields(&plan, "tailnet_device.g0"), ["key_expiry"]);
    assert_eq!(fields(&plan, "tailnet_device.g1"), ["key_expiry"]);
    net.settle(&goal, "after the end was set").await;
    assert_eq!(net.device("tag:infra-random-g0"), before);
}

#[tokio::test]
async fn who_logged_out_or_disconnected_it_sees_it_come_back() {
    let goal = members();
    let net = Net::joined(&goal).await;
    for (command, path) in [("logout", "login"), ("down", "login")] {
        assert_eq!(net.type_in(&goal, "g0", &["tailscale", command]).await.code, 0);
        let plan = net.plan(&goal).await;
        assert!(fields(&plan, "tailnet_device.g0").contains(&path.to_owned()), "{command}: {:#?}", plan.changes);
        let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
        assert_eq!(run.ended, Ended::Done, "{command}: {:#?}", run.failures);
        net.change(|tailnet| tailnet.devices.retain(|device| device.expires.is_none()));
        net.settle(&goal, command).await;
    }
    for command in [&["tailscale", "set", "--ssh=false"][..], &["systemctl", "disable", "tailscaled"]] {
        assert_eq!(net.type_in(&goal, "g0", command).await.code, 0);
        let plan = net.plan(&goal).await;
        assert_eq!(plan.steps.len(), 1, "{command:?}: {:#?}", plan.steps);
        assert!(!plan.steps[0].id.0.ends_with("/join"), "{command:?}: {:#?}", plan.steps);
        net.settle(&goal, &command.join(" ")).await;
    }
}

#[tokio::test]
async fn a_device_with_other_tags_is_given_its_own_and_who_bears_it_beside_it_is_named() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let own = net.device("tag:infra-random-g0");
    net.change(|tailnet| {
        let device = tailnet.devices.iter_mut().find(|device| device.tags == ["tag:infra-random-g0"]).unwrap();
        device.tags.push("tag:infra-random-g1".to_owned());
        tailnet.add("laptop", &["tag:infra-random-g0"], "");
        tailnet.add("g1", &[], "ann@example.com");
    });
    let plan = net.plan(&goal).await;
    assert_eq!(fields(&plan, "tailnet_device.g0"), ["tags"]);
    let change = plan.changes.iter().find(|change| change.addr.to_string() == "tailnet_device.g0").unwrap();
    assert!(
        format!("{:?}", change.fields).contains("tag:infra-random-g0, tag:infra-random-g1"),
        "it says from what: {:?}",
        change.fields
    );
    let notes = plan.notes.join("\n");
    assert!(notes.contains("(laptop) bears `tag:infra-random-g0` and is not g0"), "{notes}");
    assert!(notes.contains("is called g1, too"), "{notes}");
    let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let devices = net.plane.state().devices;
    let now = devices.iter().find(|device| device.id == own.id).unwrap();
    assert_eq!(now.tags, ["tag:infra-random-g0"]);
    assert!(devices.iter().any(|device| device.hostname == "laptop"), "nothing is removed without a word");
}

#[tokio::test]
async fn a_guest_that_is_in_another_tailnet_is_left_there() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&net.rig.clock);
    let other = ServedTailnet::start(None, IpAddr::V4(Ipv4Addr::LOCALHOST), clock).await.unwrap();
    // Its control plane lists it; ours does not, and has devices of no such zone.
    other.change(|tailnet| tailnet.devices = net.plane.state().devices).unwrap();
    net.change(|tailnet| tailnet.devices.clear());
    net.rig.site.change(|world| world.uplink = other.uplink()).unwrap();
    let refused = net.refused(&goal).await;
    assert!(refused.iter().any(|problem| problem.summary.contains("is in another tailnet")), "{refused:#?}");
    assert_eq!(other.state().devices.len(), 2);
}

/// What the lab refuses, as the real programs do.
#[tokio::test]
async fn joining_is_refused_without_a_tunnel_a_good_key_the_right_server_and_a_network() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let owned = net.plane.state().policy.contains("tag:infra-random-g0");
    assert!(owned);
    let write = |text: &str| {
        let (vmid, text) = (vmid(&goal, "g0"), text.to_owned());
        net.rig.site.change(move |world| world.guests.get_mut(&vmid).unwrap().put("/root/key", text)).unwrap();
    };
    let key = async || {
        let made = net.api.send(&infra::tailnet::requests::new_key("tag:infra-random-g0", "by hand")).await.unwrap();
        let body: Value = serde_json::from_slice(&made.body).unwrap();
        body["data"]["key"].as_str().unwrap().to_owned()
    };
    let up = async |rest: &[&str]| {
        let words = [&["tailscale", "up", "--reset", "--force-reauth", "--auth-key=file:/root/key"], rest].concat();
        let output = net.type_in(&goal, "g0", &words).await;
        (output.code, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    write("tskey-auth-none");
    let (code, said) = up(&[]).await;
    assert!(code == 1 && said.contains("invalid key"), "{said}");
    write(&key().await);
    let (code, said) = up(&["--login-server=https://elsewhere.example.com"]).await;
    assert!(code == 1 && said.contains("timeout waiting"), "{said}");
    assert_eq!(up(&[]).await.0, 0, "the key was not used by what failed");
    let (code, said) = up(&[]).await;
    assert!(code == 1 && said.contains("invalid key"), "a key is for once: {said}");
    write(&key().await);
    net.rig.clock.sleep(std::time::Duration::from_secs(601)).await;
    let (code, said) = up(&[]).await;
    assert!(code == 1 && said.contains("invalid key"), "it has ended: {said}");
    write(&key().await);
    let out = json!({ "policy_out": "DROP", "enable": "1" });
    net.rig.site.change(|world| shut(world, vmid(&goal, "g0"), &out)).unwrap();
    let (code, said) = up(&[]).await;
    assert!(code == 1 && said.contains("timeout waiting"), "{said}");
    net.rig
        .site
        .change(|world| {
            let guest = world.guests.get_mut(&vmid(&goal, "g0")).unwrap();
            guest.config.retain(|_, value| !value.starts_with("/dev/net/tun"));
        })
        .unwrap();
    let (code, said) = up(&[]).await;
    assert!(code == 1 && said.contains("doesn't appear to be running"), "{said}");
}

/// Nothing gets out of a guest any more.
fn shut(world: &mut infra::lab::world::World, vmid: u32, options: &Value) {
    world.firewall.options.insert("enable".to_owned(), "1".to_owned());
    for node in world.nodes.values_mut() {
        node.enforced.cluster.options.insert("enable".to_owned(), "1".to_owned());
        let own = node.enforced.guests.entry(vmid).or_default();
        own.rules.clear();
        for (key, value) in options.as_object().unwrap() {
            own.options.insert(key.clone(), value.as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn who_cannot_join_leaves_no_key_behind_and_joins_with_the_next_apply() {
    let goal = members();
    let net = Net::joined(&goal).await;
    net.change(|tailnet| tailnet.devices.retain(|device| device.tags != ["tag:infra-random-g0"]));
    let plan = net.plan(&goal).await;
    // The guest reaches nobody by the time it joins.
    net.rig.site.change(|world| world.uplink = infra::lab::tailnet::Uplink::default()).unwrap();
    let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
    assert_ne!(run.ended, Ended::Done);
    assert!(run.failures.iter().any(|why| why.contains("g0 did not join the tailnet")), "{:#?}", run.failures);
    assert!(run.failures.iter().any(|why| why.contains("timeout waiting for Tailscale")), "{:#?}", run.failures);
    net.assert_no_key_is_left(&goal, "joining failed");
    net.rig.site.change(|world| world.uplink = net.plane.uplink()).unwrap();
    net.settle(&goal, "after the way was open again").await;
}

#[tokio::test]
async fn what_failed_is_taken_back_to_the_last_device_key_and_package() {
    let goal = members();
    let net = Net::new().await;
    let before = net.plane.state();
    let plan = net.plan(&goal).await;
    assert!(plan.steps.last().unwrap().id.0.ends_with("/tests"), "the last step is what joining leads to");
    // Somebody writes the policy while the guests join, so that its tests are refused at the very end.
    let interferer = Interferer {
        inner: Arc::<TailnetApi>::clone(&net.api),
        plane: Arc::clone(&net.plane),
        once: AtomicUsize::new(0),
    };
    net.rig.with_tailnet(Arc::new(interferer));
    let run = net.rig.carry_out(&goal, plan, OnFailure::Rollback, &Stop::default()).await;
    assert!(run.failures.iter().any(|why| why.contains("/tests")), "{:#?}", run.failures);
    let after = net.plane.state();
    assert_eq!(after.devices, before.devices, "what was made here is gone");
    net.assert_no_key_is_left(&goal, "after taking it back");
    // The policy is somebody else's text by now, so that it alone is left to be done by hand.
    assert_eq!(run.ended, Ended::Stuck, "{:#?}", run.failures);
    let installed = net.rig.site.look(|world| world.guests.values().any(|guest| guest.files.contains_key(TAILSCALE)));
    assert!(!installed.unwrap());
}

/// Writes a comment into the policy once the first guest has joined.
struct Interferer {
    inner: Arc<TailnetApi>,
    plane: Arc<ServedTailnet>,
    once: AtomicUsize,
}

impl Api for Interferer {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let joined = self.plane.state().devices.len() == 2;
        if joined && request.method == Method::Post && self.once.fetch_add(1, Ordering::SeqCst) == 0 {
            self.plane.change(|tailnet| tailnet.policy.push_str("// mine\n")).unwrap();
        }
        self.inner.send(request)
    }
}

#[tokio::test]
async fn an_apply_that_fails_later_rolls_the_whole_tailnet_back() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let (policy, devices) = (net.plane.state().policy, net.plane.state().devices);
    // A third guest joins, and fails: everything that this run did goes, and what was there before stays.
    let mut text: Value = serde_json::from_str(&inventory(&[usual(false), usual(true), usual(false)])).unwrap();
    text["guests"]["g0"]["access"] = json!([{ "from": "tag:phone", "to": ["ssh"] }]);
    text["tailnet"] = json!({ "key": "secret:tailnet-key", "members": ["g1", "g2"], "ssh": { "users": ["root"] } });
    let more = blueprint(&text.to_string()).unwrap();
    let plan = net.plan(&more).await;
    let lost = Lost { inner: Arc::<TailnetApi>::clone(&net.api), path: "/tailnet/keys", method: Method::Post };
    net.rig.with_tailnet(Arc::new(lost));
    let run = net.rig.carry_out(&more, plan, OnFailure::Rollback, &Stop::default()).await;
    assert_eq!(run.ended, Ended::RolledBack, "{:#?}", run.failures);
    assert!(run.failures.iter().any(|why| why.contains("tailnet_device.g2/join")), "{:#?}", run.failures);
    assert_eq!((net.plane.state().policy, net.plane.state().devices), (policy, devices));
    let guests = net.rig.site.look(|world| world.guests.len()).unwrap();
    assert_eq!(guests, 2, "the guest that was made for it is gone, too");
    net.rig.with_tailnet(Arc::<TailnetApi>::clone(&net.api));
    assert!(net.plan(&goal).await.changes.is_empty());
}

/// Refuses one kind of request.
struct Lost {
    inner: Arc<TailnetApi>,
    path: &'static str,
    method: Method,
}

impl Api for Lost {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        if request.method == self.method && request.path == self.path {
            let why = "the connection was reset".to_owned();
            return Box::pin(async move {
                Err(TransportError::Refused { peer: "tailnet".to_owned(), why, hint: String::new() })
            });
        }
        self.inner.send(request)
    }
}

/// The nth write to the control plane gets lost, before or after it was heard.
struct Struck {
    inner: Arc<TailnetApi>,
    writes: AtomicUsize,
    nth: usize,
    heard: bool,
}

impl Api for Struck {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let struck = request.method != Method::Get && self.writes.fetch_add(1, Ordering::SeqCst) + 1 == self.nth;
        Box::pin(async move {
            if !struck {
                return self.inner.send(request).await;
            }
            if self.heard {
                let _ = self.inner.send(request).await;
            }
            Err(TransportError::Uncertain { peer: "tailnet".to_owned(), why: "the connection was reset".to_owned() })
        })
    }
}

#[tokio::test]
async fn whatever_write_to_the_control_plane_gets_lost_the_next_apply_puts_every_guest_in() {
    let goal = members();
    let mut tried = 0;
    for heard in [false, true] {
        for nth in 1.. {
            let net = Net::new().await;
            let struck =
                Arc::new(Struck { inner: Arc::<TailnetApi>::clone(&net.api), writes: AtomicUsize::new(0), nth, heard });
            net.rig.with_tailnet(Arc::<Struck>::clone(&struck));
            let plan = net.plan(&goal).await;
            let run: Run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
            if struck.writes.load(Ordering::SeqCst) < nth {
                break;
            }
            tried += 1;
            let what = format!("write {nth}, heard {heard}, {:?}: {:?}", run.ended, run.failures);
            net.rig.with_tailnet(Arc::<TailnetApi>::clone(&net.api));
            net.settle(&goal, &what).await;
        }
    }
    println!("{tried} lost writes");
    assert!(tried >= 12, "{tried}");
}

/// Remembers the keys that the control plane gave out.
struct Overheard {
    inner: Arc<TailnetApi>,
    keys: Mutex<Vec<String>>,
}

impl Api for Overheard {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let answer = self.inner.send(request).await?;
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if let Some(key) = body["data"]["key"].as_str() {
                self.keys.lock().unwrap().push(key.to_owned());
            }
            Ok(answer)
        })
    }
}

/// Files in guests that hold a key, with their bits; and whether anything else of the world or of our own notes does.
fn whereabouts(net: &Net, keys: &[String]) -> (Vec<(String, u32)>, bool) {
    let holds = |text: &str| keys.iter().any(|key| text.contains(key.as_str()));
    net.rig
        .site
        .look(|world| {
            let mut rest = world.clone();
            let mut found = Vec::new();
            for guest in rest.guests.values_mut() {
                guest.files.retain(|path, file| {
                    let held = holds(&String::from_utf8_lossy(&file.content));
                    if held {
                        found.push((path.clone(), file.mode));
                    }
                    !held
                });
            }
            let told = format!("{}{}", serde_json::to_string(&rest).unwrap(), net.rig.written());
            (found, holds(&told))
        })
        .unwrap()
}

#[tokio::test]
async fn dropped_at_every_operation_of_joining_the_next_apply_puts_every_guest_in() {
    let goal = members();
    let mut bare: Value = serde_json::from_str(&inventory(&[usual(false), usual(true)])).unwrap();
    bare["guests"]["g0"]["access"] = json!([{ "from": "tag:phone", "to": ["ssh"] }]);
    let before = blueprint(&bare.to_string()).unwrap();
    let (mut tried, mut in_a_file) = (0, false);
    for at in 1.. {
        let net = Net::new().await;
        assert_eq!(net.rig.apply(&before).await.ended, Ended::Done);
        let plan = net.plan(&goal).await;
        let heard = Arc::new(Overheard { inner: Arc::<TailnetApi>::clone(&net.api), keys: Mutex::default() });
        net.rig.with_tailnet(Arc::<Overheard>::clone(&heard));
        net.rig.dropped_at.store(at, Ordering::SeqCst);
        let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
        if run.ended == Ended::Done {
            break;
        }
        assert_eq!(run.ended, Ended::Interrupted, "{at}: {:#?}", run.failures);
        tried += 1;
        let keys = heard.keys.lock().unwrap().clone();
        let (files, elsewhere) = whereabouts(&net, &keys);
        in_a_file |= !files.is_empty();
        for (path, mode) in &files {
            let own = path == KEY_FILE || path.starts_with("/run/.infra-tailscale.key.infra-");
            assert!(own && *mode == 0o600, "dropped at {at}: {path} has {mode:o}");
        }
        assert!(!elsewhere, "dropped at {at}: a key is somewhere else, too");
        net.settle(&goal, &format!("dropped at {at}")).await;
    }
    println!("{tried} moments");
    assert!(in_a_file, "it was looked at while there was a key to be seen");
    assert!(tried >= 40, "{tried}");
}

#[tokio::test]
async fn removing_everything_takes_the_devices_out_first() {
    let goal = members();
    let net = Net::joined(&goal).await;
    let observed = net.rig.observe(&goal).await;
    let allow = goal.guests.values().map(|guest| match guest.inside() {
        infra::model::Inside::Container { .. } => format!("ct.{}", guest.name),
        infra::model::Inside::Vm { .. } => format!("vm.{}", guest.name),
    });
    let allow = allow.chain(observed_datasets(&observed)).map(|addr| addr.parse().unwrap()).collect();
    let plan = infra::plan::teardown(&infra::plan::Request {
        blueprint: &goal,
        observed: &observed,
        memory: &infra::plan::Memory::new(),
        scope: &infra::plan::Scope::default(),
        allowed: &infra::resources::Allowed { destroy: allow, ..Default::default() },
        unfinished: &std::collections::BTreeSet::new(),
    })
    .unwrap_or_else(|problems| panic!("{problems:#?}"));
    let at = |id: &str| plan.steps.iter().position(|step| step.id.0 == id).unwrap_or_else(|| panic!("{id} is planned"));
    assert!(at("tailnet_device.g0/remove") < at("ct.g0/destroy"));
    let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    assert_eq!(net.plane.state().devices, []);
    assert!(!net.plane.state().policy.contains(">>> infra"), "{}", net.plane.state().policy);
}

fn observed_datasets(observed: &infra::model::observed::Observed) -> Vec<String> {
    let hosts = observed.hosts.iter();
    hosts
        .flat_map(|(host, there)| {
            let names = there.datasets.value().into_iter().flat_map(|all| all.keys());
            names.map(move |name| format!("dataset.{host}:{name}"))
        })
        .collect()
}

#[tokio::test]
async fn a_rehearsal_joins_on_a_twin_and_says_what_it_cannot_know() {
    let goal = members();
    let net = Net::new().await;
    for what in ["before anybody has joined", "after a device was removed"] {
        let observed = net.rig.observe(&goal).await;
        let plan = net.plan(&goal).await;
        assert!(!of_devices(&plan).is_empty(), "{what}");
        let report = infra::rehearsal::rehearse(&infra::rehearsal::Request {
            blueprint: &goal,
            observed: &observed,
            plan: &plan,
            memory: &infra::plan::Memory::new(),
            scope: &infra::plan::Scope::default(),
            allowed: &infra::resources::Allowed::default(),
            unfinished: &std::collections::BTreeSet::new(),
            parallelism: 4,
            now: net.rig.clock.now(),
        })
        .unwrap();
        for pass in [&report.quick, &report.slow] {
            assert!(pass.refused.is_empty(), "{what}: {:?}", pass.refused);
            let left = pass.left.as_ref().map(|plan| of_devices(plan));
            assert!(left.is_none(), "{what}: {left:?}");
        }
        assert!(format!("{:?}", report.untwinned).contains("Tailscale's packages"), "{what}: {:?}", report.untwinned);
        assert!(net.plane.state().devices.iter().all(|device| device.tags != ["tag:infra-random-g0"]), "{what}");
        net.settle(&goal, what).await;
        net.change(|tailnet| tailnet.devices.retain(|device| device.tags != ["tag:infra-random-g0"]));
    }
}

#[tokio::test]
async fn whatever_command_of_joining_gets_lost_the_next_apply_puts_every_guest_in() {
    let goal = members();
    let mut bare: Value = serde_json::from_str(&inventory(&[usual(false), usual(true)])).unwrap();
    bare["guests"]["g0"]["access"] = json!([{ "from": "tag:phone", "to": ["ssh"] }]);
    let before = blueprint(&bare.to_string()).unwrap();
    let mut tried = 0;
    for effect in [CommandEffect::LostBefore, CommandEffect::LostAfter] {
        let (mut nth, mut commands) = (0, 1);
        while nth < commands {
            nth += 1;
            let net = Net::new().await;
            assert_eq!(net.rig.apply(&before).await.ended, Ended::Done);
            let plan = net.plan(&goal).await;
            // A file is three commands.
            let count = |op: &Op| match op {
                Op::PutFile { .. } => 3,
                Op::Exec { .. } | Op::Await { condition: Condition::Output { .. }, .. } => 1,
                _ => 0,
            };
            commands = plan.steps.iter().flat_map(|step| &step.ops).map(count).sum();
            net.rig.faults(vec![Fault::Command { line: "*".into(), nth, effect }]);
            let run = net.rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
            net.rig.faults(Vec::new());
            net.settle(&goal, &format!("command {nth}, {effect:?}, {:?}: {:?}", run.ended, run.failures)).await;
            tried += 1;
        }
    }
    println!("{tried} lost commands");
    assert!(tried >= 40, "{tried}");
}
