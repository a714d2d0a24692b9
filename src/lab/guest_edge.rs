//! BIND, Traefik and `dpkg -V` in a guest: what a name server and a second kind of reverse proxy need.
//!
//! Modelled is whether BIND takes zones and which it serves after a reload, that Traefik reads what it is started with
//! only then, and whether a package's configuration was changed. A guest has a program once it is among its files.

use std::collections::BTreeMap;

use super::guest_files::{CADDY, content};
use super::shell::{Call, Program};
use super::world::{File, Guest};
use crate::model::guest_look::GuestLook;

/// Debian's name server.
pub const NAMED: &str = "/usr/sbin/named";
/// What BIND serves: a line with name and serial per zone; in memory in truth.
pub const SERVED: &str = "/run/named/served";
/// Names of zones that BIND does not load, whatever their files say.
pub const STUBBORN: &str = "/run/named/stubborn";
/// Where people put Traefik.
pub const TRAEFIK: &str = "/usr/local/bin/traefik";
/// What Traefik was started with; in memory in truth.
pub const TRAEFIK_RUNS: &str = "/run/traefik/running";

const NAMED_LOCAL: &str = "/etc/bind/named.conf.local";

/// What a package brings, by its program.
const PACKAGED: [(&str, &str, &str, &str); 2] = [
    ("caddy", CADDY, "/etc/caddy/Caddyfile", "# The Caddyfile is an easy way to configure your Caddy web server.\n"),
    ("bind9", NAMED, NAMED_LOCAL, "//\n// Do any local configuration here\n//\n"),
];

/// Puts what a package brings into a guest, its configuration aside.
pub fn install(guest: &mut Guest, package: &str) {
    let (program, directories): (&str, &[&str]) = match package {
        "caddy" => (CADDY, &["/etc/caddy"]),
        "bind9" => (NAMED, &["/etc/bind", "/var/lib/bind"]),
        _ => (TRAEFIK, &["/etc/traefik"]),
    };
    guest.put(program, "2.6.2");
    for path in directories {
        guest.directories.insert((*path).to_owned(), File { mode: 0o755, ..File::default() });
    }
}

/// The programs.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "dpkg" => Some(dpkg),
        "named-checkconf" => Some(checkconf),
        "named-checkzone" => Some(checkzone),
        "rndc" => Some(rndc),
        _ => None,
    }
}

/// What was seen in a guest, in a twin of it. Of files only the beginning is known.
pub fn seed(guest: &mut Guest, look: &GuestLook) {
    for path in look.there.iter().filter(|path| !path.ends_with(".infra-new")) {
        guest.put(path, "2.6.2".to_owned());
    }
    for (path, file) in &look.files {
        let serial = file.serial.map(|serial| format!("\t{serial} ; serial\n")).unwrap_or_default();
        guest.put(path, format!("{}\n{serial}", file.first_line.as_deref().unwrap_or_default()));
    }
}

fn put(call: &mut Call<'_>, path: &str, text: String) {
    let name = call.node;
    if let Some((_, guest)) = call.world.guests.iter_mut().find(|(vmid, guest)| guest.name(**vmid) == name) {
        guest.put(path, text);
    }
}

/// `dpkg -V PACKAGE`: a line for each file that is not as it was brought.
fn dpkg(call: &mut Call<'_>) -> i32 {
    let [flag, package] = call.args else { return call.unknown(&call.args.join(" ")) };
    if flag != "-V" {
        return call.unknown(flag);
    }
    let known = PACKAGED.iter().find(|(name, ..)| name == package);
    let Some((_, _, path, own)) = known.filter(|(_, program, ..)| content(call, program).is_some()) else {
        call.warn(format!("dpkg-query: package '{package}' is not installed"));
        return 1;
    };
    if content(call, path).is_some_and(|text| text != **own) {
        call.print(format!("??5?????? c {path}"));
        return 1;
    }
    0
}

/// The serial of a zone's file, or what is wrong with it.
fn serial(text: &str) -> Result<u32, String> {
    let soa = text.lines().any(|line| line.contains(" SOA "));
    let serial = text.lines().find_map(|line| line.strip_suffix(" ; serial")?.trim().parse().ok());
    match serial.filter(|_| soa) {
        Some(serial) => Ok(serial),
        None => Err("has no SOA record".to_owned()),
    }
}

