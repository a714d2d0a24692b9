//! systemd in guests: units of packages, unit files of the administrator's, what `systemd-run` makes, the journal.
//!
//! A service's command is run when it is started, and what it takes of the world's time is how long the unit is active: a
//! detached pull is over when its time has come, at the world's pace. `OnCalendar=` is kept and never elapses here. A unit
//! that was collected is told like one that never was: `inactive`, `success`. Facts: systemd 249-257, `systemd-run(1)`.

use super::docker::daemon;
use super::shell::{Call, Program, run_in_guest};
use super::world::{Guest, UnitRun, World};
use super::{guest_gpu, guests};

const DIRECTORY: &str = "/etc/systemd/system";
/// Units that every guest has, and that run.
const ALWAYS: [&str; 5] =
    ["ssh.service", "sshd.service", "cron.service", "systemd-journald.service", "systemd-resolved.service"];

/// The programs.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "systemd-run" => Some(systemd_run),
        "journalctl" => Some(journalctl),
        "reboot" => Some(reboot),
        _ => None,
    }
}

/// Does what was due in every guest by now; whether there was anything.
pub fn advance(world: &mut World) -> bool {
    let running: Vec<u32> =
        world.guests.iter().filter(|(_, guest)| guest.is_running()).map(|(vmid, _)| *vmid).collect();
    let mut any = false;
    for vmid in running {
        any |= settle(world, vmid);
    }
    any
}

/// Takes over what happened to a guest since: a boot, a timer that elapsed, a unit that ended.
pub fn settle(world: &mut World, vmid: u32) -> bool {
    let now_ms = world.now_ms;
    let Some(guest) = world.guests.get(&vmid).filter(|guest| guest.has_booted(now_ms)) else { return false };
    let boot = guest.run.as_ref().map_or(0, |run| run.started_ms);
    let mut any = false;
    if guest.inside.units.booted_ms != boot {
        guest_gpu::settle(world, vmid);
        daemon::settle(world, vmid);
        let Some(guest) = world.guests.get_mut(&vmid) else { return false };
        guest.inside.units.booted_ms = boot;
        guest.inside.units.services.clear();
        guest.inside.units.timers.clear();
        let enabled: Vec<String> = guest.inside.units.enabled.iter().cloned().collect();
        for unit in enabled.iter().filter(|unit| !unit.starts_with("docker.") && !unit.starts_with("containerd.")) {
            start(world, vmid, unit);
        }
        any = true;
    }
    let due: Vec<String> = world.guests.get(&vmid).map_or_else(Vec::new, |guest| {
        let timers = guest.inside.units.timers.iter();
        timers.filter(|(_, due)| due.is_some_and(|due| due <= now_ms)).map(|(name, _)| name.clone()).collect()
    });
    for timer in due {
        let again = seconds(world, vmid, &timer, "OnUnitActiveSec").map(|s| now_ms + s * 1000);
        let service = setting(world, vmid, &timer, "Unit").unwrap_or_else(|| timer.replace(".timer", ".service"));
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.inside.units.timers.insert(timer, again);
        }
        start(world, vmid, &service);
        any = true;
    }
    if let Some(guest) = world.guests.get_mut(&vmid) {
        let before = guest.inside.units.services.len();
        guest.inside.units.services.retain(|_, run| !(run.collect && run.ends_ms.is_some_and(|at| at <= now_ms)));
        any |= before != guest.inside.units.services.len();
    }
    any
}

fn full(unit: &str) -> String {
    if unit
        .rsplit_once('.')
        .is_some_and(|(_, kind)| ["service", "timer", "socket", "target", "mount", "path"].contains(&kind))
    {
        unit.to_owned()
    } else {
        format!("{unit}.service")
    }
}

fn text(world: &World, vmid: u32, unit: &str) -> Option<String> {
    world.guests.get(&vmid)?.text(&format!("{DIRECTORY}/{unit}"))
}

