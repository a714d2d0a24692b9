//! Names in an OPNsense: our client against the lab's over TLS, every place where a run can be cut off, and the program.
//!
//! What the lab's OPNsense takes and refuses is that of opnsense/core; no real one was at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base64::Engine as _;
use infra::adapters::{OpnSenseApi, OpnSenseTarget, Trust};
use infra::blueprint::Blueprint;
use infra::lab::opnsense::api::{Answer, Call};
use infra::lab::opnsense::{Alias, OpnSense, ServedOpnSense};
use infra::model::Kind;
use infra::model::observed::{Fact, Observed};
use infra::model::opnsense::Override;
use infra::model::step::{Op, Step, Undo};
use infra::opnsense::requests;
use infra::ports::{Api, Response};
use infra::resources::{self, Allowed, Context, Finding, Part};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::desk::{Desk, Served};

fn basic(key: &str, secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{key}:{secret}")))
}

fn ask(router: &mut OpnSense, method: &str, path: &str, body: &str) -> Answer {
    let authorization = basic(&router.key, &router.secret);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = format!("/api/unbound/{path}");
    router.answer(&Call {
        method,
        path: &path,
        query,
        authorization: Some(&authorization),
        content_type: (method == "POST").then_some("application/json"),
        body: body.as_bytes(),
    })
}

#[test]
fn the_lab_takes_and_refuses_what_the_real_one_does() {
    let mut lab = OpnSense::new();
    let host = |fields: Value| json!({ "host": fields }).to_string();
    let nas =
        host(json!({ "hostname": "nas", "domain": "example.com", "server": "10.2.0.5", "description": "by hand" }));
    let made = ask(&mut lab, "POST", "settings/addHostOverride", &nas);
    assert_eq!(made.body["result"], "saved");
    let uuid = made.body["uuid"].as_str().unwrap().to_owned();

    // A list shows words by their description, and says nothing as `null`.
    let list = ask(&mut lab, "GET", "settings/searchHostOverride?current=1&rowCount=-1", "").body;
    assert_eq!((&list["total"], &list["rows"][0]["rr"]), (&json!(1), &json!("A (IPv4 address)")));
    assert_eq!((&list["rows"][0]["enabled"], &list["rows"][0]["mx"]), (&json!("1"), &Value::Null));

    // What is wrong is said by field, and the status is 200 all the same.
    let wrong = host(
        json!({ "hostname": "10.0.0.1", "domain": "exa_mple.com", "rr": "CNAME", "server": "nas", "description": "x".repeat(256) }),
    );
    let refused = ask(&mut lab, "POST", "settings/addHostOverride", &wrong);
    assert_eq!((refused.status, &refused.body["result"]), (200, &json!("failed")));
    let fields: Vec<&String> = refused.body["validations"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["host.description", "host.domain", "host.hostname", "host.rr", "host.server"]);
    let empty = ask(&mut lab, "POST", "settings/addHostOverride", &host(json!({ "domain": "example.com" })));
    assert_eq!(empty.body["validations"]["host.server"], "The field IP address is required.");

    // `set` makes what is not there, under an id of the fourth version only; fields that are not given stay.
    let fresh = "00000000-0000-4000-8000-000000000001";
    assert_eq!(ask(&mut lab, "POST", &format!("settings/setHostOverride/{fresh}"), &nas).body["result"], "saved");
    let other = "00000000-0000-1000-8000-000000000001";
    assert_eq!(
        ask(&mut lab, "POST", &format!("settings/setHostOverride/{other}"), &nas).body,
        json!({"result": "failed"})
    );
    let moved = host(json!({ "server": "10.2.0.6" }));
    ask(&mut lab, "POST", &format!("settings/setHostOverride/{uuid}"), &moved);
    assert_eq!((lab.hosts[&uuid].server.as_str(), lab.hosts[&uuid].hostname.as_str()), ("10.2.0.6", "nas"));

    // Nothing is answered before Unbound was restarted, and what is removed takes its aliases along.
    assert!(lab.answers.is_empty());
    let alias = Alias { enabled: "1".into(), host: uuid.clone(), hostname: "files".into(), ..Alias::default() };
    lab.aliases.insert("a".into(), alias);
    assert_eq!(ask(&mut lab, "POST", "service/reconfigure", "{}").body, json!({"status": "ok"}));
    assert_eq!(lab.answers["files.example.com"], ["10.2.0.6"]);
    let gone = |lab: &mut OpnSense| ask(lab, "POST", &format!("settings/delHostOverride/{uuid}"), "{}").body;
    assert_eq!((gone(&mut lab), gone(&mut lab)), (json!({"result": "deleted"}), json!({"result": "not found"})));
    assert!(lab.aliases.is_empty());

    // A read changes nothing, and an empty body is no JSON.
    assert_eq!(ask(&mut lab, "GET", "service/reconfigure", "").body, json!({"status": "failed"}));
    assert_eq!(ask(&mut lab, "POST", "service/reconfigure", "").status, 400);
    assert_eq!(ask(&mut lab, "GET", "nothing/here", "").status, 404);
    let (stranger, secret) = (lab.stranger.clone(), lab.secret.clone());
    let mut with = |header: Option<String>| {
        let path = "/api/unbound/settings/searchHostOverride";
        lab.answer(&Call { method: "GET", path, authorization: header.as_deref(), ..Call::default() }).status
    };
    assert_eq!(with(None), 401);
    assert_eq!(with(Some(basic("somebody", &secret))), 401);
    assert_eq!(with(Some(basic(&stranger, "wrong"))), 401);
    assert_eq!(with(Some(basic(&stranger, &secret))), 403);
}

