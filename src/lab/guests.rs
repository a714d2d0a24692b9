//! What is behind a guest's own SSH door: barely a system, but one that is up or down with its guest.
//!
//! Owns the few programs that a guest answers and where it is reached. Modelled is whether and as whom
//! it answers, not what services in it do.

use super::shell::{Call, Program, programs};
use super::world::property::Properties;
use super::world::{Guest, GuestKind, World};

/// The guest that answers at an address: running, and its system has come up.
#[must_use]
pub fn at(world: &World, address: &str) -> Option<u32> {
    let found = world.guests.iter().find(|(_, guest)| address_of(guest).as_deref() == Some(address));
    found.filter(|(_, guest)| guest.has_booted(world.now_ms)).map(|(vmid, _)| *vmid)
}

/// The static IPv4 address of a guest's first interface.
fn address_of(guest: &Guest) -> Option<String> {
    let key = if guest.kind == GuestKind::Lxc { "net0" } else { "ipconfig0" };
    let properties = Properties::parse(guest.config.get(key)?);
    let (address, _) = properties.get("ip")?.split_once('/')?;
    Some(address.to_owned())
}

/// The programs inside a guest.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "cat" => Some(cat),
        "echo" | "false" | "hostname" | "id" | "printf" | "test" | "[" | "true" | "uname" => programs::program(name),
        _ => None,
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
            "/etc/os-release" => {
                call.print("PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\nVERSION_ID=\"13\"")
            }
            path => code = call.fail(1, format!("{path}: No such file or directory")),
        }
    }
    code
}