fn setting(world: &World, vmid: u32, unit: &str, key: &str) -> Option<String> {
    let text = text(world, vmid, unit)?;
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

/// `90`, `5min`, `1h` in seconds.
fn seconds(world: &World, vmid: u32, unit: &str, key: &str) -> Option<i64> {
    let text = setting(world, vmid, unit, key)?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..digits].parse().ok()?;
    Some(
        number
            * match text[digits..].trim() {
                "min" | "m" => 60,
                "h" => 3600,
                "d" => 86_400,
                _ => 1,
            },
    )
}

/// Whether there is such a unit.
fn exists(world: &World, vmid: u32, unit: &str) -> bool {
    let Some(guest) = world.guests.get(&vmid) else { return false };
    let engine = guest.docker.as_ref().is_some_and(|docker| !docker.engine.is_empty());
    match unit {
        "docker.service" | "docker.socket" => engine,
        "containerd.service" => guest.docker.as_ref().is_some_and(|docker| !docker.containerd.is_empty()),
        unit if ALWAYS.contains(&unit) => true,
        unit => text(world, vmid, unit).is_some() || guest.inside.units.services.contains_key(unit),
    }
}

/// State of a unit: active, sub-state, result, exit code of its process.
fn state(world: &World, vmid: u32, unit: &str) -> (&'static str, &'static str, &'static str, i32) {
    let Some(guest) = world.guests.get(&vmid) else { return ("inactive", "dead", "success", 0) };
    let docker = guest.docker.as_ref();
    match unit {
        "docker.service" => match docker {
            Some(docker) if docker.daemon.is_some() => ("active", "running", "success", 0),
            Some(docker) if docker.failed.is_some() => ("failed", "failed", "exit-code", 1),
            _ => ("inactive", "dead", "success", 0),
        },
        "docker.socket" | "containerd.service" if exists(world, vmid, unit) => ("active", "running", "success", 0),
        unit if ALWAYS.contains(&unit) => ("active", "running", "success", 0),
        unit if guest.inside.units.timers.contains_key(unit) => ("active", "waiting", "success", 0),
        unit => match guest.inside.units.services.get(unit) {
            None => ("inactive", "dead", "success", 0),
            Some(run) if run.ends_ms.is_none_or(|at| at > world.now_ms) => ("active", "running", "success", 0),
            Some(run) if run.collect => ("inactive", "dead", "success", 0),
            Some(run) if run.code != 0 => ("failed", "failed", "exit-code", run.code),
            Some(run) if run.remains => ("active", "exited", "success", 0),
            Some(_) => ("inactive", "dead", "success", 0),
        },
    }
}

fn say(guest: &mut Guest, at_ms: i64, unit: &str, lines: &str) {
    guest.inside.units.journal.extend(lines.lines().map(|line| (at_ms, unit.to_owned(), line.to_owned())));
}

/// Runs a command as a unit, for as long as it takes of the world's time.
fn run(world: &mut World, vmid: u32, unit: &str, line: &str, made: UnitRun) -> i32 {
    let started_ms = world.now_ms;
    let output = run_in_guest(world, vmid, line, b"");
    let ended_ms = world.now_ms;
    world.now_ms = started_ms;
    let Some(guest) = world.guests.get_mut(&vmid) else { return 1 };
    say(guest, started_ms, unit, &format!("Started {unit} - {}.", made.description));
    let said = [output.stdout, output.stderr].concat();
    say(guest, ended_ms, unit, &String::from_utf8_lossy(&said));
    if output.code == 0 {
        say(guest, ended_ms, unit, &format!("{unit}: Deactivated successfully."));
    } else {
        let code = output.code;
        say(
            guest,
            ended_ms,
            unit,
            &format!(
                "{unit}: Main process exited, code=exited, status={code}/n/a\n{unit}: Failed with result 'exit-code'."
            ),
        );
    }
    guest
        .inside
        .units
        .services
        .insert(unit.to_owned(), UnitRun { started_ms, ends_ms: Some(ended_ms), code: output.code, ..made });
    output.code
}

