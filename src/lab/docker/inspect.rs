//! `docker inspect`, `docker version`, `docker info`: the engine's own JSON, as far as anybody reads it.

use serde_json::{Map, Value, json};

use super::shown;
use crate::lab::guest_packages;
use crate::lab::services::Place;
use crate::lab::world::{Docker, Guest, Image, World};

fn time(ms: Option<i64>) -> String {
    match ms {
        Some(ms) => {
            jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%fZ").to_string()
        }
        None => "0001-01-01T00:00:00Z".to_owned(),
    }
}

/// A container.
pub(super) fn container(world: &World, place: &Place) -> Value {
    let (Some(one), Some(docker)) = (place.container(world), place.docker(world)) else { return Value::Null };
    let shown = shown(world, place);
    let mut state = json!({
        "Status": shown.status,
        "Running": matches!(shown.status, "running" | "restarting"),
        "Paused": false,
        "Restarting": shown.status == "restarting",
        "OOMKilled": false,
        "Dead": false,
        "Pid": if shown.status == "running" { 4000 + u32::from(one.id.as_bytes().first().copied().unwrap_or_default()) } else { 0 },
        "ExitCode": shown.exit,
        "Error": shown.error,
        "StartedAt": time(shown.started_ms),
        "FinishedAt": time(shown.finished_ms),
    });
    if let Some(health) = shown.health {
        let failing = shown.checked.as_ref().is_some_and(|(code, _)| *code != 0);
        let retries = one.check.as_ref().map_or(3, |check| check.retries);
        let log: Vec<Value> = shown
            .checked
            .iter()
            .map(|(code, output)| {
                let at = time(Some(world.now_ms));
                json!({ "Start": at, "End": at, "ExitCode": code, "Output": output })
            })
            .collect();
        state["Health"] = json!({ "Status": health, "FailingStreak": if failing { retries } else { 0 }, "Log": log });
    }
    let driver = docker.daemon.as_ref().map(|daemon| daemon.driver.clone()).unwrap_or_default();
    let mut bindings = Map::new();
    for port in &one.ports {
        let entry = bindings.entry(format!("{}/{}", port.inside, port.protocol)).or_insert_with(|| json!([]));
        if let Some(list) = entry.as_array_mut() {
            list.push(json!({ "HostIp": port.address, "HostPort": port.here.to_string() }));
        }
    }
    let devices = if one.wants_gpu {
        json!([{ "Driver": "nvidia", "Count": -1, "DeviceIDs": null, "Capabilities": [["gpu"]], "Options": null }])
    } else {
        Value::Null
    };
    let root = docker.daemon.as_ref().map(|daemon| daemon.data_root.clone()).unwrap_or_default();
    let mounts: Vec<Value> = one
        .mounts
        .iter()
        .map(|mount| match mount.kind.as_str() {
            "volume" => json!({
                "Type": "volume", "Name": mount.source, "Source": format!("{root}/volumes/{}/_data", mount.source),
                "Destination": mount.target, "Driver": "local", "Mode": "z", "RW": !mount.read_only, "Propagation": "",
            }),
            kind => json!({
                "Type": kind, "Source": mount.source, "Destination": mount.target,
                "Mode": if mount.read_only { "ro" } else { "" }, "RW": !mount.read_only, "Propagation": "rprivate",
            }),
        })
        .collect();
    let networks: Map<String, Value> = one
        .networks
        .iter()
        .map(|(name, aliases)| {
            let id = docker.networks.get(name).map(|network| network.id.clone()).unwrap_or_default();
            let address = super::network::address_in(docker, name, &place.name).filter(|_| shown.status == "running");
            let address = address.map(|address| address.to_string()).unwrap_or_default();
            (name.clone(), json!({ "Aliases": aliases, "NetworkID": id, "IPAddress": address }))
        })
        .collect();
    let environment: Vec<String> = one.environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let check = one.check.as_ref().map(|check| {
        json!({
            "Test": check.test, "Interval": check.interval_ms * 1_000_000, "Timeout": check.timeout_ms * 1_000_000,
            "StartPeriod": check.start_period_ms * 1_000_000, "Retries": check.retries,
        })
    });
    let mut config = json!({
        "Hostname": one.id.get(..12).unwrap_or_default(), "User": one.user.clone().unwrap_or_default(), "Env": environment, "Cmd": one.command,
        "Image": one.image, "Entrypoint": one.entrypoint, "Labels": one.labels,
    });
    if let Some(check) = check {
        config["Healthcheck"] = check;
    }
    json!({
        "Id": one.id,
        "Created": time(Some(one.created_ms)),
        "State": state,
        "Image": format!("sha256:{}", one.image_id),
        "Name": format!("/{}", place.name),
        "RestartCount": shown.restarts,
        "Driver": driver,
        "Platform": "linux",
        "LogPath": format!("{root}/containers/{0}/{0}-json.log", one.id),
        "HostConfig": {
            "NetworkMode": one.networks.keys().next().cloned().unwrap_or_else(|| "bridge".to_owned()),
            "PortBindings": bindings,
            "RestartPolicy": { "Name": one.restart, "MaximumRetryCount": 0 },
            "ReadonlyRootfs": one.read_only,
            "Runtime": if one.runtime.is_empty() { "runc" } else { &one.runtime },
            "Memory": one.memory,
            "DeviceRequests": devices,
        },
        "Mounts": mounts,
        "Config": config,
        "NetworkSettings": { "Ports": bindings, "Networks": networks },
    })
}