fn checkzone(call: &mut Call<'_>) -> i32 {
    let [zone, path] = call.args else { return call.unknown(&call.args.join(" ")) };
    if content(call, NAMED).is_none() {
        return missing(call, "named-checkzone");
    }
    let judged = content(call, path).map(|text| serial(&text));
    match judged {
        None => {
            call.print(format!("zone {zone}/IN: loading from master file {path} failed: file not found"));
            1
        }
        Some(Err(why)) => {
            call.print(format!("zone {zone}/IN: {why}\nzone {zone}/IN: not loaded due to errors."));
            1
        }
        Some(Ok(serial)) => {
            call.print(format!("zone {zone}/IN: loaded serial {serial}\nOK"));
            0
        }
    }
}

fn missing(call: &mut Call<'_>, program: &str) -> i32 {
    call.warn(format!("sh: 1: {program}: not found"));
    127
}

/// Zones that a configuration names, with their files; or what is wrong with it.
fn zones(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut zones = BTreeMap::new();
    let mut at: Option<String> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(name) = line.strip_prefix("zone \"").and_then(|rest| rest.split('"').next()) {
            if at.is_some() {
                return Err("missing '}' before 'zone'".to_owned());
            }
            at = Some(name.to_owned());
        } else if let Some(file) = line.strip_prefix("file \"").and_then(|rest| rest.split('"').next()) {
            let Some(name) = &at else { return Err("unknown option 'file'".to_owned()) };
            if zones.insert(name.clone(), file.to_owned()).is_some() {
                return Err(format!("zone '{name}': already exists"));
            }
        } else if line == "};" && at.take().is_none() {
            return Err("unexpected token near '}'".to_owned());
        }
    }
    at.map_or(Ok(zones), |_| Err("unexpected end of input".to_owned()))
}

/// `named-checkconf [FILE]`; of the whole only what a site adds is modelled.
fn checkconf(call: &mut Call<'_>) -> i32 {
    let path = call.args.first().cloned().unwrap_or_else(|| NAMED_LOCAL.to_owned());
    if content(call, NAMED).is_none() {
        return missing(call, "named-checkconf");
    }
    match content(call, &path).map(|text| zones(&text)) {
        None => {
            call.warn(format!("{path}:0: open: {path}: file not found"));
            1
        }
        Some(Err(why)) => {
            call.warn(format!("{path}:1: {why}"));
            1
        }
        Some(Ok(_)) => 0,
    }
}

/// `systemctl` about BIND and Traefik.
pub fn systemctl(call: &mut Call<'_>) -> i32 {
    match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["reload-or-restart", "named"] if content(call, NAMED).is_some() => {
            let text = content(call, NAMED_LOCAL).unwrap_or_default();
            let stubborn = content(call, STUBBORN).unwrap_or_default();
            let mut served = String::new();
            for (zone, file) in zones(&text).unwrap_or_default() {
                if let Some(Ok(serial)) = content(call, &file).map(|text| serial(&text))
                    && !stubborn.lines().any(|name| name == zone)
                {
                    served.push_str(&format!("{zone} {serial}\n"));
                }
            }
            put(call, SERVED, served);
            0
        }
        ["restart", "traefik"] if content(call, TRAEFIK).is_some() => {
            let text = content(call, "/etc/traefik/traefik.yaml").unwrap_or_default();
            if !text.contains("entryPoints:") {
                call.warn("Job for traefik.service failed because the control process exited with error code.");
                return 1;
            }
            put(call, TRAEFIK_RUNS, text);
            0
        }
        ["is-active", "traefik"] => {
            let runs = content(call, TRAEFIK_RUNS).is_some();
            call.print(if runs { "active" } else { "inactive" });
            if runs { 0 } else { 3 }
        }
        ["reload-or-restart" | "restart", unit @ ("named" | "traefik")] => {
            call.warn(format!("Failed to restart {unit}.service: Unit {unit}.service not found."));
            5
        }
        _ => call.unknown(&call.args.join(" ")),
    }
}

/// `rndc zonestatus ZONE`.
fn rndc(call: &mut Call<'_>) -> i32 {
    let [verb, zone] = call.args else { return call.unknown(&call.args.join(" ")) };
    if verb != "zonestatus" {
        return call.unknown(verb);
    }
    let served = content(call, SERVED).unwrap_or_default();
    match served.lines().find_map(|line| line.strip_prefix(&format!("{zone} "))) {
        Some(serial) => {
            call.print(format!("name: {zone}\ntype: primary\nserial: {serial}"));
            0
        }
        None => {
            call.warn(format!("rndc: 'zonestatus' failed: not found\nno matching zone '{zone}' in any view"));
            1
        }
    }
}
