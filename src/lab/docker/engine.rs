//! What the engine does to containers: make, start, stop, remove.

use sha2::{Digest, Sha256};

use super::{daemon, lxc, network, registry};
use crate::lab::guest_gpu;
use crate::lab::services::Place;
use crate::lab::world::{Container, ContainerState, Docker, DockerVolume, File, Guest, World};

/// The engine of a guest whose daemon runs.
pub fn running(world: &mut World, vmid: u32) -> Option<&mut Docker> {
    world.guests.get_mut(&vmid)?.docker.as_mut().filter(|docker| docker.daemon.is_some())
}

/// An id: 64 hex digits.
pub fn new_id(world: &mut World) -> String {
    let random = world.next_random();
    Sha256::digest(random.to_be_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a container of what is asked for.
///
/// # Errors
/// What the engine answers.
pub fn create(world: &mut World, vmid: u32, name: &str, wanted: &Container) -> Result<(), String> {
    let Some((_, image)) = registry::find(world, vmid, &wanted.image) else {
        return Err(format!("No such image: {}", registry::normal(&wanted.image)));
    };
    let image_id = image.id.clone();
    for mount in wanted.mounts.iter().filter(|mount| mount.kind == "bind" && mount.target.starts_with("/run/secrets/"))
    {
        if !is_there(world, vmid, &mount.source) {
            return Err(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                mount.source
            ));
        }
    }
    let runtime = if wanted.runtime.is_empty() { None } else { Some(wanted.runtime.clone()) };
    let id = new_id(world);
    let now_ms = world.now_ms;
    let Some(docker) = running(world, vmid) else { return Err(daemon::DOWN.to_owned()) };
    if docker.containers.contains_key(name) {
        let other = docker.containers[name].id.clone();
        return Err(format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{other}\". You have to remove (or rename) that container to be able to reuse that name."
        ));
    }
    let known = docker.daemon.as_ref().is_some_and(|daemon| {
        runtime.as_ref().is_none_or(|runtime| runtime == "runc" || daemon.runtimes.contains_key(runtime))
    });
    if !known {
        return Err(format!("unknown or invalid runtime name: {}", runtime.unwrap_or_default()));
    }
    for mount in wanted.mounts.iter().filter(|mount| mount.kind == "volume") {
        docker
            .volumes
            .entry(mount.source.clone())
            .or_insert_with(|| DockerVolume { created_ms: now_ms, ..DockerVolume::default() });
    }
    let mut made = wanted.clone();
    made.id = id;
    made.image_id = image_id;
    made.created_ms = now_ms;
    made.state = ContainerState::Created;
    docker.containers.insert(name.to_owned(), made);
    Ok(())
}

fn is_there(world: &World, vmid: u32, path: &str) -> bool {
    let Some(guest) = world.guests.get(&vmid) else { return false };
    let inside = format!("{}/", path.trim_end_matches('/'));
    guest.files.contains_key(path)
        || guest.directories.contains_key(path)
        || guest.files.keys().chain(guest.directories.keys()).any(|own| own.starts_with(&inside))
        || path == "/var/run/docker.sock"
}

/// Starts a container; one that runs is left alone.
///
/// # Errors
/// What the engine answers; the container keeps it.
pub fn start(world: &mut World, vmid: u32, name: &str) -> Result<(), String> {
    let place = Place::new(vmid, name);
    let Some(container) = place.container(world).cloned() else { return Err(format!("No such container: {name}")) };
    if matches!(container.state, ContainerState::Running { .. }) && super::shown(world, &place).status != "exited" {
        return Ok(());
    }
    if let Err((why, code)) = refused(world, vmid, name, &container) {
        if let Some(container) = place.container_mut(world) {
            container.state = ContainerState::Refused { why: why.clone(), code };
        }
        return Err(why);
    }
    // What is mounted and not there becomes a directory: so it is with every `-v`.
    let missing: Vec<String> = container
        .mounts
        .iter()
        .filter(|mount| mount.kind == "bind" && !is_there(world, vmid, &mount.source))
        .map(|mount| mount.source.clone())
        .collect();
    let now_ms = world.now_ms;
    let Some(guest) = world.guests.get_mut(&vmid) else { return Ok(()) };
    for path in missing {
        guest.directories.insert(path, File { mode: 0o755, modified_ms: now_ms, ..File::default() });
    }
    let files = container.mounts.iter().filter(|mount| mount.kind == "bind");
    let read =
        files.filter_map(|mount| Some((mount.target.clone(), guest.files.get(&mount.source)?.clone()))).collect();
    if let Some(container) = guest.docker.as_mut().and_then(|docker| docker.containers.get_mut(name)) {
        container.read = read;
        container.memory_of.clear();
        container.said.clear();
        container.has_gpu = container.wants_gpu;
        container.state = ContainerState::Running { since_ms: now_ms };
    }
    Ok(())
}

/// Why the engine does not start a container, with its exit code.
fn refused(world: &World, vmid: u32, name: &str, container: &Container) -> Result<(), (String, i32)> {
    let guest = world.guests.get(&vmid).ok_or_else(|| (daemon::DOWN.to_owned(), 1))?;
    if container.wants_gpu {
        let toolkit = guest.docker.as_ref().and_then(|docker| docker.daemon.as_ref());
        let hooked = guest_gpu::has_toolkit(guest);
        if toolkit.is_none() || !hooked {
            return Err(("could not select device driver \"nvidia\" with capabilities: [[gpu]]".to_owned(), 128));
        }
        guest_gpu::usable_in_containers(world, vmid).map_err(|why| (hook(&why), 128))?;
    }
    lxc::refused(world, vmid).map_err(|why| (why, 127))?;
    for device in &container.devices {
        if !guest_gpu::has_device(world, vmid, device) {
            let why = format!(
                "error gathering device information while adding custom device \"{device}\": no such file or directory"
            );
            return Err((why, 128));
        }
    }
    network::taken(world, vmid, name, container).map_err(|why| (why, 128))?;
    for key in container.networks.keys() {
        let docker = guest.docker.as_ref().ok_or_else(|| (daemon::DOWN.to_owned(), 1))?;
        if !["host", "none", "bridge"].contains(&key.as_str()) && !docker.networks.contains_key(key) {
            return Err((format!("network {key} not found"), 128));
        }
    }
    Ok(())
}

/// What NVIDIA's hook fails with, as the engine passes it on.
fn hook(why: &str) -> String {
    format!(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: {why}: unknown"
    )
}

/// Stops a container; one that does not run is left alone.
pub fn stop(world: &mut World, vmid: u32, name: &str) {
    let at_ms = world.now_ms;
    if let Some(container) = Place::new(vmid, name).container_mut(world)
        && matches!(container.state, ContainerState::Running { .. })
    {
        container.state = ContainerState::Exited { code: 0, at_ms, by_hand: true };
        container.memory_of.clear();
    }
}

/// Removes a container; its volumes stay.
pub fn remove(world: &mut World, vmid: u32, name: &str) {
    if let Some(docker) = running(world, vmid) {
        docker.containers.remove(name);
    }
}

/// The name of the container that somebody means: by name, or by the beginning of its id.
#[must_use]
pub fn named(guest: &Guest, word: &str) -> Option<String> {
    let docker = guest.docker.as_ref()?;
    let word = word.trim_start_matches('/');
    if docker.containers.contains_key(word) {
        return Some(word.to_owned());
    }
    docker
        .containers
        .iter()
        .find(|(_, container)| word.len() >= 4 && container.id.starts_with(word))
        .map(|(name, _)| name.clone())
}
