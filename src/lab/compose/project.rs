//! A compose file as the containers that it asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::values::{bytes, duration, pairs, text, words};
use super::{environment, yaml};
use crate::lab::world::{Container, Guest, HealthCheck, Mount, Published};

/// Keys that a service may have, as far as the compose specification has them and the lab knows of them.
const KEYS: [&str; 46] = [
    "annotations",
    "cap_add",
    "cap_drop",
    "command",
    "configs",
    "container_name",
    "cpus",
    "depends_on",
    "deploy",
    "devices",
    "dns",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extra_hosts",
    "gpus",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "labels",
    "logging",
    "mem_limit",
    "mem_reservation",
    "network_mode",
    "networks",
    "pid",
    "pids_limit",
    "ports",
    "privileged",
    "profiles",
    "pull_policy",
    "read_only",
    "restart",
    "runtime",
    "secrets",
    "security_opt",
    "shm_size",
    "stop_grace_period",
    "sysctls",
    "tmpfs",
    "ulimits",
    "user",
];
const MORE_KEYS: [&str; 4] = ["stop_signal", "tty", "volumes", "working_dir"];

/// A project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: String,
    /// The file that it was read from.
    pub file: String,
    /// What it asks for, by service: containers that were never made. Networks are by their real names.
    pub services: BTreeMap<String, Container>,
    /// Networks by real name: whether each leads nowhere, and whether somebody else makes it.
    pub networks: BTreeMap<String, (bool, bool)>,
    /// Volumes by real name: whether somebody else makes it.
    pub volumes: BTreeMap<String, bool>,
    /// What was warned of.
    pub warnings: Vec<String>,
}

/// Why a project cannot be read: what compose prints, and its exit code.
pub type Unreadable = (String, i32);