async fn served() -> ServedOpnSense {
    ServedOpnSense::start(None, IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap()
}

fn client_with(lab: &ServedOpnSense, key: &str, secret: &str) -> OpnSenseApi {
    let (key, secret) = (SecretString::from(key.to_owned()), SecretString::from(secret.to_owned()));
    let trust = Some(Trust::Pinned(lab.fingerprint));
    OpnSenseApi::new(OpnSenseTarget { url: lab.url.clone(), trust, key, secret }).unwrap()
}

fn client(lab: &ServedOpnSense) -> OpnSenseApi {
    let state = lab.state();
    client_with(lab, &state.key, &state.secret)
}

fn data(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}", response.reason);
    serde_json::from_slice::<Value>(&response.body).unwrap()["data"].clone()
}

fn record(uuid: &str, address: &str) -> Override {
    Override {
        uuid: uuid.to_owned(),
        enabled: true,
        hostname: "nas".into(),
        domain: "example.com".into(),
        kind: "A".into(),
        address: address.to_owned(),
        description: "ours".into(),
    }
}

#[tokio::test]
async fn our_client_writes_twice_without_harm_and_tells_refusals_field_by_field() {
    let lab = served().await;
    let api = client(&lab);
    let own = record("00000000-0000-4000-8000-000000000001", "10.2.0.5");
    for _ in 0..2 {
        data(&api.send(&requests::set(&own)).await.unwrap());
    }
    let rows = data(&api.send(&requests::overrides()).await.unwrap());
    let read: Vec<Override> = serde_json::from_value(rows.clone()).unwrap();
    assert_eq!(read, std::slice::from_ref(&own));
    assert_eq!(rows[0]["line"], requests::line(&own));
    data(&api.send(&requests::reconfigure()).await.unwrap());
    assert_eq!(lab.state().answers["nas.example.com"], ["10.2.0.5"]);
    let refused = api.send(&requests::set(&record(&own.uuid, "nas"))).await.unwrap();
    assert_eq!(refused.status, 400);
    assert!(refused.reason.contains("host.server: Please specify a valid network segment"), "{}", refused.reason);
    let refused = api.send(&requests::set(&record("no-id", "10.2.0.5"))).await.unwrap();
    assert!(refused.status == 400 && refused.reason.contains("no new override"), "{}", refused.reason);
    for _ in 0..2 {
        data(&api.send(&requests::remove(&own.uuid)).await.unwrap());
    }
    assert!(lab.state().hosts.is_empty());
    lab.change(|state| {
        state
            .aliases
            .insert("a".into(), Alias { enabled: "1".into(), domain: "example.com".into(), ..Alias::default() });
    })
    .unwrap();
    assert_eq!(data(&api.send(&requests::aliases()).await.unwrap())[0]["domain"], "example.com");
    lab.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_said_and_no_part_of_it() {
    let lab = served().await;
    let state = lab.state();
    let wrong = client_with(&lab, "canary-key", "canary-secret");
    let refused = wrong.send(&requests::overrides()).await.unwrap();
    assert_eq!(refused.status, 401);
    assert!(refused.reason.contains("Authentication Failed") && !format!("{refused:?} {wrong:?}").contains("canary"));
    let stranger = client_with(&lab, &state.stranger, &state.secret).send(&requests::overrides()).await.unwrap();
    assert_eq!(stranger.status, 403);
    assert!(stranger.reason.contains("`Services: Unbound (MVC)`"), "{}", stranger.reason);
    for trust in [Some(Trust::Pinned(infra::model::Fingerprint::new([7; 32]))), None] {
        let (key, secret) = ("canary-key".to_owned().into(), "canary-secret".to_owned().into());
        let api = OpnSenseApi::new(OpnSenseTarget { url: lab.url.clone(), trust, key, secret }).unwrap();
        let error = api.send(&requests::overrides()).await.unwrap_err();
        assert!(matches!(error, infra::ports::TransportError::Refused { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    lab.stop().await;
    let gone = wrong.send(&requests::overrides()).await.unwrap_err();
    assert!(!format!("{gone} {gone:?}").contains("canary"), "{gone}");
}

fn blueprint(records: &str) -> Blueprint {
    let zone = format!(
        "dns:\n  opnsense: {{ url: \"https://10.0.0.1\", key: secret:a, secret: secret:b }}\n  zones: {{ example.com: {{ guests: false, records: {{ {records} }} }} }}\n"
    );
    crate::rig::blueprint(&format!("{INVENTORY}{zone}")).unwrap()
}

const INVENTORY: &str = "
schema: 1
name: test
hosts:
  hq:
    address: 192.168.10.2
    api: { token_id: infra@pve!laptop, token: secret:hq-token, ca_file: ca.pem }
    ssh: { user: root }
    storage: { guests: local-zfs, files: local, datasets: rpool/containers }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
";

/// What is planned for the names of a blueprint; `None` if there is nothing to do.
async fn planned(api: &OpnSenseApi, blueprint: &Blueprint) -> Option<Step> {
    match found(api, blueprint).await {
        Finding::Changed(changed) => Some(changed.steps.into_iter().next().unwrap()),
        Finding::Unchanged { .. } => None,
        other => panic!("{other:?}"),
    }
}

async fn found(api: &OpnSenseApi, blueprint: &Blueprint) -> Finding {
    let mut observed = Observed::default();
    let rows = data(&api.send(&requests::overrides()).await.unwrap());
    observed.opnsense.overrides = Fact::complete(serde_json::from_value(rows).unwrap());
    let rows = data(&api.send(&requests::aliases()).await.unwrap());
    observed.opnsense.aliases = Fact::complete(serde_json::from_value(rows).unwrap());
    let (memory, allowed, unfinished) = (BTreeMap::new(), Allowed::default(), BTreeSet::new());
    let context = Context {
        blueprint,
        observed: &observed,
        memory: &memory,
        allowed: &allowed,
        unfinished: &unfinished,
        together: true,
        part: Part::Guests,
    };
    let all = resources::of(Part::Guests, blueprint);
    let names = all.iter().find(|resource| resource.addr().kind == Kind::DnsRecords).unwrap();
    names.find(&context)
}

async fn carry_out(api: &OpnSenseApi, ops: &[Op]) {
    for op in ops {
        if let Op::Call { request, .. } = op {
            data(&api.send(request).await.unwrap());
        }
    }
}

const BEFORE: &str = "nas: 10.2.0.5, old: 10.2.0.6, older: 10.2.0.7, stays: 10.2.0.8";
const AFTER: &str = "nas: 10.2.0.9, new: \"fd00::5\", \"*.apps\": nas, \"@\": 10.2.0.1, stays: 10.2.0.8";

/// A router that has the first state, somebody's own override, and nothing waiting.
async fn begun() -> (ServedOpnSense, OpnSenseApi) {
    let lab = served().await;
    lab.change(|state| {
        state.add("printer", "example.com", "10.2.0.99", "by hand");
    })
    .unwrap();
    let api = client(&lab);
    carry_out(&api, &planned(&api, &blueprint(BEFORE)).await.unwrap().ops).await;
    assert!(planned(&api, &blueprint(BEFORE)).await.is_none());
    (lab, api)
}

fn answers(lab: &ServedOpnSense) -> Vec<String> {
    lab.state().answers.iter().map(|(name, to)| format!("{name} {}", to.join(" "))).collect()
}

#[tokio::test]
async fn wherever_a_run_is_cut_off_the_next_plan_sees_it_and_unbound_answers_as_declared() {
    let wanted = [
        "*.apps.example.com 10.2.0.9",
        "example.com 10.2.0.1",
        "nas.example.com 10.2.0.9",
        "new.example.com fd00::5",
        "printer.example.com 10.2.0.99",
        "stays.example.com 10.2.0.8",
    ];
    let (lab, api) = begun().await;
    let whole = planned(&api, &blueprint(AFTER)).await.unwrap().ops;
    let restarts =
        whole.iter().filter(|op| matches!(op, Op::Call { request, .. } if request.path.ends_with("reconfigure")));
    assert_eq!(restarts.count(), 1, "Unbound is restarted once");
    lab.stop().await;
    let calls = whole.iter().filter(|op| matches!(op, Op::Call { .. })).count();
    assert_eq!(
        calls, 10,
        "four are written, two switched off and removed, one written again, and one restart: {whole:#?}"
    );
    for cut in 0..whole.len() {
        let (lab, api) = begun().await;
        let ops = planned(&api, &blueprint(AFTER)).await.unwrap().ops;
        carry_out(&api, &ops[..cut]).await;
        if let Some(step) = planned(&api, &blueprint(AFTER)).await {
            carry_out(&api, &step.ops).await;
        } else {
            assert_eq!(cut, calls, "something is left to do until the last call");
        }
        assert_eq!(answers(&lab), wanted, "cut off after {cut}");
        assert!(planned(&api, &blueprint(AFTER)).await.is_none(), "cut off after {cut}");
        let left = lab.state().hosts.len();
        assert_eq!(left, wanted.len(), "nothing is left over: {:?}", lab.state().hosts);
        lab.stop().await;
    }
}

#[tokio::test]
async fn what_was_written_is_taken_back_to_the_letter() {
    for cut in [usize::MAX, 3, 6] {
        let (lab, api) = begun().await;
        let (hosts, before) = (lab.state().hosts, answers(&lab));
        let step = planned(&api, &blueprint(AFTER)).await.unwrap();
        carry_out(&api, &step.ops[..cut.min(step.ops.len())]).await;
        let Undo::Ops { ops } = &step.undo else { panic!("{:?}", step.undo) };
        carry_out(&api, ops).await;
        assert_eq!((lab.state().hosts, answers(&lab)), (hosts, before));
        lab.stop().await;
    }
}

#[tokio::test]
async fn overrides_of_others_are_refused_or_left_alone() {
    let (lab, api) = begun().await;
    let refused = |finding: Finding| match finding {
        Finding::Refused(problems) => format!("{:?}", problems.into_iter().collect::<Vec<_>>()),
        other => panic!("{other:?}"),
    };
    let printer = || blueprint("printer: 10.2.0.50");
    let said = refused(found(&api, &printer()).await);
    assert!(said.contains("printer.example.com A 10.2.0.99") && said.contains("by hand"), "{said}");
    assert!(said.contains("here: A 10.2.0.50"), "{said}");
    // One that is switched off answers for nothing.
    lab.change(|state| {
        state.hosts.values_mut().filter(|host| host.hostname == "printer").for_each(|host| host.enabled = "0".into())
    })
    .unwrap();
    carry_out(&api, &planned(&api, &printer()).await.unwrap().ops).await;
    assert_eq!(answers(&lab), ["printer.example.com 10.2.0.50"]);
    assert_eq!(lab.state().hosts.len(), 2, "theirs is still there");
    // Somebody's alias of ours would go with it.
    lab.change(|state| {
        let ours = state.hosts.iter().find(|(_, host)| host.server == "10.2.0.50").unwrap().0.clone();
        state.aliases.insert(
            "x".into(),
            Alias {
                enabled: "1".into(),
                host: ours,
                hostname: "lp".into(),
                domain: "example.com".into(),
                ..Alias::default()
            },
        );
    })
    .unwrap();
    let said = refused(found(&api, &blueprint("nas: 10.2.0.5")).await);
    assert!(said.contains("lp.example.com") && said.contains("removes the aliases"), "{said}");
    let said = refused(found(&api, &blueprint("printer: 10.2.0.50, lp: 10.2.0.51")).await);
    assert!(said.contains("an alias of printer.example.com"), "{said}");
    lab.stop().await;
}

#[tokio::test]
async fn what_somebody_did_to_ours_is_seen_and_mended() {
    let (lab, api) = begun().await;
    let before = answers(&lab);
    lab.change(|state| {
        let copy = state.hosts.values().find(|host| host.hostname == "nas").unwrap().clone();
        for host in state.hosts.values_mut() {
            match host.hostname.as_str() {
                "nas" => host.server = "10.6.6.6".into(),
                "old" => host.enabled = "0".into(),
                "older" => host.description = "mine now".into(),
                _ => {}
            }
        }
        // The button that copies an override copies our mark as well.
        state.hosts.insert("copied".into(), copy);
    })
    .unwrap();
    let Finding::Changed(changed) = found(&api, &blueprint(BEFORE)).await else { panic!("nothing is seen") };
    let fields: Vec<&str> = changed.change.fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(
        fields,
        ["nas.example.com A", "nas.example.com A again", "old.example.com A", "older.example.com A"],
        "{fields:?}"
    );
    carry_out(&api, &changed.steps[0].ops).await;
    assert_eq!(answers(&lab), before);
    assert!(planned(&api, &blueprint(BEFORE)).await.is_none());
    assert_eq!(lab.state().hosts.len(), 5);
    lab.stop().await;
}

const TARGET: &str = "dns_records.vrooli";

/// A desk whose inventory keeps a zone in an OPNsense.
fn desk() -> Desk {
    let desk = Desk::new();
    std::fs::write(
        desk.path("inventories/vrooli/names.yaml"),
        "dns:\n  opnsense: { url: \"https://10.0.0.1\", key: secret:router-key, secret: secret:router-secret, fingerprint: \"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\" }\n  zones:\n    lab.example.net: { records: { nas: 10.2.0.5, files: nas } }\n",
    )
    .unwrap();
    desk
}

const KEPT: &str = ".infra/lab/vrooli/opnsense.json";

fn kept(desk: &Desk, file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(desk.path(file)).expect("the lab keeps its OPNsense")).expect("JSON")
}

fn keep(desk: &Desk, all: &Value) {
    std::fs::write(desk.path(KEPT), all.to_string()).unwrap();
}

#[test]
fn plan_apply_drift_and_a_foreign_override() {
    let desk = desk();
    let plan = desk.run(2, &["plan", "--lab", "--detailed-exitcode", "--target", TARGET, "--full"]);
    assert!(plan.contains("+ create   dns_records.vrooli"), "{plan}");
    assert!(plan.contains("plan-hq.lab.example.net A") && plan.contains("files.lab.example.net A"), "{plan}");
    desk.run(0, &["apply", "--lab", "--yes", "--target", TARGET]);
    let there = kept(&desk, KEPT);
    assert_eq!(there["opnsense"]["answers"]["files.lab.example.net"], json!(["10.2.0.5"]));
    assert_eq!(there["opnsense"]["restarts"], 1);
    assert!(desk.run(0, &["plan", "--lab", "--detailed-exitcode", "--target", TARGET]).starts_with("No changes."));

    let mut drifted = there.clone();
    let hosts = drifted["opnsense"]["hosts"].as_object_mut().unwrap();
    hosts.values_mut().find(|host| host["hostname"] == "nas").unwrap()["server"] = json!("10.6.6.6");
    keep(&desk, &drifted);
    let plan = desk.run(2, &["plan", "--lab", "--detailed-exitcode", "--target", TARGET]);
    assert!(plan.contains("nas.lab.example.net A changed behind our back"), "{plan}");
    desk.run(0, &["apply", "--lab", "--yes", "--target", TARGET]);
    assert_eq!(kept(&desk, KEPT)["opnsense"]["hosts"], there["opnsense"]["hosts"]);

    // A rehearsal does it on a twin first.
    desk.edit("inventories/vrooli/names.yaml", "10.2.0.5", "10.2.0.7");
    desk.run(0, &["apply", "--lab", "--rehearse", "--yes", "--target", TARGET]);
    assert_eq!(kept(&desk, KEPT)["opnsense"]["answers"]["files.lab.example.net"], json!(["10.2.0.7"]));
    desk.edit("inventories/vrooli/names.yaml", "10.2.0.7", "10.2.0.8");

    let mut foreign = kept(&desk, KEPT);
    foreign["opnsense"]["hosts"]["11111111-1111-4111-8111-111111111111"] = json!({
        "enabled": "1", "hostname": "nas", "domain": "lab.example.net", "rr": "A", "mxprio": "", "mx": "",
        "server": "10.2.0.77", "description": "since 2019",
    });
    keep(&desk, &foreign);
    let output = desk.command(&["apply", "--lab", "--yes", "--target", TARGET]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("10.2.0.77") && said.contains("since 2019") && said.contains("10.2.0.8"), "{said}");
    assert_eq!(kept(&desk, KEPT)["opnsense"]["hosts"], foreign["opnsense"]["hosts"]);
}

#[test]
fn killed_at_any_moment_and_applied_again() {
    let desk = desk();
    let served = Served::start(&desk, &["-i", "inventories/vrooli", "--state-dir", "host"]);
    let reach = ["-i", "inventories/vrooli", "-i", served.inventory(), "--target", TARGET];
    let with = |verb: &[&'static str]| [verb, &reach[..]].concat();
    let mut cut = 0;
    for round in 0..8_u64 {
        let address = format!("10.2.1.{round}");
        desk.rewrite_names(&address);
        let mut child = desk.command(&with(&["apply", "--yes"])).spawn().expect("the program starts");
        std::thread::sleep(Duration::from_millis(60 + 45 * round));
        cut += u32::from(child.try_wait().expect("a child").is_none());
        let _ = child.kill();
        let _ = child.wait();
        desk.run(0, &with(&["apply", "--yes"]));
        let there = kept(&desk, "host/lab/vrooli/opnsense.json");
        assert_eq!(there["opnsense"]["answers"]["nas.lab.example.net"], json!([address]));
        assert!(!there.to_string().contains("not in force yet"), "{there}");
        assert!(desk.run(0, &with(&["plan", "--detailed-exitcode"])).starts_with("No changes."));
    }
    assert!(cut > 0, "nothing was killed in time");
    // Whatever was said and kept on our side, no part of the key is in it.
    let there = kept(&desk, "host/lab/vrooli/opnsense.json");
    for part in ["key", "secret"] {
        let part = there["opnsense"][part].as_str().unwrap();
        for file in walk(&desk.path(".infra")) {
            let text = std::fs::read(&file).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(part), "{}", file.display());
        }
        let output = desk.command(&with(&["-vv", "plan", "--output", "json", "--full"])).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(part) && !said.contains(&basic("", "")[6..]), "a part of the key is said");
    }
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

trait Names {
    fn rewrite_names(&self, address: &str);
}

impl Names for Desk {
    fn rewrite_names(&self, address: &str) {
        let file = self.path("inventories/vrooli/names.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (head, rest) = text.split_once("nas: ").unwrap();
        let (_, tail) = rest.split_once(',').unwrap();
        std::fs::write(file, format!("{head}nas: {address},{tail}")).unwrap();
    }
}
