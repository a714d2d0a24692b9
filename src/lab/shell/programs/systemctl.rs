//! `systemctl`: one-shot services and timers of the administrator's, and whether PVE's own run.

use crate::lab::shell::call::Call;
use crate::lab::shell::units;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (options, words): (Vec<&str>, Vec<&str>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(option) = options.iter().find(|option| {
        !["--now", "--no-block", "--quiet", "-q", "--failed", "--no-legend", "--plain", "--no-pager"].contains(option)
    }) {
        return call.unknown(option);
    }
    let (now, quiet) = (options.contains(&"--now"), options.contains(&"--quiet") || options.contains(&"-q"));
    match words[..] {
        [] if options.contains(&"--failed") => {
            let node = call.world.nodes.get(call.node);
            let lines: Vec<String> = node
                .into_iter()
                .flat_map(|node| node.machine.failed.iter().map(move |unit| (node, unit)))
                .map(|(node, unit)| {
                    let known = node.machine.units.get(unit).map_or("", |unit| unit.description.as_str());
                    format!("{unit} loaded failed failed {known}")
                })
                .collect();
            lines.iter().for_each(|line| call.print(line));
            0
        }
        ["reboot"] => {
            crate::lab::power::reboot(call.world, call.node);
            0
        }
        ["is-failed", unit] => {
            let failed = call.world.nodes.get(call.node).is_some_and(|node| node.machine.failed.contains(unit));
            if !quiet {
                call.print(if failed { "failed" } else { "active" });
            }
            i32::from(!failed)
        }
        ["daemon-reload"] => 0,
        ["enable", unit] => enable(call, unit, now),
        ["disable", unit] => {
            if now {
                stop(call, unit);
            }
            let known = units::exists(call.world, call.node, unit);
            let was = host(call).is_some_and(|host| host.enabled.remove(unit));
            if was {
                call.warn(format!("Removed '/etc/systemd/system/timers.target.wants/{unit}'."));
            }
            if known || was {
                return 0;
            }
            call.warn(format!("Failed to disable unit: Unit {unit} does not exist"));
            1
        }
        ["start", unit] => {
            if !units::exists(call.world, call.node, unit) {
                call.warn(format!("Failed to start {unit}: Unit {unit} not found."));
                return 5;
            }
            let code = units::start(call.world, call.node, unit);
            i32::from(code != 0 && !options.contains(&"--no-block"))
        }
        ["stop", unit] => {
            stop(call, unit);
            0
        }
        ["is-active", unit] => {
            let active = is_active(call, unit);
            if !quiet {
                call.print(if active { "active" } else { "inactive" });
            }
            // Of a unit that is not there at all: 4 (systemd 257).
            match (active, units::exists(call.world, call.node, unit)) {
                (true, _) => 0,
                (false, true) => 3,
                (false, false) => 4,
            }
        }
        ["is-enabled", unit] => {
            let enabled = host(call).is_some_and(|host| host.enabled.contains(unit));
            let known = units::exists(call.world, call.node, unit);
            if !quiet {
                call.print(match (enabled, known) {
                    (true, _) => "enabled",
                    (false, true) => "disabled",
                    (false, false) => "not-found",
                });
            }
            i32::from(!enabled)
        }
        _ => call.unknown(&args.join(" ")),
    }
}

fn host<'a>(call: &'a mut Call<'_>) -> Option<&'a mut crate::lab::world::Units> {
    call.world.nodes.get_mut(call.node).map(|node| &mut node.units)
}

fn enable(call: &mut Call<'_>, unit: &str, now: bool) -> i32 {
    if !units::exists(call.world, call.node, unit) {
        call.warn(format!("Failed to enable unit: Unit {unit} does not exist"));
        return 1;
    }
    let made = host(call).is_some_and(|host| host.enabled.insert(unit.to_owned()));
    if made {
        let link = format!("/etc/systemd/system/timers.target.wants/{unit}");
        call.warn(format!("Created symlink '{link}' → '/etc/systemd/system/{unit}'."));
    }
    // One that is active already goes on as it is.
    if now && !is_active(call, unit) { units::start(call.world, call.node, unit) } else { 0 }
}

fn stop(call: &mut Call<'_>, unit: &str) {
    if let Some(host) = host(call) {
        host.timers.remove(unit);
        host.restarts.remove(unit);
    }
}

fn is_active(call: &mut Call<'_>, unit: &str) -> bool {
    let service = unit.strip_suffix(".service").unwrap_or(unit);
    let own = call.world.nodes.get(call.node);
    own.is_some_and(|node| {
        node.units.timers.contains_key(unit)
            || node.units.restarts.contains_key(unit)
            || node.machine.units.get(&format!("{service}.service")).is_some_and(|known| known.running)
            || node.machine.units.get(unit).is_some_and(|known| known.running)
            || node.system.services.get(service).is_some_and(|service| service.running)
    })
}