/// Reads a project of a guest.
///
/// # Errors
/// What compose prints: 14 where a file is missing, 15 where it is wrong.
pub fn read(guest: &Guest, directory: &str, file: &str) -> Result<Project, Unreadable> {
    let Some(content) = guest.text(file) else {
        return Err((format!("open {file}: no such file or directory"), 14));
    };
    let wrong = |why: String| (why, 15);
    let mut root = yaml::parse(&content).map_err(wrong)?;
    let mut unset = Vec::new();
    let variables = match guest.text(&format!("{directory}/.env")) {
        Some(text) => environment::read(&text).map_err(wrong)?,
        None => BTreeMap::new(),
    };
    environment::interpolate(&mut root, &variables, &mut unset);
    let invalid = |place: &str, why: String| wrong(format!("validating {file}: {place} {why}"));
    let Some(root) = root.as_object() else {
        return Err(wrong(if content.trim().is_empty() {
            "empty compose file".to_owned()
        } else {
            "Top-level object must be a mapping".to_owned()
        }));
    };
    let top = ["name", "services", "networks", "volumes", "secrets", "configs", "version", "include"];
    if let Some(key) = root.keys().find(|key| !top.contains(&key.as_str()) && !key.starts_with("x-")) {
        return Err(invalid("(root)", format!("Additional property {key} is not allowed")));
    }
    let leaf = directory.rsplit('/').next().unwrap_or_default().to_lowercase();
    let name = root.get("name").and_then(text).unwrap_or(leaf);
    let empty = Map::new();
    let section = |key: &str| root.get(key).and_then(Value::as_object).unwrap_or(&empty);
    let (networks, volumes, secrets) = (section("networks"), section("volumes"), section("secrets"));
    let mut project =
        Project { name: name.clone(), directory: directory.to_owned(), file: file.to_owned(), ..Project::default() };
    project.warnings =
        unset.iter().map(|name| format!("The \"{name}\" variable is not set. Defaulting to a blank string.")).collect();
    let external = |value: &Value| value.get("external").is_some_and(|on| on == true);
    let real = |section: &Map<String, Value>, key: &str| {
        let own = section.get(key).unwrap_or(&Value::Null);
        let default = if external(own) { key.to_owned() } else { format!("{name}_{key}") };
        own.get("name").and_then(text).unwrap_or(default)
    };
    let services = section("services");
    if services.is_empty() {
        return Err(wrong("no service selected".to_owned()));
    }
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (service, said) in services {
        let Some(said) = said.as_object() else {
            return Err(invalid(&format!("services.{service}"), "must be a mapping".to_owned()));
        };
        let unknown = |key: &&String| {
            !KEYS.contains(&key.as_str()) && !MORE_KEYS.contains(&key.as_str()) && !key.starts_with("x-")
        };
        if let Some(key) = said.keys().find(unknown) {
            return Err(invalid(&format!("services.{service}"), format!("Additional property {key} is not allowed")));
        }
        let mut container = basic(service, said).map_err(|why| invalid(&format!("services.{service}"), why))?;
        container.project = Some(name.clone());
        container.environment = variables_of(guest, directory, said)?;
        for entry in said.get("volumes").and_then(Value::as_array).into_iter().flatten() {
            let Some(mut mount) = mount(entry, directory) else {
                return Err(invalid(&format!("services.{service}.volumes.0"), "must be a string".to_owned()));
            };
            if mount.kind == "volume" && !mount.source.is_empty() {
                if !volumes.contains_key(&mount.source) {
                    let why = format!(
                        "service \"{service}\" refers to undefined volume {}: invalid compose project",
                        mount.source
                    );
                    return Err(wrong(why));
                }
                let own = real(volumes, &mount.source);
                project.volumes.insert(own.clone(), external(&volumes[&mount.source]));
                mount.source = own;
            }
            container.mounts.push(mount);
        }
        for key in names(said.get("secrets")) {
            let Some(source) = secrets.get(&key).and_then(|secret| secret.get("file")).and_then(text) else {
                return Err(wrong(format!(
                    "service \"{service}\" refers to undefined secret {key}: invalid compose project"
                )));
            };
            container.mounts.push(Mount {
                kind: "bind".to_owned(),
                source: absolute(&source, directory),
                target: format!("/run/secrets/{key}"),
                read_only: true,
            });
        }
        for needed in container.depends_on.keys() {
            if !services.contains_key(needed) {
                return Err(wrong(format!(
                    "service \"{service}\" depends on undefined service \"{needed}\": invalid compose project"
                )));
            }
        }
        match said.get("network_mode").and_then(text) {
            Some(mode) => {
                container.networks.insert(mode, BTreeSet::new());
            }
            None => {
                let mut joined = names(said.get("networks"));
                if joined.is_empty() {
                    joined.push("default".to_owned());
                }
                for key in joined {
                    if key != "default" && !networks.contains_key(&key) {
                        return Err(wrong(format!(
                            "service \"{service}\" refers to undefined network {key}: invalid compose project"
                        )));
                    }
                    let own = real(networks, &key);
                    used.insert(key);
                    container.networks.insert(own, BTreeSet::from([service.clone()]));
                }
            }
        }
        container.labels.insert("com.docker.compose.project".to_owned(), name.clone());
        project.services.insert(service.clone(), container);
    }
    for key in used {
        let own = networks.get(&key).unwrap_or(&Value::Null);
        let internal = own.get("internal").is_some_and(|on| on == true);
        project.networks.insert(real(networks, &key), (internal, external(own)));
    }
    cycle(&project).map_err(wrong)?;
    for (service, container) in &mut project.services {
        let hash = hash(service, container);
        finish(container, service, &hash, directory, file);
    }
    Ok(project)
}

fn cycle(project: &Project) -> Result<(), String> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    loop {
        let next = project.services.iter().find(|(name, container)| {
            !done.contains(name.as_str()) && container.depends_on.keys().all(|needed| done.contains(needed.as_str()))
        });
        match next {
            Some((name, _)) => done.insert(name),
            None if done.len() == project.services.len() => return Ok(()),
            None => return Err("dependency cycle detected".to_owned()),
        };
    }
}

