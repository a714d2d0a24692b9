//! Every rendered project is pulled, started and gets healthy, and its networks lead where they should.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use infra::blueprint::{Blueprint, Deployment};
use infra::render::StackFile;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::ground::{Ground, Guest, ground};
use super::images::{Family, family};
use crate::held::{ENGINE, held};
use crate::stack_real;

/// What no stand-in of ours can be, and why.
pub const LEFT_OUT: [(&str, &str); 2] = [
    ("comfyui", "starts a script that installs packages with the image's own Python"),
    ("harbor", "makes its keys with the image's own OpenSSL"),
];

/// Health is asked for at once and every second until there is any, and hardly afterwards: what is healthy costs nothing
/// more. Only engines from 25 on know the difference (`start_interval`), so this is not what is rendered.
pub fn hurried(compose: &str) -> String {
    changed(compose, |key| match key {
        "interval" => Some("60s"),
        "start_period" => Some("100s\n      start_interval: 1s"),
        _ => None,
    })
}

/// Health is asked for every second, and what is not well three times is unhealthy.
pub fn impatient(compose: &str) -> String {
    changed(compose, |key| match key {
        "interval" => Some("1s"),
        "start_period" => Some("3s"),
        "retries" => Some("3"),
        _ => None,
    })
}

/// A machine that may open fewer files than a service asks for cannot give it more, either.
fn changed(compose: &str, value: impl Fn(&str) -> Option<&'static str>) -> String {
    let limit = Command::new("sh").args(["-c", "ulimit -Hn"]).output().unwrap();
    let limit = String::from_utf8_lossy(&limit.stdout).trim().to_owned();
    let compose = match limit.parse::<u32>() {
        Ok(most) if most < 262_144 => compose.replace(": 262144", &format!(": {most}")),
        _ => compose.to_owned(),
    };
    let line = |line: &str| {
        let (key, _) = line.trim_start().split_once(':')?;
        let indent = &line[..line.len() - line.trim_start().len()];
        Some(format!("{indent}{key}: {}", value(key)?.replace("\n      ", &format!("\n{indent}"))))
    };
    compose.lines().map(|own| line(own).unwrap_or_else(|| own.to_owned()) + "\n").collect()
}

/// Puts a stack where it belongs, with modes and owners.
pub fn deliver(guest: &Guest, service: &str, files: &[StackFile], change: impl Fn(&str) -> String) {
    let kept = tempfile::tempdir().unwrap();
    let root = kept.path().join(service);
    for file in files {
        let path = root.join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let filled = file.content.filled(|_| Some(stack_real::secret())).unwrap();
        let text = filled.expose_secret();
        fs::write(&path, if file.path == "compose.yaml" { change(text) } else { text.to_owned() }).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).unwrap();
        chown(&path, Some(file.owner), Some(0)).unwrap();
    }
    let tar =
        Command::new("tar").args(["--numeric-owner", "-cf", "-", "-C"]).arg(kept.path()).arg(service).output().unwrap();
    let output = guest.feed(["sh", "-c", "mkdir -p /opt/stacks && tar -xf - -C /opt/stacks"], &tar.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `docker compose` on a stack.
pub fn compose(service: &str, words: &[&str]) -> Vec<String> {
    let folder = format!("/opt/stacks/{service}");
    let start = ["docker", "compose", "--project-directory", &folder, "--file"].map(str::to_owned);
    let words = words.iter().map(|word| (*word).to_owned());
    start.into_iter().chain([format!("{folder}/compose.yaml")]).chain(words).collect()
}

/// Offers every image that a compose file names, known ones as the table says and others as their own file does.
fn offer(ground: &Ground, blueprint: &Blueprint, deployment: &Deployment, text: &str, unknown: &mut BTreeSet<String>) {
    for line in text.lines() {
        let Some(image) = line.trim_start().strip_prefix("image: ") else { continue };
        let image = image.trim_matches('"');
        if let Some(family) = family(image) {
            ground.registry.offer(image, &family, &[]);
            continue;
        }
        unknown.insert(image.to_owned());
        let service = &blueprint.services[&deployment.service];
        let ports: BTreeSet<u16> = service.ports.values().map(|port| port.inside.first()).collect();
        let listens = ports.iter().map(|port| format!("always:{port}")).collect::<Vec<_>>().join(",");
        let path = service.health.as_ref().and_then(|health| health.path.clone()).unwrap_or_else(|| "/".to_owned());
        let more = [("STAND_IN_LISTENS", listens.as_str()), ("STAND_IN_PATHS", path.as_str())];
        ground.registry.offer(image, &Family::unknown(), &more);
    }
}

/// Offers every image of a compose file that the table knows.
pub fn offer_of(ground: &Ground, compose: &str) {
    let images = compose.lines().filter_map(|line| line.trim_start().strip_prefix("image: "));
    for image in images.map(|image| image.trim_matches('"')) {
        ground.registry.offer(image, &family(image).unwrap(), &[]);
    }
}

/// Services of a guest, each after those of the same guest that it depends on.
fn in_order<'a>(blueprint: &'a Blueprint, deployments: &'a BTreeMap<String, &'a Deployment>) -> Vec<&'a Deployment> {
    let mut done: Vec<&Deployment> = Vec::new();
    while done.len() < deployments.len() {
        let ready = |deployment: &&&Deployment| {
            let recipe = blueprint.services[&deployment.service].recipe.as_ref().unwrap();
            let there =
                |name: &str| name == deployment.service.as_str() || done.iter().any(|own| own.service.as_str() == name);
            !done.iter().any(|own| own.service == deployment.service)
                && recipe.depends_on.keys().all(|name| !deployments.contains_key(name.as_str()) || there(name.as_str()))
        };
        let next = deployments.values().find(ready);
        // Metrics are asked for both ways; whoever is asked has to be there first.
        done.push(next.expect("no circle"));
    }
    done
}

