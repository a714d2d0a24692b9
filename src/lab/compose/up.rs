//! `up` and `down`: from what a project asks for to what runs.
//!
//! The order and the lines are compose's: pull what is missing, make networks and volumes, take orphans away, make or
//! remake containers in the order of what they wait for, start them, wait. A container that ends again and again and has no
//! health check counts as well while it runs, as compose finds it: who wants to know asks for its restarts.

use std::collections::BTreeSet;

use super::Project;
use crate::lab::docker::{engine, registry, shown, state};
use crate::lab::services::Place;
use crate::lab::world::{ContainerState, DockerNetwork, World};

/// What `up` was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// Services that were named; nothing = all.
    pub services: Vec<String>,
    /// Whether it waits until all are well.
    pub wait: bool,
    /// For how long, in seconds; 0 = any.
    pub wait_s: i64,
    /// Whether containers of services that are no more are removed.
    pub remove_orphans: bool,
    /// Whether containers are made anew whatever is the same.
    pub force_recreate: bool,
    /// Whether what others need is left alone.
    pub no_deps: bool,
    /// Whether nothing is pulled.
    pub no_pull: bool,
    /// Whether containers are made and not started.
    pub no_start: bool,
}

/// How it ended: exit code, and the last line if it failed.
pub(super) type Ended = Result<(), (i32, String)>;

fn daemon(why: &str) -> (i32, String) {
    (1, format!("Error response from daemon: {why}"))
}

/// The name of a service's container.
pub(super) fn name_of(project: &Project, service: &str) -> String {
    format!("{}-{service}-1", project.name)
}

/// Services in the order of what they wait for; with those that are needed, unless they are to be left alone.
fn order(project: &Project, wish: &Wish) -> Vec<String> {
    let mut wanted: BTreeSet<&str> = match wish.services.is_empty() {
        true => project.services.keys().map(String::as_str).collect(),
        false => wish.services.iter().map(String::as_str).collect(),
    };
    loop {
        let needed: BTreeSet<&str> = wanted
            .iter()
            .filter_map(|name| project.services.get(*name))
            .flat_map(|container| container.depends_on.keys().map(String::as_str))
            .collect();
        if wish.no_deps || needed.is_subset(&wanted) {
            break;
        }
        wanted.extend(needed);
    }
    let mut done: Vec<String> = Vec::new();
    while done.len() < wanted.len() {
        let ready = |name: &&&str| {
            !done.iter().any(|own| own == **name)
                && project.services.get(**name).is_none_or(|container| {
                    container.depends_on.keys().all(|needed| done.contains(needed) || !wanted.contains(needed.as_str()))
                })
        };
        let Some(next) = wanted.iter().find(ready) else { break };
        done.push((*next).to_owned());
    }
    done
}

/// Makes what runs what a project asks for.
pub(super) fn up(world: &mut World, vmid: u32, project: &Project, wish: &Wish, say: &mut Vec<String>) -> Ended {
    if let Some(unknown) = wish.services.iter().find(|name| !project.services.contains_key(*name)) {
        return Err((1, format!("no such service: {unknown}")));
    }
    let order = order(project, wish);
    for service in &order {
        pulled(world, vmid, project, service, wish, say)?;
    }
    networks(world, vmid, project, say)?;
    for (name, external) in &project.volumes {
        let created_ms = world.now_ms;
        let Some(docker) = engine::running(world, vmid) else { continue };
        if docker.volumes.contains_key(name) {
            continue;
        }
        if *external {
            return Err((1, format!("external volume \"{name}\" not found")));
        }
        say.extend([format!(" Volume \"{name}\"  Creating"), format!(" Volume \"{name}\"  Created")]);
        let labels = [("com.docker.compose.project".to_owned(), project.name.clone())].into();
        docker.volumes.insert(name.clone(), crate::lab::world::DockerVolume { created_ms, labels });
    }
    orphans(world, vmid, project, wish, say);
    for service in &order {
        made(world, vmid, project, service, wish, say)?;
    }
    if wish.no_start {
        return Ok(());
    }
    for service in &order {
        let Some(wanted) = project.services.get(service) else { continue };
        for (needed, condition) in &wanted.depends_on {
            depended(world, vmid, &name_of(project, needed), condition, say)?;
        }
        let name = name_of(project, service);
        let place = Place::new(vmid, &name);
        let runs = matches!(shown(world, &place).status, "running");
        if runs {
            if wish.wait {
                say.push(format!(" Container {name}  Running"));
            }
            continue;
        }
        say.push(format!(" Container {name}  Starting"));
        if let Some(container) = place.container_mut(world)
            && matches!(container.state, ContainerState::Running { .. })
        {
            // One that ends again and again is started anew at once.
            container.state = ContainerState::Created;
        }
        engine::start(world, vmid, &name).map_err(|why| daemon(&why))?;
        say.push(format!(" Container {name}  Started"));
    }
    if wish.wait { waited(world, vmid, project, &order, wish.wait_s, say) } else { Ok(()) }
}