fn hash(service: &str, container: &Container) -> String {
    let text = json!([service, container]).to_string();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn finish(container: &mut Container, service: &str, hash: &str, directory: &str, file: &str) {
    let waits: Vec<String> =
        container.depends_on.iter().map(|(needed, condition)| format!("{needed}:{condition}:false")).collect();
    for (key, value) in [
        ("config-hash", hash),
        ("container-number", "1"),
        ("depends_on", &waits.join(",")),
        ("oneoff", "False"),
        ("project.config_files", file),
        ("project.working_dir", directory),
        ("service", service),
    ] {
        container.labels.insert(format!("com.docker.compose.{key}"), value.to_owned());
    }
}

fn basic(service: &str, said: &Map<String, Value>) -> Result<Container, String> {
    let get = |key: &str| said.get(key).filter(|value| !value.is_null());
    let Some(image) = get("image").and_then(text) else {
        return Err("has neither an image nor a build context specified: invalid compose project".to_owned());
    };
    let size = |key: &str| match get(key) {
        Some(value) => bytes(value).ok_or_else(|| format!("{key} must be a byte size")),
        None => Ok(0),
    };
    let depends_on = match get("depends_on") {
        Some(Value::Object(map)) => map
            .iter()
            .map(|(name, how)| {
                let condition = how.get("condition").and_then(text).unwrap_or_else(|| "service_started".to_owned());
                (name.clone(), condition)
            })
            .collect(),
        other => names(other).into_iter().map(|name| (name, "service_started".to_owned())).collect(),
    };
    let reserved = get("deploy")
        .and_then(|deploy| deploy.pointer("/resources/reservations/devices"))
        .and_then(Value::as_array)
        .is_some_and(|devices| {
            devices.iter().any(|device| names(device.get("capabilities")).iter().any(|name| name == "gpu"))
        });
    let mut ports = Vec::new();
    for entry in get("ports").and_then(Value::as_array).into_iter().flatten() {
        ports.extend(published(entry).ok_or_else(|| format!("ports: invalid port {entry}"))?);
    }
    Ok(Container {
        image,
        service: service.to_owned(),
        entrypoint: get("entrypoint").and_then(words),
        command: get("command").and_then(words),
        ports,
        labels: get("labels")
            .map(pairs)
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect(),
        check: get("healthcheck").map(check).transpose()?.flatten(),
        restart: get("restart").and_then(text).unwrap_or_else(|| "no".to_owned()),
        memory: size("mem_limit")?,
        wants_gpu: reserved || get("gpus").is_some(),
        devices: names(get("devices"))
            .iter()
            .map(|device| device.split(':').next().unwrap_or_default().to_owned())
            .collect(),
        runtime: get("runtime").and_then(text).unwrap_or_default(),
        user: get("user").and_then(text),
        read_only: get("read_only").is_some_and(|on| on == true),
        depends_on,
        ..Container::default()
    })
}

fn variables_of(
    guest: &Guest,
    directory: &str,
    said: &Map<String, Value>,
) -> Result<BTreeMap<String, String>, Unreadable> {
    let mut all = BTreeMap::new();
    for file in names(said.get("env_file")) {
        let path = absolute(&file, directory);
        let Some(text) = guest.text(&path) else {
            return Err((format!("env file {path} not found: stat {path}: no such file or directory"), 14));
        };
        all.extend(environment::read(&text).map_err(|why| (format!("failed to read {path}: {why}"), 15))?);
    }
    for (key, value) in said.get("environment").map(pairs).unwrap_or_default() {
        if let Some(value) = value {
            all.insert(key, value);
        }
    }
    Ok(all)
}

/// Names of a list, of keys, or of one text.
fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| text(item).or_else(|| item.get("source").or_else(|| item.get("path")).and_then(text)))
            .collect(),
        Some(Value::Object(map)) => map.keys().cloned().collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

