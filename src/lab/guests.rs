//! What is behind a guest's own SSH door: barely a system, but one that is up or down with its guest.
//!
//! Owns the few programs that a guest answers and where it is reached. Modelled is whether and as whom
//! it answers, not what services in it do.

use std::net::IpAddr;

use super::rules::reach::{self, Ended};
use super::shell::{Call, Program, programs};
use super::world::World;

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
        "cat" => Some(cat),
        "timeout" => Some(timeout),
        "echo" | "false" | "hostname" | "id" | "printf" | "[" | "true" | "uname" => programs::program(name),
        _ => super::guest_files::find(name),
    }
}

fn cat(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let mut code = 0;
    for path in args {
        match path.as_str() {
            "/etc/hostname" => {
                let name = call.node;
                call.print(name);
            }
            "/proc/self/uid_map" => {
                let own = call.world.guests.iter().find(|(vmid, guest)| guest.name(**vmid) == call.node);
                let shifted = own.is_some_and(|(_, guest)| guest.number("unprivileged", 0) == 1);
                let (outside, count) = if shifted { (100_000, 65_536) } else { (0, u32::MAX) };
                call.print(format!("{:>10} {outside:>10} {count:>10}", 0));
            }
            "/proc/net/tcp" => {
                call.print("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid");
                call.print("   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0");
            }
            "/proc/net/arp" => {
                call.print("IP address       HW type     Flags       HW address            Mask     Device");
                for address in neighbours(call) {
                    call.print(format!("{address:<16} 0x1         0x2         bc:24:11:00:00:01     *        eth0"));
                }
            }
            "/etc/os-release" => {
                call.print("PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\nVERSION_ID=\"13\"")
            }
            path => code = call.fail(1, format!("{path}: No such file or directory")),
        }
    }
    code
}

/// Who else is up on a guest's node; a kernel knows those that it asked for lately.
fn neighbours(call: &Call<'_>) -> Vec<IpAddr> {
    let Some(own) = call.world.guests.iter().find(|(vmid, guest)| guest.name(**vmid) == call.node) else {
        return Vec::new();
    };
    let others = call.world.guests.iter().filter(|(vmid, other)| *vmid != own.0 && other.node == own.1.node);
    others
        .filter(|(_, other)| other.has_booted(call.world.now_ms))
        .filter_map(|(_, other)| reach::address(other))
        .collect()
}

/// `bash -c 'exec 3<>/dev/tcp/ADDRESS/PORT && echo …'`: the one script that this bash knows, a connection that is
/// opened and, once it stands, said.
fn bash(call: &mut Call<'_>) -> i32 {
    if let Some(code) = super::guest_files::loopback(call) {
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
        _ => call.unknown("timeout of anything but bash"),
    }
}