fn pulled(world: &mut World, vmid: u32, project: &Project, service: &str, wish: &Wish, say: &mut Vec<String>) -> Ended {
    let Some(container) = project.services.get(service) else { return Ok(()) };
    if registry::find(world, vmid, &container.image).is_some() {
        return Ok(());
    }
    if wish.no_pull {
        return Err(daemon(&format!("No such image: {}", registry::normal(&container.image))));
    }
    say.push(format!(" {service} Pulling "));
    match registry::pull(world, vmid, &container.image) {
        Ok(()) => {
            say.push(format!(" {service} Pulled "));
            Ok(())
        }
        Err(why) => {
            say.push(format!(" {service} Error {why}"));
            Err((18, format!("Error response from daemon: {why}")))
        }
    }
}

fn networks(world: &mut World, vmid: u32, project: &Project, say: &mut Vec<String>) -> Ended {
    // Those that are others' are looked for where a container is made.
    for (name, (internal, external)) in project.networks.iter().filter(|(_, (_, external))| !external) {
        let id = engine::new_id(world);
        let Some(docker) = engine::running(world, vmid) else { continue };
        let label = ("com.docker.compose.project".to_owned(), project.name.clone());
        if let Some(there) = docker.networks.get(name) {
            if there.labels.get(&label.0) != Some(&label.1) {
                return Err((
                    1,
                    format!(
                        "network {name} was found but has incorrect label com.docker.compose.network set to \"\" (expected: \"{name}\")"
                    ),
                ));
            }
            if there.internal == *internal {
                continue;
            }
            // Its settings changed: compose takes it away with what is in it, and makes it anew.
            let users: Vec<String> = docker
                .containers
                .iter()
                .filter(|(_, one)| one.networks.contains_key(name))
                .map(|(name, _)| name.clone())
                .collect();
            users.iter().for_each(|user| engine::stop(world, vmid, user));
        }
        let Some(docker) = engine::running(world, vmid) else { continue };
        say.extend([format!(" Network {name}  Creating"), format!(" Network {name}  Created")]);
        let _ = external;
        docker.networks.insert(name.clone(), DockerNetwork { id, internal: *internal, labels: [label].into() });
    }
    for (name, _) in project.networks.iter().filter(|(_, (_, external))| *external) {
        let there = engine::running(world, vmid).is_some_and(|docker| docker.networks.contains_key(name));
        if !there {
            return Err((1, format!("network {name} declared as external, but could not be found")));
        }
    }
    Ok(())
}

/// Containers of a project whose services are no more.
pub(super) fn orphans_of(world: &World, vmid: u32, project: &Project) -> Vec<String> {
    let docker = world.guests.get(&vmid).and_then(|guest| guest.docker.as_ref());
    let containers = docker.into_iter().flat_map(|docker| docker.containers.iter());
    let lost = containers
        .filter(|(_, one)| one.project.as_ref() == Some(&project.name) && !project.services.contains_key(&one.service));
    lost.map(|(name, _)| name.clone()).collect()
}

fn orphans(world: &mut World, vmid: u32, project: &Project, wish: &Wish, say: &mut Vec<String>) {
    let lost = orphans_of(world, vmid, project);
    if lost.is_empty() {
        return;
    }
    if !wish.remove_orphans {
        say.push(format!(
            "level=warning msg=\"Found orphan containers ([{}]) for this project. If you removed or renamed this service in your compose file, you can run this command with the --remove-orphans flag to clean it up.\"",
            lost.join(" ")
        ));
        return;
    }
    for name in lost {
        gone(world, vmid, &name, say);
    }
}

fn gone(world: &mut World, vmid: u32, name: &str, say: &mut Vec<String>) {
    engine::stop(world, vmid, name);
    engine::remove(world, vmid, name);
    say.extend(["Stopping", "Stopped", "Removing", "Removed"].map(|what| format!(" Container {name}  {what}")));
}

fn made(world: &mut World, vmid: u32, project: &Project, service: &str, wish: &Wish, say: &mut Vec<String>) -> Ended {
    let Some(wanted) = project.services.get(service) else { return Ok(()) };
    let mut wanted = wanted.clone();
    let name = name_of(project, service);
    let image_id = registry::find(world, vmid, &wanted.image).map(|(_, image)| image.id.clone()).unwrap_or_default();
    wanted.labels.insert("com.docker.compose.image".to_owned(), format!("sha256:{image_id}"));
    let version = world.guests.get(&vmid).and_then(|guest| guest.docker.as_ref()?.compose.clone()).unwrap_or_default();
    let number = version.split(['-', '+', '~']).next().unwrap_or_default().to_owned();
    wanted.labels.insert("com.docker.compose.version".to_owned(), number);
    let hash = "com.docker.compose.config-hash";
    let there = Place::new(vmid, &name).container(world).cloned();
    if let Some(there) = there {
        let same = there.labels.get(hash) == wanted.labels.get(hash) && there.image_id == image_id;
        let networks_stand = there.networks.keys().all(|network| {
            let docker = world.guests.get(&vmid).and_then(|guest| guest.docker.as_ref());
            ["host", "none", "bridge"].contains(&network.as_str())
                || docker.is_some_and(|docker| docker.networks.contains_key(network))
        });
        if same && networks_stand && !wish.force_recreate {
            return Ok(());
        }
        say.push(format!(" Container {name}  Recreate"));
        let old = engine::running(world, vmid).and_then(|docker| docker.containers.remove(&name));
        if let Err(why) = engine::create(world, vmid, &name, &wanted) {
            // The new one is made before the old one goes.
            if let (Some(docker), Some(old)) = (engine::running(world, vmid), old) {
                docker.containers.insert(name, old);
            }
            return Err(daemon(&why));
        }
        say.push(format!(" Container {name}  Recreated"));
        return Ok(());
    }
    say.push(format!(" Container {name}  Creating"));
    engine::create(world, vmid, &name, &wanted).map_err(|why| daemon(&why))?;
    say.push(format!(" Container {name}  Created"));
    Ok(())
}

