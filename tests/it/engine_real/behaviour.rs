//! What a deploy relies on, tried on a real engine: networks lead only where they should, an image that never gets healthy
//! fails in the time that it is given, the old files bring the old state back, and neighbours do not notice.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ground::{Ground, Guest, ground};
use super::images::family;
use super::projects::{compose, deliver, hurried, impatient, networks, offer_of};
use crate::stack_real;

const GOOD: &str = "ghcr.io/berriai/litellm:v1.83.14-stable";
const BAD: &str = "ghcr.io/berriai/litellm:v9.9.9-stable";
const LINES: [&[&str]; 2] =
    [&["pull", "--quiet"], &["up", "--detach", "--wait", "--wait-timeout", "60", "--remove-orphans"]];

fn run(guest: &Guest, service: &str, words: &[&str]) -> Result<String, String> {
    let line = compose(service, words);
    guest.text(line.iter().map(String::as_str))
}

fn up(guest: &Guest, service: &str) -> Result<(), String> {
    LINES.iter().try_for_each(|words| run(guest, service, words).map(drop))
}

/// Container of each service by its id, and the image that it runs.
fn running(guest: &Guest) -> BTreeMap<String, (String, String)> {
    let text = guest.text(["sh", "-c", "docker ps -aq --no-trunc | xargs docker inspect"]).unwrap();
    let listed: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let each = listed.as_array().unwrap().iter();
    each.map(|own| {
        let service = text(&own["Config"]["Labels"]["com.docker.compose.service"]);
        (service, (text(&own["Id"]), text(&own["Config"]["Image"])))
    })
    .collect()
}

/// A guest with a gateway, a database and a store of vectors, at an address of its own.
fn started(ground: &Ground) -> Guest {
    let text = stack_real::EVERYTHING.replace("10.0.0.14", "10.0.0.34");
    let stacks = stack_real::stacks(&stack_real::written(&text));
    let guest = ground.guest("rolled", "10.0.0.34", None);
    for service in ["redis", "qdrant", "litellm"] {
        let files = &stacks[&("gate".to_owned(), service.to_owned())];
        let text = files.iter().find(|file| file.path == "compose.yaml").unwrap().content.shown();
        offer_of(ground, &text);
        deliver(&guest, service, files, if service == "litellm" { impatient } else { hurried });
        networks(&guest, &text);
        up(&guest, service).unwrap();
    }
    guest
}

#[test]
fn what_a_deploy_relies_on_holds_on_a_real_engine() {
    let Some(ground) = ground() else { return };
    let guest = started(ground);
    // Who uses redis meets it; who does not, does not, and neither gets out of an internal network.
    let asks = |from: &str, url: &str| {
        let line = ["exec", "-T", from, "wget", "-q", "-T", "3", "-O", "-", url];
        run(&guest, from, &line)
    };
    let meets = |from: &str, peer: &str| run(&guest, from, &["exec", "-T", from, "nslookup", peer]).is_ok();
    assert!(meets("litellm", "redis"), "the gateway counts in redis");
    assert!(!meets("qdrant", "redis") && !meets("qdrant", "litellm"), "strangers meet");
    assert!(asks("litellm", "http://10.0.0.1:5000/v2/").is_ok(), "what fetches from outside gets out");
    assert!(asks("redis", "http://10.0.0.1:5000/v2/").is_err(), "a database needs nobody outside");
    // Published where a flow leads to it, and nowhere else.
    let from_outside = |url: &str| guest.text(["curl", "--fail", "--silent", "--max-time", "3", url]).is_ok();
    assert!(from_outside("http://10.0.0.34:4000/health/liveliness"));
    assert!(!from_outside("http://127.0.0.1:4000/health/liveliness"), "bound to every address");
    assert!(!from_outside("http://10.0.0.34:6379/"), "nobody outside uses redis");

    let before = running(&guest);
    let replace = |from: &str, to: &str| {
        let script = format!("s#{from}#{to}#");
        guest.text(["sed", "-i", &script, "/opt/stacks/litellm/compose.yaml"]).unwrap();
    };
    // A tag that there is not: nothing is touched.
    replace(GOOD, "ghcr.io/berriai/litellm:v0.0.0-none");
    let said = up(&guest, "litellm").unwrap_err();
    assert!(said.contains("manifest unknown") || said.contains("not found"), "{said}");
    assert_eq!(running(&guest), before);
    replace("ghcr.io/berriai/litellm:v0.0.0-none", GOOD);
    // One that starts and is never well: said in time, by its exit code.
    ground.registry.offer(BAD, &family(BAD).unwrap(), &[("STAND_IN_BAD", "1")]);
    replace(GOOD, BAD);
    let said = up(&guest, "litellm").unwrap_err();
    assert!(said.contains("is unhealthy"), "{said}");
    let sick = running(&guest);
    assert_eq!(sick["litellm"].1, BAD);
    let state = run(&guest, "litellm", &["ps", "--all", "--format", "json"]).unwrap();
    let first: Value = serde_json::from_str(state.lines().next().unwrap()).unwrap();
    assert_eq!((first["Health"].as_str(), first["State"].as_str()), (Some("unhealthy"), Some("running")), "{state}");
    // The old files bring the old version back, though the new one runs.
    replace(BAD, GOOD);
    up(&guest, "litellm").unwrap();
    let after = running(&guest);
    assert_eq!(after["litellm"].1, GOOD);
    for neighbour in ["redis", "qdrant"] {
        assert_eq!(before[neighbour], after[neighbour], "{neighbour} was recreated");
    }
    // A second time changes nothing.
    up(&guest, "litellm").unwrap();
    assert_eq!(running(&guest), after);
    let logs = run(&guest, "litellm", &["logs", "--no-color", "--tail", "5"]).unwrap();
    assert!(logs.contains("litellm:v1.83.14-stable serves"), "{logs}");
    // Taken away, what it kept stays.
    run(&guest, "redis", &["down"]).unwrap();
    assert!(guest.text(["docker", "volume", "ls", "--format", "{{.Name}}"]).unwrap().contains("redis_data"));
}