/// Starts a unit; what a oneshot service ends with, 0 for any other.
fn start(world: &mut World, vmid: u32, unit: &str) -> i32 {
    match unit {
        "docker.service" | "docker.socket" => {
            let result = daemon::start(world, vmid);
            let now_ms = world.now_ms;
            let Some(guest) = world.guests.get_mut(&vmid) else { return 1 };
            return match result {
                Ok(()) => {
                    say(
                        guest,
                        now_ms,
                        "docker.service",
                        "Started docker.service - Docker Application Container Engine.",
                    );
                    0
                }
                Err(why) => {
                    say(
                        guest,
                        now_ms,
                        "docker.service",
                        &format!(
                            "{why}\ndocker.service: Main process exited, code=exited, status=1/FAILURE\ndocker.service: Failed with result 'exit-code'."
                        ),
                    );
                    1
                }
            };
        }
        unit if ALWAYS.contains(&unit) || unit == "containerd.service" => return 0,
        _ => {}
    }
    if unit.ends_with(".timer") {
        let now_ms = world.now_ms;
        let after = |key: &str| seconds(world, vmid, unit, key).map(|s| now_ms + s * 1000);
        let due = [after("OnActiveSec"), after("OnBootSec"), after("OnUnitActiveSec")].into_iter().flatten().min();
        if let Some(guest) = world.guests.get_mut(&vmid) {
            guest.inside.units.timers.insert(unit.to_owned(), due);
        }
        return 0;
    }
    let Some(command) = setting(world, vmid, unit, "ExecStart") else { return 1 };
    let made = UnitRun {
        remains: setting(world, vmid, unit, "RemainAfterExit").is_some_and(|on| on == "yes" || on == "true"),
        description: setting(world, vmid, unit, "Description").unwrap_or_default(),
        ..UnitRun::default()
    };
    let oneshot = setting(world, vmid, unit, "Type").as_deref() == Some("oneshot");
    let line = command.trim_start_matches(['-', '@', '+', '!']).replace("/usr/bin/", "").replace("/bin/", "");
    let code = run(world, vmid, unit, &line, made);
    if oneshot { code } else { 0 }
}

fn stop(world: &mut World, vmid: u32, unit: &str) {
    if unit == "docker.service" {
        daemon::stop(world, vmid);
        if let Some(docker) = world.guests.get_mut(&vmid).and_then(|guest| guest.docker.as_mut()) {
            docker.failed = None;
        }
    }
    if let Some(guest) = world.guests.get_mut(&vmid) {
        guest.inside.units.services.remove(unit);
        guest.inside.units.timers.remove(unit);
    }
}

/// `systemctl`: none, where a unit is somebody else's.
pub fn systemctl(call: &mut Call<'_>) -> Option<i32> {
    let vmid = guests::own(call.world, call.node)?;
    let (mut options, mut words, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    let mut args = call.args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "-p" | "--property" => wanted.extend(args.next().unwrap_or_default().split(',').map(str::to_owned)),
            arg if arg.starts_with("--property=") => wanted.extend(arg[11..].split(',').map(str::to_owned)),
            arg if arg.starts_with("-p") && arg.len() > 2 => wanted.push(arg[2..].to_owned()),
            arg if arg.starts_with('-') => options.push(arg.to_owned()),
            word => words.push(word.to_owned()),
        }
    }
    let others = ["tailscaled", "caddy", "named", "traefik", "bind9"];
    let bare = |unit: &str| unit.trim_end_matches(".service").to_owned();
    if words.get(1..).unwrap_or_default().iter().any(|unit| others.contains(&bare(unit).as_str())) {
        return None;
    }
    let known = [
        "--now",
        "--no-block",
        "--quiet",
        "-q",
        "--no-pager",
        "--value",
        "--plain",
        "--no-legend",
        "--full",
        "--failed",
        "--all",
    ];
    if let Some(option) = options.iter().find(|option| !known.contains(&option.as_str())) {
        return Some(call.unknown(option));
    }
    let has = |option: &str| options.iter().any(|own| own == option);
    let Some((verb, units)) = words.split_first() else { return Some(call.unknown("nothing")) };
    if verb == "daemon-reload" {
        reloaded(call.world, vmid);
        return Some(0);
    }
    if verb == "reboot" {
        return Some(reboot(call));
    }
    let mut code = 0;
    for unit in units.iter().map(|unit| full(unit)) {
        code = code.max(one(call, vmid, verb, &unit, &options, &wanted, has("--value")));
    }
    Some(code)
}

