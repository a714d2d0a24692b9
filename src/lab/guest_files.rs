//! Caddy in a guest: the programs that a reverse proxy needs.
//!
//! Modelled is Caddy as Debian packages it: whether it takes a configuration, that a reload keeps the old one where it
//! does not, and that a port answers while one is loaded. A guest has it once `/usr/bin/caddy` is among its files.

use super::shell::{Call, Program};
use super::world::Guest;

/// Debian's program; its content is the version that it prints.
pub const CADDY: &str = "/usr/bin/caddy";
/// What systemd starts and reloads it with.
const CONFIG: &str = "/etc/caddy/Caddyfile";
/// What runs: in memory in truth.
const RUNNING: &str = "/run/caddy/running";
/// A text that, in a configuration that runs, makes nothing answer.
pub const MUTE: &str = "/run/caddy/mute";
/// A word that this Caddy does not know as a directive, such as that of a module that it was built without.
pub const PICKY: &str = "/run/caddy/picky";

/// The programs.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "caddy" => Some(caddy),
        "systemctl" => Some(systemctl),
        _ => super::guest_edge::find(name),
    }
}

fn own<'w>(call: &'w mut Call<'_>) -> Option<&'w mut Guest> {
    let name = call.node;
    call.world.guests.iter_mut().find(|(vmid, guest)| guest.name(**vmid) == name).map(|(_, guest)| guest)
}

/// A file of the guest that a program runs in.
pub fn content(call: &mut Call<'_>, path: &str) -> Option<String> {
    own(call)?.text(path)
}

fn caddy(call: &mut Call<'_>) -> i32 {
    let Some(version) = content(call, CADDY) else {
        call.warn("sh: 1: caddy: not found");
        return 127;
    };
    match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["version"] => {
            call.print(version);
            0
        }
        ["validate", "--adapter", "caddyfile", "--config", path] => match refused(call, path) {
            None => {
                call.print("Valid configuration");
                0
            }
            Some(why) => {
                call.warn(format!("Error: {why}"));
                1
            }
        },
        _ => call.unknown(&call.args.join(" ")),
    }
}

/// What Caddy 2.6.2 says against a file: one that is not there, an unknown directive, an import of nothing, a block that
/// does not end.
fn refused(call: &mut Call<'_>, path: &str) -> Option<String> {
    let Some(text) = content(call, path) else {
        return Some(format!("reading config file: open {path}: no such file or directory"));
    };
    let parse = |line: usize, why: &str| {
        Some(format!("adapting config using caddyfile: {path}:{line} - Error during parsing: {why}"))
    };
    let picky = content(call, PICKY);
    let mut depth = 0_usize;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        let Some(first) = line.split_whitespace().next().filter(|word| !word.starts_with('#')) else { continue };
        if first == "}" {
            let Some(less) = depth.checked_sub(1) else {
                return parse(number, "Unexpected '}' because no matching opening brace");
            };
            depth = less;
            continue;
        }
        if picky.as_deref() == Some(first) {
            return parse(number, &format!("unrecognized directive: {first}"));
        }
        if depth == 1 && first.starts_with("reverse_p") && first != "reverse_proxy" {
            return parse(number, &format!("unrecognized directive: {first}"));
        }
        if let Some(file) = line.strip_prefix("import /")
            && content(call, &format!("/{file}")).is_none_or(|text| text.is_empty())
        {
            return parse(number, &format!("File to import not found: /{file}"));
        }
        if line.ends_with('{') {
            depth += 1;
        }
    }
    if depth > 0 { parse(text.lines().count(), "Unexpected EOF") } else { None }
}

fn systemctl(call: &mut Call<'_>) -> i32 {
    match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["reload-or-restart", "caddy"] if content(call, CADDY).is_none() => {
            call.warn("Failed to reload-or-restart caddy.service: Unit caddy.service not found.");
            5
        }
        ["reload-or-restart", "caddy"] => match refused(call, CONFIG) {
            // Whatever ran goes on.
            Some(_) => {
                call.warn("Job for caddy.service failed.\nSee \"systemctl status caddy.service\" and \"journalctl -xeu caddy.service\" for details.");
                1
            }
            None => {
                let text = content(call, CONFIG).unwrap_or_default();
                if let Some(guest) = own(call) {
                    guest.put(RUNNING, text);
                }
                0
            }
        },
        _ => super::guest_edge::systemctl(call),
    }
}

/// `bash -c 'exec 3<>/dev/tcp/127.0.0.1/PORT && echo …'`: whether Caddy listens there; `None` for any other script.
pub fn loopback(call: &mut Call<'_>) -> Option<i32> {
    let [flag, script] = call.args else { return None };
    let (port, said) = script.strip_prefix("exec 3<>/dev/tcp/127.0.0.1/")?.split_once(" && echo ")?;
    if flag != "-c" {
        return None;
    }
    let mute = content(call, MUTE);
    let running = content(call, RUNNING).or_else(|| content(call, super::guest_edge::TRAEFIK_RUNS));
    let answers = running.is_some_and(|running| mute.is_none_or(|mute| !running.contains(&mute)));
    if answers {
        call.print(said);
        return Some(0);
    }
    call.warn("bash: connect: Connection refused");
    call.warn(format!("bash: line 1: /dev/tcp/127.0.0.1/{port}: Connection refused"));
    Some(1)
}
