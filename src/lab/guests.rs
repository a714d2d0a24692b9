//! What is behind a guest's own SSH door: barely a system, but one that is up or down with its guest.
//!
//! Owns the few programs that a guest answers and where it is reached. Modelled is whether and as whom
//! it answers, not what services in it do.

use std::net::IpAddr;

use super::rules::reach::{self, Ended};
use super::shell::{Call, Program, programs};
use super::world::{GuestKind, World};
use super::{docker, guest_files, guest_gpu, guest_packages, guest_smi, guest_tailscale, guest_units};

/// The guest that answers at an address: running, and its system has come up.
#[must_use]
pub fn at(world: &World, address: &str) -> Option<u32> {
    let address: IpAddr = address.parse().ok()?;
    let found = world.guests.iter().find(|(_, guest)| reach::address(guest) == Some(address));
    found.filter(|(_, guest)| guest.has_booted(world.now_ms)).map(|(vmid, _)| *vmid)
}

/// The guest whose programs run under this name.
#[must_use]
pub fn own(world: &World, name: &str) -> Option<u32> {
    world.guests.iter().find(|(vmid, guest)| guest.name(**vmid) == name).map(|(vmid, _)| *vmid)
}

/// The programs inside a guest.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "docker" => Some(docker::command::run),
        "bash" => Some(bash),
        "systemctl" => Some(systemctl),
        "timeout" => Some(timeout),
        "getent" => Some(getent),
        "perl" => Some(perl),
        "[" | "cat" | "chmod" | "chown" | "cmp" | "cp" | "date" | "dd" | "echo" | "env" | "false" | "find" | "grep"
        | "head" | "hostname" | "id" | "install" | "ls" | "mkdir" | "mv" | "printf" | "readlink" | "rm" | "rmdir"
        | "sha256sum" | "sleep" | "stat" | "sync" | "tail" | "tee" | "test" | "touch" | "true" | "uname" => {
            programs::program(name)
        }
        "df" => Some(df),
        "ps" => Some(guest_smi::ps),
        "cloud-init" => Some(cloud_init),
        _ => guest_units::find(name)
            .or_else(|| guest_packages::find(name))
            .or_else(|| guest_gpu::find(name))
            .or_else(|| guest_smi::find(name))
            .or_else(|| guest_tailscale::find(name))
            .or_else(|| guest_files::find(name)),
    }
}

/// `bash -c 'exec 3<>/dev/tcp/ADDRESS/PORT && echo …'`: the one script that this bash knows, a connection that is
/// opened and, once it stands, said.
fn bash(call: &mut Call<'_>) -> i32 {
    if let Some(code) = published(call) {
        return code;
    }
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

/// The same script about the guest itself, where a container publishes the port; none otherwise.
fn published(call: &mut Call<'_>) -> Option<i32> {
    let [flag, script] = call.args else { return None };
    let (port, said) = script.strip_prefix("exec 3<>/dev/tcp/127.0.0.1/")?.split_once(" && echo ")?;
    let port: u16 = port.parse().ok().filter(|_| flag == "-c")?;
    let vmid = own(call.world, call.node)?;
    docker::network::behind(call.world, vmid, IpAddr::from([127, 0, 0, 1]), port)?;
    call.print(said);
    Some(0)
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
        [seconds, program, rest @ ..] if seconds.parse::<u32>().is_ok() && program == "docker" => {
            call.args = rest;
            call.name = "docker";
            docker::command::run(call)
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

/// The scripts that this perl knows: one that asks over HTTP, and one with `SECONDS PORT…` behind it, listeners that end
/// by themselves.
fn perl(call: &mut Call<'_>) -> i32 {
    if let Some(code) = super::guest_http::perl(call) {
        return code;
    }
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
        let taken =
            call.world.guests.get(&vmid).is_none_or(|guest| {
                guest.listens(port, now) || docker::network::listens(call.world, vmid, guest, port)
            });
        let Some(guest) = call.world.guests.get_mut(&vmid).filter(|_| !taken) else { continue };
        guest.listeners.insert(port, until);
        call.print(port.to_string());
    }
    0
}

/// `df [-B1] --output=FIELD,… PATH…`: every path is on the guest's one disk.
fn df(call: &mut Call<'_>) -> i32 {
    let fields = call.args.iter().find_map(|word| word.strip_prefix("--output="));
    let Some(fields) = fields.filter(|_| call.args.iter().any(|word| word == "-B1")).map(str::to_owned) else {
        return call.unknown(&call.args.join(" "));
    };
    let Some(guest) = own(call.world, call.node).and_then(|vmid| call.world.guests.get(&vmid)) else { return 1 };
    let (size, used) = (super::guest_disk::size(guest), super::guest_disk::used(guest));
    let paths: Vec<String> = call.args.iter().filter(|word| !word.starts_with('-')).cloned().collect();
    let names = |field: &str| match field {
        "size" => "1B-blocks",
        "used" => "Used",
        "avail" => "Avail",
        "source" => "Filesystem",
        "fstype" => "Type",
        "pcent" => "Use%",
        "target" => "Mounted on",
        _ => "File",
    };
    let fields: Vec<&str> = fields.split(',').collect();
    call.print(fields.iter().map(|field| names(field)).collect::<Vec<_>>().join(" "));
    for path in paths {
        let cell = |field: &&str| match *field {
            "size" => size.to_string(),
            "used" => used.to_string(),
            "avail" => (size - used).to_string(),
            "source" => "/dev/sda1".to_owned(),
            "fstype" => "ext4".to_owned(),
            "pcent" => format!("{}%", used * 100 / size.max(1)),
            "target" => "/".to_owned(),
            _ => path.clone(),
        };
        call.print(fields.iter().map(cell).collect::<Vec<_>>().join(" "));
    }
    0
}

/// `cloud-init status [--wait]`: done once the system has come up; containers have none.
fn cloud_init(call: &mut Call<'_>) -> i32 {
    let guest = own(call.world, call.node).and_then(|vmid| call.world.guests.get(&vmid));
    if guest.is_some_and(|guest| guest.kind == GuestKind::Lxc) {
        call.warn("sh: 1: cloud-init: not found");
        return 127;
    }
    call.print("status: done");
    0
}

/// `systemctl`: of each unit, whoever models it knows.
fn systemctl(call: &mut Call<'_>) -> i32 {
    if let Some(code) = guest_units::systemctl(call) {
        return code;
    }
    if let Some(code) = guest_tailscale::systemctl(call) {
        return code;
    }
    guest_files::find("systemctl").map_or(127, |program| program(call))
}
