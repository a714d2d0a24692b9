//! `dockerd`: what it reads when it starts, what keeps it from starting, and what becomes of containers then.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::lxc;
use crate::lab::world::{ContainerState, Daemon, Docker, World};

/// What every command says while it does not run.
pub const DOWN: &str =
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
/// What it reads.
pub const CONFIG: &str = "/etc/docker/daemon.json";
/// Keys of it that the lab knows of, of those that dockerd has.
const KEYS: [&str; 24] = [
    "bip",
    "cgroup-parent",
    "data-root",
    "debug",
    "default-address-pools",
    "default-runtime",
    "default-shm-size",
    "default-ulimits",
    "dns",
    "dns-search",
    "exec-opts",
    "experimental",
    "features",
    "fixed-cidr",
    "insecure-registries",
    "ip",
    "iptables",
    "ipv6",
    "live-restore",
    "log-driver",
    "log-level",
    "log-opts",
    "mtu",
    "registry-mirrors",
];
const MORE_KEYS: [&str; 8] = [
    "builder",
    "max-concurrent-downloads",
    "metrics-addr",
    "no-new-privileges",
    "runtimes",
    "storage-driver",
    "storage-opts",
    "userland-proxy",
];

/// Starts the daemon; one that runs is left alone.
///
/// # Errors
/// What it writes into its journal before it ends.
pub fn start(world: &mut World, vmid: u32) -> Result<(), String> {
    let Some(guest) = world.guests.get(&vmid) else { return Ok(()) };
    let Some(docker) = &guest.docker else { return Err("dockerd: not found".to_owned()) };
    if docker.daemon.is_some() {
        return Ok(());
    }
    let settings = match guest.text(CONFIG) {
        None => Ok(Map::new()),
        Some(text) if text.trim().is_empty() => Ok(Map::new()),
        Some(text) => match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(map)) => known(map),
            Ok(_) => Err("json: cannot unmarshal into Go value of type map[string]interface {}".to_owned()),
            Err(error) => Err(format!("invalid character in JSON at line {} column {}", error.line(), error.column())),
        },
    };
    let made = settings
        .map_err(|why| format!("unable to configure the Docker daemon with file {CONFIG}: {why}"))
        .and_then(|settings| configured(world, vmid, &settings));
    let (boot, now_ms) = (boot(world, vmid), world.now_ms);
    let Some(docker) = world.guests.get_mut(&vmid).and_then(|guest| guest.docker.as_mut()) else { return Ok(()) };
    match made {
        Ok(daemon) => {
            docker.daemon = Some(daemon);
            docker.failed = None;
            docker.booted_ms = boot;
            restore(docker, now_ms);
            Ok(())
        }
        Err(why) => {
            docker.failed = Some(why.clone());
            Err(why)
        }
    }
}

fn known(map: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let unknown = |key: &&String| !KEYS.contains(&key.as_str()) && !MORE_KEYS.contains(&key.as_str());
    match map.keys().find(unknown) {
        Some(key) => Err(format!("the following directives don't match any configuration option: {key}")),
        None => Ok(map),
    }
}

fn configured(world: &World, vmid: u32, settings: &Map<String, Value>) -> Result<Daemon, String> {
    let text = |key: &str| settings.get(key).and_then(Value::as_str).map(str::to_owned);
    let driver = match text("storage-driver") {
        Some(driver) => lxc::driver(world, vmid, &driver).map(|()| driver)?,
        None => lxc::default_driver(world, vmid).to_owned(),
    };
    let path = |value: &Value| value.get("path").and_then(Value::as_str).unwrap_or_default().to_owned();
    let runtimes: BTreeMap<String, String> = settings
        .get("runtimes")
        .and_then(Value::as_object)
        .map(|all| all.iter().map(|(name, value)| (name.clone(), path(value))).collect())
        .unwrap_or_default();
    let default_runtime = text("default-runtime").unwrap_or_else(|| "runc".to_owned());
    if default_runtime != "runc" && !runtimes.contains_key(&default_runtime) {
        return Err(format!("specified default runtime '{default_runtime}' does not exist"));
    }
    let mirrors = settings.get("registry-mirrors").and_then(Value::as_array);
    Ok(Daemon {
        driver,
        runtimes,
        default_runtime,
        data_root: text("data-root").unwrap_or_else(|| "/var/lib/docker".to_owned()),
        live_restore: settings.get("live-restore").is_some_and(|on| on == true),
        log_driver: text("log-driver").unwrap_or_else(|| "json-file".to_owned()),
        mirrors: mirrors.into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect(),
    })
}

/// Starts what is to run: all that somebody did not stop by hand, and `always` even then.
fn restore(docker: &mut Docker, now_ms: i64) {
    for container in docker.containers.values_mut() {
        let policy = container.restart.split(':').next().unwrap_or_default();
        let starts = match &container.state {
            ContainerState::Exited { by_hand, .. } => policy == "always" || (policy == "unless-stopped" && !by_hand),
            _ => false,
        };
        if starts {
            container.memory_of.clear();
            container.has_gpu = container.wants_gpu;
            container.state = ContainerState::Running { since_ms: now_ms };
        }
    }
}

/// Stops the daemon; its containers end with it, unless they are to live on.
pub fn stop(world: &mut World, vmid: u32) {
    let at_ms = world.now_ms;
    let Some(docker) = world.guests.get_mut(&vmid).and_then(|guest| guest.docker.as_mut()) else { return };
    let Some(daemon) = docker.daemon.take() else { return };
    if !daemon.live_restore {
        end_all(docker, at_ms);
    }
}

fn end_all(docker: &mut Docker, at_ms: i64) {
    for container in docker.containers.values_mut() {
        if matches!(container.state, ContainerState::Running { .. }) {
            container.memory_of.clear();
            container.state = ContainerState::Exited { code: 137, at_ms, by_hand: false };
        }
    }
}

/// When the guest was started that it runs in, in milliseconds.
fn boot(world: &World, vmid: u32) -> i64 {
    world.guests.get(&vmid).and_then(|guest| guest.run.as_ref()).map_or(0, |run| run.started_ms)
}

/// Takes over a boot of the guest: what ran has ended, and the daemon starts if it is to.
pub fn settle(world: &mut World, vmid: u32) {
    let boot = boot(world, vmid);
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    let enabled = guest.inside.units.enabled.contains("docker.service");
    let Some(docker) = guest.docker.as_mut().filter(|docker| docker.booted_ms != boot) else { return };
    docker.booted_ms = boot;
    docker.daemon = None;
    docker.failed = None;
    end_all(docker, boot);
    // What it writes when it does not start is in `failed`.
    let _ = if enabled { start(world, vmid) } else { Ok(()) };
}