/// Networks between services are there before the projects that join them are.
pub fn networks(guest: &Guest, compose: &str) {
    let names = compose.lines().filter_map(|line| line.trim().strip_prefix("name: \"infra-"));
    for name in names.map(|name| name.trim_end_matches('"')) {
        let label = format!("com.docker.compose.network=infra-{name}");
        let network = format!("infra-{name}");
        if guest.text(["docker", "network", "inspect", &network]).is_err() {
            guest.text(["docker", "network", "create", "--internal", "--label", &label, &network]).unwrap();
        }
    }
}

fn brought_up(ground: &Ground, blueprint: &Blueprint, name: &str) -> (Guest, Vec<String>, BTreeSet<String>) {
    let own = &blueprint.guests[&name.parse().unwrap()];
    let gpu = own.deployments.values().find_map(|deployment| deployment.gpu).map(|maker| maker.as_str());
    let guest = ground.guest(name, &own.interface.address().to_string(), gpu);
    let deployments: BTreeMap<String, &Deployment> =
        own.deployments.values().map(|deployment| (deployment.service.to_string(), deployment)).collect();
    let (mut up, mut unknown) = (Vec::new(), BTreeSet::new());
    for deployment in in_order(blueprint, &deployments) {
        let service = deployment.service.as_str();
        if LEFT_OUT.iter().any(|(name, _)| *name == service) {
            continue;
        }
        let files = infra::render::stack(blueprint, own, deployment).unwrap();
        let text = files.iter().find(|file| file.path == "compose.yaml").unwrap().content.shown();
        offer(ground, blueprint, deployment, &text, &mut unknown);
        deliver(&guest, service, &files, hurried);
        networks(&guest, &text);
        for words in [
            &["config", "--quiet"][..],
            &["pull", "--quiet"],
            &["up", "--detach", "--wait", "--wait-timeout", "100", "--remove-orphans"],
        ] {
            let line = compose(service, words);
            if let Err(said) = guest.text(line.iter().map(String::as_str)) {
                let logs = compose(service, &["logs", "--no-color"]);
                let logs = guest.text(logs.iter().map(String::as_str)).unwrap_or_else(|said| said);
                let seen = guest.text([
                    "sh",
                    "-c",
                    "docker ps -aq | xargs docker inspect --format '{{.Name}} {{json .State}}'",
                ]);
                panic!("{name}/{service}: {words:?}: {said}\n{logs}\n{seen:?}\n{text}");
            }
        }
        up.push(service.to_owned());
    }
    (guest, up, unknown)
}

/// The inventory with every service; where it pins an image to a digest, to the one that the image here has.
pub fn everything(ground: &Ground) -> Blueprint {
    let pinned = "ollama/ollama:0.18.2";
    let digest = ground.registry.offer(pinned, &family(pinned).unwrap(), &[]);
    let old = stack_real::EVERYTHING.lines().find_map(|line| line.trim().strip_prefix(&format!("{pinned}: "))).unwrap();
    stack_real::written(&stack_real::EVERYTHING.replace(old, &digest))
}

#[test]
fn every_project_gets_healthy_on_a_real_engine() {
    let Some(ground) = ground() else { return };
    let blueprint = everything(ground);
    let names: Vec<String> = blueprint
        .guests
        .values()
        .filter(|guest| !guest.deployments.is_empty())
        .map(|guest| guest.name.to_string())
        .collect();
    let start = std::time::Instant::now();
    let all: Vec<(Guest, Vec<String>, BTreeSet<String>)> = std::thread::scope(|scope| {
        let each: Vec<_> = names.iter().map(|name| scope.spawn(|| brought_up(ground, &blueprint, name))).collect();
        each.into_iter().map(|own| own.join().unwrap()).collect()
    });
    let (count, mut unknown) = (all.iter().map(|(_, up, _)| up.len()).sum::<usize>(), BTreeSet::new());
    for ((guest, up, own), name) in all.iter().zip(&names) {
        unknown.extend(own.clone());
        let listed = guest.text(["sh", "-c", "docker ps -aq | xargs docker inspect"]).unwrap();
        let listed: Value = serde_json::from_str(&listed).unwrap();
        for container in listed.as_array().unwrap() {
            let labels = &container["Config"]["Labels"];
            let service = labels["com.docker.compose.service"].as_str().unwrap();
            let health = &container["State"]["Health"]["Status"];
            assert!(health.is_null() || health == "healthy", "{name}/{service}: {health}");
            assert_eq!(container["State"]["Running"], true, "{name}/{service}");
            assert_eq!(container["RestartCount"], 0, "{name}/{service} was started anew");
            assert!(container["HostConfig"]["Memory"].as_i64().unwrap() > 0, "{name}/{service} has no limit");
            assert_eq!(container["HostConfig"]["LogConfig"]["Config"]["max-size"], "10m", "{name}/{service}");
            assert!(labels["infra.service"].is_string(), "{name}/{service} is not known as ours");
        }
        let projects: Value =
            serde_json::from_str(&guest.text(["docker", "compose", "ls", "--all", "--format", "json"]).unwrap())
                .unwrap();
        let running: BTreeSet<&str> =
            projects.as_array().unwrap().iter().filter_map(|own| own["Name"].as_str()).collect();
        assert_eq!(running, up.iter().map(String::as_str).collect(), "{name}");
        up.iter().for_each(|service| held(service, ENGINE));
    }
    println!(
        "{count} projects on a real engine, {:.0} s; not in the table: {unknown:?}",
        start.elapsed().as_secs_f64()
    );
    assert!(count > 25, "only {count}");
}
