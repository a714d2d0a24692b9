//! Images: where they come from, and whether they fit on the disk.

use sha2::{Digest, Sha256};

use crate::lab::guest_disk;
use crate::lab::rules::reach;
use crate::lab::services;
use crate::lab::world::{Image, World};

/// Bytes that come in a second.
const SPEED: u64 = 60_000_000;
/// An address outside, as registries have.
const OUTSIDE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 200, 0, 102));

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A reference as the engine keeps it: with a tag, unless it has a digest.
#[must_use]
pub fn normal(reference: &str) -> String {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    let short = short.strip_prefix("library/").unwrap_or(short);
    if short.contains('@') || services::repository(short).len() != short.len() {
        short.to_owned()
    } else {
        format!("{short}:latest")
    }
}

/// The image of a reference, if it is there by now; by its id, too.
#[must_use]
pub fn find<'w>(world: &'w World, vmid: u32, reference: &str) -> Option<(&'w str, &'w Image)> {
    let docker = world.guests.get(&vmid)?.docker.as_ref()?;
    let (wanted, id) = (normal(reference), reference.trim_start_matches("sha256:"));
    let mut images = docker.images.iter().filter(|(_, image)| image.pulled_ms <= world.now_ms);
    let found = images.find(|(name, image)| **name == wanted || (id.len() >= 12 && image.id.starts_with(id)));
    found.map(|(name, image)| (name.as_str(), image))
}

/// The host of a reference's registry.
fn host(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "registry-1.docker.io",
    }
}

/// Whether a guest gets at what is outside: registries, repositories of packages.
#[must_use]
pub fn reachable(world: &World, vmid: u32) -> bool {
    reach::leaves(world, vmid, OUTSIDE, 443)
}

/// Pulls an image, and moves the clock on by what that takes.
///
/// # Errors
/// What the engine answers, without `Error response from daemon: `.
pub fn pull(world: &mut World, vmid: u32, reference: &str) -> Result<(), String> {
    let name = normal(reference);
    if !reachable(world, vmid) {
        return Err(format!(
            "Get \"https://{}/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
            host(&name)
        ));
    }
    if world.registry.limited && host(&name) == "registry-1.docker.io" {
        return Err("toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit".to_owned());
    }
    if world.registry.missing.contains(&name) {
        return Err(format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    }
    let bytes = services::family(&name).bytes;
    let held = find(world, vmid, &name).is_some();
    if held {
        return Ok(());
    }
    if guest_disk::free(world, vmid) < bytes {
        return Err("write /var/lib/docker/tmp/GetImageBlob1718427104: no space left on device".to_owned());
    }
    let took_ms = i64::try_from(bytes / SPEED * 1000).unwrap_or(i64::MAX / 4) * i64::from(world.pace) / 100;
    world.now_ms += took_ms;
    let pulled_ms = world.now_ms;
    let digest = match name.split_once("@sha256:") {
        Some((_, digest)) => digest.to_owned(),
        None => hex(&format!("manifest of {name}")),
    };
    let image = Image { id: hex(&format!("image {name}")), digest, bytes, pulled_ms };
    if let Some(docker) = world.guests.get_mut(&vmid).and_then(|guest| guest.docker.as_mut()) {
        docker.images.insert(name, image);
    }
    Ok(())
}

/// Removes images that no container was made from.
pub fn prune(world: &mut World, vmid: u32, all: bool) -> Vec<(String, Image)> {
    let Some(docker) = world.guests.get_mut(&vmid).and_then(|guest| guest.docker.as_mut()) else { return Vec::new() };
    if !all {
        // Without a tag is only what another image took the name of; every image here has one.
        return Vec::new();
    }
    let used: Vec<String> = docker.containers.values().map(|container| normal(&container.image)).collect();
    let gone: Vec<String> = docker.images.keys().filter(|name| !used.contains(name)).cloned().collect();
    gone.into_iter().filter_map(|name| docker.images.remove_entry(&name)).collect()
}