/// Containers that NVIDIA's legacy hook gave the card lose it with a reload of systemd: its cgroup rules are written anew
/// (nvidia-container-toolkit #48), where cgroups are systemd's to keep.
fn reloaded(world: &mut World, vmid: u32) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    if !guest.inside.faults.contains("gpu-lost-on-reload") {
        return;
    }
    for container in guest.docker.iter_mut().flat_map(|docker| docker.containers.values_mut()) {
        container.has_gpu = false;
    }
}

fn one(
    call: &mut Call<'_>,
    vmid: u32,
    verb: &str,
    unit: &str,
    options: &[String],
    wanted: &[String],
    values: bool,
) -> i32 {
    let has = |option: &str| options.iter().any(|own| own == option);
    let quiet = has("--quiet") || has("-q");
    let there = exists(call.world, vmid, unit);
    let (active, sub, result, status) = state(call.world, vmid, unit);
    let enabled = call.world.guests.get(&vmid).is_some_and(|guest| guest.inside.units.enabled.contains(unit))
        || ALWAYS.contains(&unit);
    match verb {
        "show" => {
            let guest = call.world.guests.get(&vmid);
            let run = guest.and_then(|guest| guest.inside.units.services.get(unit)).cloned().unwrap_or_default();
            // In the order of their interfaces, whatever order they are asked for in.
            let all = [
                ("Type", "simple".to_owned()),
                (
                    "MainPID",
                    if active == "active" && sub == "running" {
                        (900 + unit.len()).to_string()
                    } else {
                        "0".to_owned()
                    },
                ),
                ("Result", result.to_owned()),
                ("NRestarts", "0".to_owned()),
                ("ExecMainCode", i32::from(status != 0).to_string()),
                ("ExecMainStatus", status.to_string()),
                ("Id", unit.to_owned()),
                ("Description", if run.description.is_empty() { unit.to_owned() } else { run.description }),
                ("LoadState", if there { "loaded" } else { "not-found" }.to_owned()),
                ("ActiveState", active.to_owned()),
                ("SubState", sub.to_owned()),
                (
                    "UnitFileState",
                    if !there {
                        ""
                    } else if enabled {
                        "enabled"
                    } else {
                        "disabled"
                    }
                    .to_owned(),
                ),
            ];
            for (name, value) in
                all.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|own| own == name))
            {
                call.print(if values { value.clone() } else { format!("{name}={value}") });
            }
            0
        }
        "is-active" => {
            if !quiet {
                call.print(active);
            }
            if active == "active" { 0 } else { 3 }
        }
        "is-failed" => {
            if !quiet {
                call.print(active);
            }
            i32::from(active != "failed")
        }
        "is-enabled" => {
            if !there {
                if !quiet {
                    call.warn(format!("Failed to get unit file state for {unit}: No such file or directory"));
                }
                return 1;
            }
            if !quiet {
                call.print(if enabled { "enabled" } else { "disabled" });
            }
            i32::from(!enabled)
        }
        "status" => {
            call.print(format!("● {unit}\n     Active: {active} ({sub})"));
            if active == "active" {
                0
            } else if there {
                3
            } else {
                4
            }
        }
        "reset-failed" => {
            if !there && active != "failed" {
                call.warn(format!("Failed to reset failed state of unit {unit}: Unit {unit} not loaded."));
                return 1;
            }
            if let Some(guest) = call.world.guests.get_mut(&vmid) {
                guest.inside.units.services.retain(|name, run| name != unit || run.code == 0);
                if let Some(docker) = guest.docker.as_mut().filter(|_| unit == "docker.service") {
                    docker.failed = None;
                }
            }
            0
        }
        "enable" | "disable" if !there => {
            call.warn(format!("Failed to {verb} unit: Unit file {unit} does not exist."));
            1
        }
        "enable" => {
            if let Some(guest) = call.world.guests.get_mut(&vmid)
                && guest.inside.units.enabled.insert(unit.to_owned())
            {
                let target = if unit.ends_with(".timer") { "timers" } else { "multi-user" };
                call.warn(format!("Created symlink {DIRECTORY}/{target}.target.wants/{unit} → {DIRECTORY}/{unit}."));
            }
            if has("--now") && active != "active" { begin(call, vmid, "start", unit) } else { 0 }
        }
        "disable" => {
            if let Some(guest) = call.world.guests.get_mut(&vmid) {
                guest.inside.units.enabled.remove(unit);
            }
            if has("--now") {
                stop(call.world, vmid, unit);
            }
            0
        }
        "stop" if !there => {
            call.warn(format!("Failed to stop {unit}: Unit {unit} not loaded."));
            5
        }
        "stop" => {
            stop(call.world, vmid, unit);
            0
        }
        "start" | "restart" | "reload" | "reload-or-restart" | "try-restart" if !there => {
            call.warn(format!("Failed to {verb} {unit}: Unit {unit} not found."));
            5
        }
        "start" if active == "active" => 0,
        "reload" if unit == "docker.service" => 0,
        "try-restart" if active != "active" => 0,
        "start" | "restart" | "reload" | "reload-or-restart" | "try-restart" => {
            if verb != "start" {
                stop(call.world, vmid, unit);
            }
            begin(call, vmid, "start", unit)
        }
        _ => call.unknown(verb),
    }
}