fn absolute(path: &str, directory: &str) -> String {
    match path.strip_prefix("./") {
        Some(rest) => format!("{directory}/{rest}"),
        None if path.starts_with('/') => path.to_owned(),
        None => format!("{directory}/{path}"),
    }
}

/// A mount, in the short form or the long one.
pub fn mount(entry: &Value, directory: &str) -> Option<Mount> {
    if let Some(map) = entry.as_object() {
        let get = |key: &str| map.get(key).and_then(text).unwrap_or_default();
        let (kind, source) = (get("type"), get("source"));
        let source = if kind == "bind" { absolute(&source, directory) } else { source };
        return Some(Mount {
            kind,
            source,
            target: get("target"),
            read_only: map.get("read_only").is_some_and(|on| on == true),
        });
    }
    let parts: Vec<&str> = entry.as_str()?.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return None,
    };
    let bind = source.starts_with(['/', '.', '~']);
    Some(Mount {
        kind: if bind { "bind" } else { "volume" }.to_owned(),
        source: if bind { absolute(source, directory) } else { source.to_owned() },
        target: target.to_owned(),
        read_only: options.split(',').any(|option| option == "ro"),
    })
}

/// Published ports: `address:here-there:inside/protocol`.
pub fn published(entry: &Value) -> Option<Vec<Published>> {
    if let Some(map) = entry.as_object() {
        let get = |key: &str| map.get(key).and_then(text).unwrap_or_default();
        let (here, inside) = (get("published"), get("target"));
        let protocol =
            Some(get("protocol")).filter(|protocol| !protocol.is_empty()).unwrap_or_else(|| "tcp".to_owned());
        return Some(vec![Published {
            address: get("host_ip"),
            here: here.parse().ok()?,
            inside: inside.parse().ok()?,
            protocol,
        }]);
    }
    let entry = text(entry)?;
    let (ports, protocol) = entry.split_once('/').unwrap_or((&entry, "tcp"));
    let (rest, inside) = ports.rsplit_once(':')?;
    let (address, here) = rest.rsplit_once(':').unwrap_or(("", rest));
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.parse::<u16>().ok()?, last.parse::<u16>().ok()?))
    };
    let ((here, end), (inside, last)) = (range(here)?, range(inside)?);
    if end.checked_sub(here)? != last.checked_sub(inside)? {
        return None;
    }
    let address = address.trim_matches(['[', ']']).to_owned();
    let one = |step: u16| Published {
        address: address.clone(),
        here: here + step,
        inside: inside + step,
        protocol: protocol.to_owned(),
    };
    Some((0..=end - here).map(one).collect())
}

fn check(said: &Value) -> Result<Option<HealthCheck>, String> {
    let test = match said.get("test") {
        Some(Value::String(line)) => vec!["CMD-SHELL".to_owned(), line.clone()],
        other => other.and_then(words).unwrap_or_default(),
    };
    if said.get("disable").is_some_and(|on| on == true) || test.first().is_some_and(|first| first == "NONE") {
        return Ok(None);
    }
    if !test.first().is_some_and(|first| ["CMD", "CMD-SHELL"].contains(&first.as_str())) {
        return Err("healthcheck.test must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"".to_owned());
    }
    let time = |key: &str, default: i64| match said.get(key).and_then(text) {
        Some(text) => duration(&text).ok_or_else(|| format!("healthcheck.{key} Does not match format 'duration'")),
        None => Ok(default),
    };
    let retries = said.get("retries").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(3);
    Ok(Some(HealthCheck {
        test,
        interval_ms: time("interval", 30_000)?,
        timeout_ms: time("timeout", 30_000)?,
        retries,
        start_period_ms: time("start_period", 0)?,
    }))
}
