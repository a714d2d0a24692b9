//! What is behind a guest's own SSH door: barely a system, but one that is up or down with its guest.
//!
//! Owns the few programs that a guest answers and where it is reached. Modelled is whether and as whom
//! it answers, not what services in it do.

use std::net::IpAddr;

use super::rules::reach::{self, Ended};
use super::shell::{Call, Program, programs};
use super::world::World;
use super::{guest_files, guest_tailscale};

/// The guest that answers at an address: running, and its system has come up.
#[must_use]
pub fn at(world: &World, address: &str) -> Option<u32> {
    let address: IpAddr = address.parse().ok()?;
    let found = world.guests.iter().find(|(_, guest)| reach::address(guest) == Some(address));
    found.filter(|(_, guest)| guest.has_booted(world.now_ms)).map(|(vmid, _)| *vmid)
}

/// The programs inside a guest.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "bash" => Some(bash),
        "systemctl" => Some(systemctl),
        "timeout" => Some(timeout),
        "getent" => Some(getent),
        "perl" => Some(perl),
        "[" | "cat" | "chmod" | "chown" | "cmp" | "cp" | "date" | "dd" | "echo" | "env" | "false" | "find" | "grep"
        | "head" | "hostname" | "id" | "install" | "ls" | "mkdir" | "mv" | "printf" | "readlink" | "rm" | "rmdir"
        | "sha256sum" | "sleep" | "stat" | "tee" | "test" | "touch" | "true" | "uname" => programs::program(name),
        _ => guest_tailscale::find(name).or_else(|| guest_files::find(name)),
    }
}

/// `bash -c 'exec 3<>/dev/tcp/ADDRESS/PORT && echo …'`: the one script that this bash knows, a connection that is
/// opened and, once it stands, said.
fn bash(call: &mut Call<'_>) -> i32 {
    if let Some(code) = guest_files::loopback(call) {
        return code;
    }
    if let Some(code) = super::guest_names::asked(call) {
        return code;
    }
    let Some((ended, target, said)) = connection(call, call.args) else { return call.unknown("any other script") };
    match ended {
        Ended::Open => {
            call.print(said);
            0
        }
        Ended::Refused => {
            call.warn("bash: connect: Connection refused");
            call.warn(format!("bash: line 1: {target}: Connection refused"));
            1
        }
        Ended::Silent => {
            call.warn("bash: connect: Connection timed out");
            call.warn(format!("bash: line 1: {target}: Connection timed out"));
            1
        }
    }
}

fn connection(call: &Call<'_>, args: &[String]) -> Option<(Ended, String, String)> {
    let [flag, script] = args else { return None };
    let (target, said) = script.strip_prefix("exec 3<>")?.split_once(" && echo ")?;
    let (address, port) = target.strip_prefix("/dev/tcp/")?.split_once('/')?;
    // A link-local address names the card, too.
    let address = address.split('%').next().unwrap_or(address);
    let (address, port): (IpAddr, u16) = (address.parse().ok()?, port.parse().ok()?);
    let (vmid, _) = call.world.guests.iter().find(|(vmid, guest)| guest.name(**vmid) == call.node)?;
    let ended = reach::connect(call.world, *vmid, address, port);
    (flag == "-c").then(|| (ended, target.to_owned(), said.to_owned()))
}

/// `timeout SECONDS bash -c …`: ends what would wait for an answer for minutes.
fn timeout(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    match args {
        [seconds, program, rest @ ..] if seconds.parse::<u32>().is_ok() && program == "bash" => {
            if matches!(connection(call, rest), Some((Ended::Silent, ..))) {
                return 124;
            }
            call.args = rest;
            call.name = "bash";
            bash(call)
        }
        [seconds, program, rest @ ..] if seconds.parse::<u32>().is_ok() && program == "getent" => {
            call.args = rest;
            call.name = "getent";
            getent(call)
        }
        [seconds, program, ..] if seconds.parse::<u32>().is_ok() && program == "curl" => {
            // No guest of a lab has it unless somebody models it.
            call.warn("timeout: failed to run command 'curl': No such file or directory");
            127
        }
        [seconds, program, rest @ ..] if seconds.parse::<u32>().is_ok() && program == "tailscale" => {
            call.args = rest;
            guest_tailscale::find("tailscale").map_or(127, |program| program(call))
        }
        _ => call.unknown("timeout of any other program"),
    }
}

/// `getent hosts NAME`: what `/etc/hosts` says; no name server of a lab knows names of guests.
fn getent(call: &mut Call<'_>) -> i32 {
    let [database, name] = call.args else { return call.unknown(&call.args.join(" ")) };
    if database != "hosts" {
        return call.unknown(database);
    }
    let text = super::guest_files::content(call, "/etc/hosts").unwrap_or_default();
    let line = text.lines().find(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().skip(1).any(|own| own == name)
    });
    // Outside names are those of whoever models what is behind them.
    let Some(line) = line else { return guest_tailscale::find("getent").map_or(2, |program| program(call)) };
    let mut words = line.split_whitespace();
    let address = words.next().unwrap_or_default();
    call.print(format!("{address:<15} {}", words.collect::<Vec<_>>().join(" ")));
    0
}

/// The one script that this perl knows: `SECONDS PORT…` behind it, listeners that end by themselves.
fn perl(call: &mut Call<'_>) -> i32 {
    let [socket, posix, flag, script, seconds, ports @ ..] = call.args else {
        return call.unknown(&call.args.join(" "));
    };
    let known = socket == "-MSocket" && posix.starts_with("-MPOSIX") && flag == "-e" && script.contains("listen(");
    let (Ok(seconds), true) = (seconds.parse::<i64>(), known) else { return call.unknown("any other script") };
    let until = call.world.now_ms + seconds * 1000;
    let now = call.world.now_ms;
    let name = call.node;
    let Some((vmid, _)) = call.world.guests.iter().find(|(vmid, guest)| guest.name(**vmid) == name) else { return 1 };
    let vmid = *vmid;
    for port in ports.iter().filter_map(|port| port.parse::<u16>().ok()) {
        let Some(guest) = call.world.guests.get_mut(&vmid).filter(|guest| !guest.listens(port, now)) else { continue };
        guest.listeners.insert(port, until);
        call.print(port.to_string());
    }
    0
}

/// `systemctl`: of each unit, whoever models it knows.
fn systemctl(call: &mut Call<'_>) -> i32 {
    if let Some(code) = guest_tailscale::systemctl(call) {
        return code;
    }
    guest_files::find("systemctl").map_or(127, |program| program(call))
}
