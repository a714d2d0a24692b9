//! systemd as far as the lab has it: one-shot services and monotonic timers of the administrator's.
//!
//! Owns when a timer elapses, that a service which failed is tried again, and what a boot starts. Entry:
//! [`advance`].

use super::interpreter::run_line;
use super::tree;
use crate::lab::world::{Node, World};

const DIRECTORY: &str = "/etc/systemd/system";

/// Does all that was due by now, in its order; whether there was anything.
pub fn advance(world: &mut World) -> bool {
    let mut any = booted(world);
    while let Some((node, due)) = next(world) {
        any = true;
        match due {
            Due::Timer(timer) => {
                if let Some(host) = world.nodes.get_mut(&node) {
                    host.units.timers.insert(timer.clone(), None);
                }
                let service =
                    setting(world, &node, &timer, "Unit").unwrap_or_else(|| timer.replace(".timer", ".service"));
                start(world, &node, &service);
            }
            Due::Restart(service) => {
                start(world, &node, &service);
            }
        }
    }
    any
}

enum Due {
    Timer(String),
    Restart(String),
}

/// What is due first, of all nodes that are up.
fn next(world: &World) -> Option<(String, Due)> {
    let mut all: Vec<(i64, &String, Due)> = Vec::new();
    for (name, node) in world.nodes.iter().filter(|(_, node)| node.online) {
        let timers = node.units.timers.iter().filter_map(|(timer, due)| Some((timer, (*due)?)));
        all.extend(timers.map(|(timer, due)| (due, name, Due::Timer(timer.clone()))));
        all.extend(node.units.restarts.iter().map(|(service, due)| (*due, name, Due::Restart(service.clone()))));
    }
    let first = all.into_iter().filter(|(due, ..)| *due <= world.now_ms).min_by_key(|(due, ..)| *due)?;
    Some((first.1.clone(), first.2))
}

/// Whether there is such a unit.
pub fn exists(world: &World, node: &str, unit: &str) -> bool {
    tree::read(world, node, &format!("{DIRECTORY}/{unit}")).is_ok()
}

/// A setting of a unit file, by its key alone.
fn setting(world: &World, node: &str, unit: &str, key: &str) -> Option<String> {
    let text = String::from_utf8(tree::read(world, node, &format!("{DIRECTORY}/{unit}")).ok()?).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

fn seconds(text: &str) -> Option<i64> {
    text.trim().trim_end_matches('s').trim().parse().ok()
}

fn start_timer(world: &mut World, node: &str, timer: &str, since: i64) {
    let after = |key: &str| setting(world, node, timer, key).and_then(|text| seconds(&text));
    let booted = world.nodes.get(node).map_or(0, |host| host.booted_ms);
    let active = after("OnActiveSec").map(|seconds| since + seconds * 1000);
    // A moment after the boot that is past already elapses at once.
    let boot = after("OnBootSec").map(|seconds| (booted + seconds * 1000).max(since));
    let due = active.into_iter().chain(boot).min();
    if let Some(host) = world.nodes.get_mut(node) {
        host.units.timers.insert(timer.to_owned(), due);
    }
}

/// Starts a unit: a timer counts from now, a service runs to its end.
pub fn start(world: &mut World, node: &str, unit: &str) -> i32 {
    if unit.ends_with(".timer") {
        start_timer(world, node, unit, world.now_ms);
        return 0;
    }
    let Some(command) = setting(world, node, unit, "ExecStart") else { return 1 };
    if let Some(host) = world.nodes.get_mut(node) {
        host.units.restarts.remove(unit);
    }
    // ExecStart= is no shell's line: of `/bin/sh FILE` the file is what runs.
    let code = match command.strip_prefix("/bin/sh ").map(|path| tree::read(world, node, path.trim())) {
        Some(Ok(script)) => run_line(world, node, "sh -s", &script).code,
        Some(Err(_)) => 127,
        None => run_line(world, node, &command, b"").code,
    };
    let again = setting(world, node, unit, "Restart").as_deref() == Some("on-failure");
    let pause = setting(world, node, unit, "RestartSec").and_then(|text| seconds(&text)).unwrap_or(1);
    let now = world.now_ms;
    if let Some(host) = world.nodes.get_mut(node) {
        host.units.ended.insert(unit.to_owned(), code);
        if code != 0 && again {
            host.units.restarts.insert(unit.to_owned(), now + pause * 1000);
        }
    }
    code
}

/// Lets hosts that were booted begin anew, whoever booted them: what was set is gone, what is enabled is started.
fn booted(world: &mut World) -> bool {
    let anew = |node: &Node| node.online && node.units.booted_ms != node.booted_ms;
    let nodes: Vec<String> = world.nodes.iter().filter(|(_, node)| anew(node)).map(|(name, _)| name.clone()).collect();
    for name in &nodes {
        let Some(host) = world.nodes.get_mut(name) else { continue };
        host.units.booted_ms = host.booted_ms;
        host.units.timers.clear();
        host.units.restarts.clear();
        let (since, enabled) = (host.booted_ms, host.units.enabled.clone());
        for timer in enabled.iter().filter(|unit| unit.ends_with(".timer")) {
            start_timer(world, name, timer, since);
        }
    }
    !nodes.is_empty()
}