fn begin(call: &mut Call<'_>, vmid: u32, verb: &str, unit: &str) -> i32 {
    let code = start(call.world, vmid, unit);
    if code == 0 {
        return 0;
    }
    call.warn(format!(
        "Job for {unit} failed because the control process exited with error code.\nSee \"systemctl status {unit}\" and \"journalctl -xeu {unit}\" for details."
    ));
    let _ = verb;
    1
}

/// `systemd-run [--unit=NAME] [--collect] [--wait] … COMMAND…`.
fn systemd_run(call: &mut Call<'_>) -> i32 {
    let Some(vmid) = guests::own(call.world, call.node) else { return 1 };
    let (mut unit, mut made, mut quiet, mut waits, mut at) =
        (None, UnitRun { transient: true, ..UnitRun::default() }, false, false, 0);
    while let Some(arg) = call.args.get(at) {
        at += 1;
        match arg.split_once('=').unwrap_or((arg, "")) {
            ("--", "") => break,
            ("--unit", name) if !name.is_empty() => unit = Some(full(name)),
            ("--collect" | "-G", "") => made.collect = true,
            ("--quiet" | "-q", "") => quiet = true,
            ("--wait", "") => waits = true,
            ("--no-block", "") => {}
            ("--description", text) => made.description = text.to_owned(),
            ("--property", setting) => made.remains |= setting == "RemainAfterExit=yes",
            ("-p", "") => {
                made.remains |= call.args.get(at).is_some_and(|setting| setting == "RemainAfterExit=yes");
                at += 1;
            }
            ("--remain-after-exit" | "-r", "") => made.remains = true,
            ("--setenv" | "--service-type" | "--slice" | "--uid" | "--working-directory", _) => {}
            (option, _) if option.starts_with('-') => return call.unknown(arg),
            _ => {
                at -= 1;
                break;
            }
        }
    }
    let words = &call.args[at.min(call.args.len())..];
    if words.is_empty() {
        return call.fail(1, "Command line to execute required.");
    }
    let unit = unit.unwrap_or_else(|| format!("run-u{}.service", call.world.next_pid()));
    if exists(call.world, vmid, &unit) {
        call.warn(format!(
            "Failed to start transient service unit: Unit {unit} was already loaded or has a fragment file."
        ));
        return 1;
    }
    let line = words.iter().map(|word| crate::ports::quote(word)).collect::<Vec<_>>().join(" ");
    if made.description.is_empty() {
        made.description = words.join(" ");
    }
    if !quiet {
        call.warn(format!("Running as unit: {unit}"));
    }
    let code = run(call.world, vmid, &unit, &line, made);
    if !waits {
        return 0;
    }
    let ended = call.world.guests.get(&vmid).and_then(|guest| guest.inside.units.services.get(&unit)?.ends_ms);
    call.world.now_ms = call.world.now_ms.max(ended.unwrap_or_default());
    settle(call.world, vmid);
    code
}