/// Moves the world's clock on until it is known how a container fares.
fn settled(world: &mut World, place: &Place, until_ms: Option<i64>) {
    let due = world.now_ms + state::settles_in(world, place);
    world.now_ms = until_ms.map_or(due, |until| due.min(until)).max(world.now_ms);
}

fn depended(world: &mut World, vmid: u32, name: &str, condition: &str, say: &mut Vec<String>) -> Ended {
    let place = Place::new(vmid, name);
    if condition == "service_started" {
        return Ok(());
    }
    say.push(format!(" Container {name}  Waiting"));
    settled(world, &place, None);
    let state = shown(world, &place);
    let failed = |why: String, say: &mut Vec<String>| {
        say.push(format!(" Container {name}  Error"));
        Err((1, format!("dependency failed to start: {why}")))
    };
    if condition == "service_completed_successfully" {
        return match (state.status, state.exit) {
            ("exited", 0) => {
                say.push(format!(" Container {name}  Exited"));
                Ok(())
            }
            (_, code) => failed(format!("service didn't complete successfully: exit {code}"), say),
        };
    }
    match (state.status, state.health) {
        (_, Some("healthy")) => {
            say.push(format!(" Container {name}  Healthy"));
            Ok(())
        }
        ("exited", _) => failed(format!("container {name} exited ({})", state.exit), say),
        (_, None) => failed(format!("container {name} has no healthcheck configured"), say),
        _ => failed(format!("container {name} is unhealthy"), say),
    }
}

fn waited(
    world: &mut World,
    vmid: u32,
    project: &Project,
    order: &[String],
    wait_s: i64,
    say: &mut Vec<String>,
) -> Ended {
    let until_ms = (wait_s > 0).then(|| world.now_ms + wait_s * 1000);
    for service in order {
        say.push(format!(" Container {}  Waiting", name_of(project, service)));
    }
    for service in order {
        let name = name_of(project, service);
        let place = Place::new(vmid, &name);
        settled(world, &place, until_ms);
        let state = shown(world, &place);
        match (state.status, state.health) {
            ("exited", _) => return Err((1, format!("container {name} exited ({})", state.exit))),
            ("created", _) => return Err((1, format!("container {name} is not running"))),
            (_, Some("unhealthy")) => return Err((1, format!("container {name} is unhealthy"))),
            (_, Some("starting")) => return Err((1, format!("application not healthy after {wait_s}s"))),
            _ => say.push(format!(" Container {name}  Healthy")),
        }
    }
    Ok(())
}

/// Stops and removes what a project has: containers, and networks of its own; volumes only if they are named.
pub(super) fn down(
    world: &mut World,
    vmid: u32,
    project: &Project,
    orphans: bool,
    volumes: bool,
    say: &mut Vec<String>,
) -> Ended {
    let mut services = order(project, &Wish::default());
    services.reverse();
    let mut names: Vec<String> = services.iter().map(|service| name_of(project, service)).collect();
    if orphans {
        names.extend(orphans_of(world, vmid, project));
    }
    for name in names {
        if Place::new(vmid, &name).container(world).is_some() {
            gone(world, vmid, &name, say);
        }
    }
    for name in project.networks.iter().filter(|(_, (_, external))| !external).map(|(name, _)| name) {
        let Some(docker) = engine::running(world, vmid) else { continue };
        let used = docker.containers.values().any(|one| one.networks.contains_key(name));
        if !docker.networks.contains_key(name) {
            continue;
        }
        say.push(format!(" Network {name}  Removing"));
        if used {
            say.push(format!(" Network {name}  Resource is still in use"));
            continue;
        }
        docker.networks.remove(name);
        say.push(format!(" Network {name}  Removed"));
    }
    for name in project.volumes.iter().filter(|(_, external)| volumes && !**external).map(|(name, _)| name) {
        let Some(docker) = engine::running(world, vmid) else { continue };
        if docker.volumes.remove(name).is_some() {
            docker.stores.remove(name);
            say.extend([format!(" Volume {name}  Removing"), format!(" Volume {name}  Removed")]);
        }
    }
    Ok(())
}