/// An image.
pub(super) fn image(name: &str, image: &Image) -> Value {
    let repository = crate::lab::services::repository(name);
    json!({
        "Id": format!("sha256:{}", image.id),
        "RepoTags": if name.contains('@') { json!([]) } else { json!([name]) },
        "RepoDigests": [format!("{repository}@sha256:{}", image.digest)],
        "Created": time(Some(image.pulled_ms)),
        "Size": image.bytes,
        "Architecture": "amd64",
        "Os": "linux",
    })
}

/// `docker version`: without a daemon there is no `Server`.
pub(super) fn version(docker: &Docker) -> Value {
    let client = json!({
        "Version": docker.engine, "ApiVersion": "1.50", "DefaultAPIVersion": "1.50", "GoVersion": "go1.24.3", "Os": "linux", "Arch": "amd64", "Context": "default",
    });
    let server = docker.daemon.as_ref().map(|_| {
        json!({
            "Platform": { "Name": "" },
            "Components": [
                { "Name": "Engine", "Version": docker.engine, "Details": { "ApiVersion": "1.50", "Os": "linux" } },
                { "Name": "containerd", "Version": docker.containerd, "Details": { "GitCommit": "" } },
                { "Name": "runc", "Version": docker.runc, "Details": { "GitCommit": "" } },
            ],
            "Version": docker.engine, "ApiVersion": "1.50", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64",
        })
    });
    json!({ "Client": client, "Server": server })
}

/// `docker info`.
pub(super) fn info(world: &World, vmid: u32, guest: &Guest, docker: &Docker) -> Value {
    let states: Vec<&str> = docker.containers.keys().map(|name| shown(world, &Place::new(vmid, name)).status).collect();
    let running = states.iter().filter(|state| **state == "running").count();
    let Some(daemon) = &docker.daemon else {
        return json!({
            "ID": "", "Containers": 0, "Driver": "", "ServerVersion": "", "Runtimes": null, "DockerRootDir": "", "LiveRestoreEnabled": false,
            "ServerErrors": [super::daemon::DOWN], "ClientInfo": { "Version": docker.engine },
        });
    };
    let mut runtimes = json!({ "io.containerd.runc.v2": { "path": "runc" }, "runc": { "path": "runc" } });
    for (name, path) in &daemon.runtimes {
        runtimes[name] = json!({ "path": path });
    }
    let cores = guest.number("cores", 1);
    json!({
        "ID": "3f6c1b2e-0c7a-4b52-9d3e-5a1f0b6c7d8e",
        "Containers": states.len(), "ContainersRunning": running, "ContainersPaused": 0, "ContainersStopped": states.len() - running,
        "Images": docker.images.len(),
        "Driver": daemon.driver,
        "LoggingDriver": daemon.log_driver,
        "CgroupDriver": "systemd", "CgroupVersion": "2",
        "KernelVersion": crate::lab::guest_gpu::kernel(guest),
        "OperatingSystem": guest_packages::os_release(guest).split('"').nth(1),
        "OSType": "linux", "Architecture": "x86_64",
        "NCPU": cores, "MemTotal": guest.number("memory", 512) << 20,
        "DockerRootDir": daemon.data_root,
        "Name": guest.name(vmid),
        "ServerVersion": docker.engine,
        "Runtimes": runtimes,
        "DefaultRuntime": daemon.default_runtime,
        "LiveRestoreEnabled": daemon.live_restore,
        "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
        "RegistryConfig": { "Mirrors": daemon.mirrors },
        "Warnings": null,
        "ClientInfo": { "Version": docker.engine },
    })
}