/// `journalctl -u UNIT [-n N] [-o cat] [--no-pager]`.
fn journalctl(call: &mut Call<'_>) -> i32 {
    let Some(guest) = guests::own(call.world, call.node).and_then(|vmid| call.world.guests.get(&vmid)).cloned() else {
        return 1;
    };
    let (mut units, mut count, mut cat) = (Vec::new(), usize::MAX, false);
    let mut args = call.args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg.split_once('=').unwrap_or((arg, "")) {
            ("-u" | "--unit", "") => units.push(full(args.next().unwrap_or_default())),
            ("--unit", unit) => units.push(full(unit)),
            ("-n" | "--lines", "") => count = args.next().and_then(|n| n.parse().ok()).unwrap_or(10),
            ("--lines", n) => count = n.parse().unwrap_or(10),
            ("-o" | "--output", "") => cat = args.next() == Some("cat"),
            ("--output", form) => cat = form == "cat",
            ("--no-pager" | "-q" | "--quiet" | "-b" | "--boot" | "--no-hostname", _) => {}
            ("--since", _) => drop(arg.contains('=').then_some(()).or_else(|| args.next().map(drop))),
            (option, _) if option.starts_with("-n") => count = option[2..].parse().unwrap_or(10),
            _ => return call.unknown(arg),
        }
    }
    let now_ms = call.world.now_ms;
    let fits = |(at, unit, _): &&(i64, String, String)| *at <= now_ms && (units.is_empty() || units.contains(unit));
    let found: Vec<_> = guest.inside.units.journal.iter().filter(fits).collect();
    if found.is_empty() {
        call.print("-- No entries --");
        return 0;
    }
    for (at, unit, line) in &found[found.len().saturating_sub(count)..] {
        if cat {
            call.print(line);
            continue;
        }
        let when = jiff::Timestamp::from_millisecond(*at).unwrap_or_default().strftime("%b %d %H:%M:%S");
        let line = format!("{when} {} {}[900]: {line}", call.node, unit.trim_end_matches(".service"));
        call.print(line);
    }
    0
}

/// `reboot`: the guest's system ends and begins anew, as its own init does it.
fn reboot(call: &mut Call<'_>) -> i32 {
    let Some(vmid) = guests::own(call.world, call.node) else { return 1 };
    let (now_ms, pace) = (call.world.now_ms, i64::from(call.world.pace));
    if let Some(run) = call.world.guests.get_mut(&vmid).and_then(|guest| guest.run.as_mut()) {
        // Another moment than the last boot's, whatever the world's pace.
        run.started_ms = now_ms.max(run.started_ms + 1);
        run.booted_ms = Some((now_ms + 20_000 * pace / 100).max(run.started_ms));
    }
    0
}
