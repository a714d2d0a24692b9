//! Tailscale in a guest: its repository, its daemon, its command line.
//!
//! Modelled is what joining a tailnet takes and what refuses it: no tunnel device, no network, a key that is not good,
//! another control plane. A guest has it once `/usr/bin/tailscale` is among its files. Facts: `cmd/tailscale/cli` and
//! `ipn/ipnstate` of tailscale/tailscale, `apt-helper` of apt.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::rules::reach;
use super::shell::{Call, Program, read};
use super::world::{Guest, GuestKind};
use crate::model::tailnet::{GuestTailscale, Login};

/// The program; its content is its version.
pub const TAILSCALE: &str = "/usr/bin/tailscale";
/// What systemd starts it by.
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/tailscaled.service";
/// What it keeps.
const STATE: &str = "/var/lib/tailscale/tailscaled.state";
/// There while it runs, with the time of the boot that it runs since.
const RUNNING: &str = "/run/tailscale/tailscaled.pid";
/// The signing key, the list, and what `apt-get update` made of them.
const KEYRING: &str = "/usr/share/keyrings/tailscale-archive-keyring.gpg";
const LIST: &str = "/etc/apt/sources.list.d/tailscale.list";
const INDEX: &str = "/var/lib/apt/lists/pkgs.tailscale.com";
/// SHA-256 of the signing key, as it has been since 2020.
const KEY_SHA256: &str = "3e03dacf222698c60b8e2f990b809ca1b3e104de127767864284e6c228f1fb39";
const VERSION: &str = "1.90.6";
/// An address of the control plane's (`dig controlplane.tailscale.com`), and of whatever else is outside.
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 200, 0, 101));
const DEFAULT_URL: &str = "https://controlplane.tailscale.com";
const DOWN: &str =
    "failed to connect to local tailscaled; it doesn't appear to be running (sudo systemctl start tailscaled ?)";

/// What the daemon keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// What the control plane calls it; empty while it is logged out.
    id: String,
    /// Whether it has had a key of its own.
    has_key: bool,
    control_url: String,
    ssh: bool,
    takes_names: bool,
    /// Whether it is to be connected.
    up: bool,
}

impl State {
    /// Of a daemon that nobody has told anything.
    fn fresh() -> Self {
        Self { control_url: DEFAULT_URL.to_owned(), takes_names: true, ..Self::default() }
    }
}

/// What was seen of Tailscale in a guest, in a twin of it.
pub fn seed(guest: &mut Guest, seen: &GuestTailscale) {
    if !seen.installed {
        return;
    }
    guest.put(TAILSCALE, VERSION);
    if seen.enabled {
        guest.put(ENABLED, "");
    }
    if let Some(daemon) = &seen.daemon {
        run(guest);
        keep(
            guest,
            &State {
                id: if daemon.login == Login::LoggedOut { String::new() } else { daemon.id.clone() },
                has_key: daemon.has_key,
                control_url: daemon.control_url.clone(),
                ssh: daemon.ssh,
                takes_names: daemon.takes_names,
                up: daemon.login != Login::Stopped,
            },
        );
    }
}

/// The programs.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "apt-get" => Some(apt_get),
        "/usr/lib/apt/apt-helper" => Some(apt_helper),
        "getent" => Some(getent),
        "tailscale" => Some(tailscale),
        _ => None,
    }
}

fn own<'w>(call: &'w mut Call<'_>) -> Option<(u32, &'w mut Guest)> {
    let name = call.node;
    let found = call.world.guests.iter_mut().find(|(vmid, guest)| guest.name(**vmid) == name);
    found.map(|(vmid, guest)| (*vmid, guest))
}

fn text(call: &mut Call<'_>, path: &str) -> Option<String> {
    own(call)?.1.text(path)
}

fn put(call: &mut Call<'_>, path: &str, text: &str) {
    if let Some((_, guest)) = own(call) {
        guest.put(path, text);
    }
}

/// Whether packets of the guest get out to what is public.
fn is_online(call: &mut Call<'_>) -> bool {
    let Some((vmid, _)) = own(call) else { return false };
    reach::leaves(call.world, vmid, OUTSIDE, 443)
}

fn boot(guest: &Guest) -> Option<String> {
    guest.run.as_ref().map(|run| run.started_ms.to_string())
}

fn run(guest: &mut Guest) {
    if let Some(boot) = boot(guest) {
        guest.put(RUNNING, boot);
    }
}

/// Whether `tailscaled` runs: systemd starts it with the guest, or somebody has since; without a tunnel device it ends
/// at once.
fn runs(guest: &Guest) -> bool {
    let started = guest.text(RUNNING).is_some_and(|since| Some(since) == boot(guest));
    guest.files.contains_key(TAILSCALE) && has_tunnel(guest) && (started || guest.files.contains_key(ENABLED))
}

fn has_tunnel(guest: &Guest) -> bool {
    let given = |(key, value): (&String, &String)| {
        let path = value.split(',').next().unwrap_or_default();
        key.strip_prefix("dev").is_some_and(|number| number.parse::<u32>().is_ok())
            && path.strip_prefix("path=").unwrap_or(path) == "/dev/net/tun"
    };
    guest.kind == GuestKind::Qemu || guest.config.iter().any(given)
}

fn state(guest: &Guest) -> State {
    guest.text(STATE).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(State::fresh)
}

fn keep(guest: &mut Guest, state: &State) {
    guest.put(STATE, serde_json::to_string(state).unwrap_or_default());
    if let Some(file) = guest.files.get_mut(STATE) {
        file.mode = 0o600;
    }
}

fn getent(call: &mut Call<'_>) -> i32 {
    match call.args {
        [database, name] if database == "hosts" => {
            if name != "pkgs.tailscale.com" || !is_online(call) {
                return 2;
            }
            call.print(format!("{OUTSIDE:<15} {name}"));
            0
        }
        _ => call.unknown(&call.args.join(" ")),
    }
}

/// `download-file URL TARGET SHA256:…`, of Tailscale's signing key alone.
fn apt_helper(call: &mut Call<'_>) -> i32 {
    let ["download-file", url, target, digest] = call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return call.unknown(&call.args.join(" "));
    };
    let release =
        url.strip_prefix("https://pkgs.tailscale.com/stable/").and_then(|rest| rest.strip_suffix(".noarmor.gpg"));
    let known = release.is_some_and(|release| ["debian/", "ubuntu/"].iter().any(|system| release.starts_with(system)));
    if !is_online(call) {
        call.warn(format!("E: Failed to fetch {url}  Could not resolve 'pkgs.tailscale.com'\nE: Download Failed"));
        return 100;
    }
    if !known {
        call.warn(format!("E: Failed to fetch {url}  404  Not Found\nE: Download Failed"));
        return 100;
    }
    if digest != format!("SHA256:{KEY_SHA256}") {
        call.warn(format!("E: Failed to fetch {url}  Hash Sum mismatch\nE: Download Failed"));
        return 100;
    }
    put(call, target, "Tailscale Inc. (Package repository signing key)");
    0
}

fn apt_get(call: &mut Call<'_>) -> i32 {
    let mut words = Vec::new();
    let mut args = call.args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-q" | "-y" | "--no-install-recommends" => {}
            "-o" => {
                args.next();
            }
            option if option.starts_with('-') => return call.unknown(option),
            word => words.push(word.to_owned()),
        }
    }
    let Some((verb, packages)) = words.split_first() else { return call.unknown("nothing") };
    match verb.as_str() {
        "update" => update(call),
        "install" => packages.iter().map(|package| install(call, package)).find(|code| *code != 0).unwrap_or(0),
        "purge" => {
            if let Some((_, guest)) = own(call).filter(|_| packages.iter().any(|package| package == "tailscale")) {
                [TAILSCALE, ENABLED, RUNNING, STATE].iter().for_each(|path| drop(guest.files.remove(*path)));
            }
            0
        }
        _ => call.unknown(verb),
    }
}

/// What cannot be fetched is said, and no failure.
fn update(call: &mut Call<'_>) -> i32 {
    let system = |name: &str, release: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    if !is_online(call) {
        call.warn("W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving 'deb.debian.org'");
        return 0;
    }
    let (Some(list), keyring) = (text(call, LIST), text(call, KEYRING)) else {
        if let Some((_, guest)) = own(call) {
            guest.files.remove(INDEX);
        }
        return 0;
    };
    let node = call.node.to_owned();
    let release = read(call.world, &node, "/etc/os-release").unwrap_or_default();
    let release = String::from_utf8_lossy(&release).into_owned();
    let wanted = format!(
        "deb [signed-by={KEYRING}] https://pkgs.tailscale.com/stable/{} {} main",
        system("ID", &release),
        system("VERSION_CODENAME", &release)
    );
    if list.trim() != wanted {
        call.warn("E: The repository 'https://pkgs.tailscale.com/stable' does not have a Release file.");
        return 100;
    }
    if keyring.is_none() {
        call.warn("E: The repository 'https://pkgs.tailscale.com/stable InRelease' is not signed.");
        return 100;
    }
    put(call, INDEX, VERSION);
    0
}

fn install(call: &mut Call<'_>, package: &str) -> i32 {
    if package == "ca-certificates" {
        return 0;
    }
    if package != "tailscale" || text(call, INDEX).is_none() {
        call.warn(format!("E: Unable to locate package {package}"));
        return 100;
    }
    if !is_online(call) {
        call.warn("E: Failed to fetch https://pkgs.tailscale.com/stable  Could not resolve 'pkgs.tailscale.com'");
        return 100;
    }
    put(call, TAILSCALE, VERSION);
    // Debian's packages enable and start what they bring.
    put(call, ENABLED, "");
    if let Some((_, guest)) = own(call) {
        run(guest);
    }
    0
}

/// `systemctl`, as far as it is about `tailscaled`; nothing where it is about something else.
pub fn systemctl(call: &mut Call<'_>) -> Option<i32> {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let unit = |unit: &&str| ["tailscaled", "tailscaled.service"].contains(unit);
    if !words.last().is_some_and(unit) {
        return None;
    }
    let (verb, now) = match words[..] {
        [verb, _] => (verb, false),
        [verb, "--now", _] => (verb, true),
        _ => return Some(call.unknown(&words.join(" "))),
    };
    let Some((_, guest)) = own(call) else { return Some(1) };
    let (there, enabled) = (guest.files.contains_key(TAILSCALE), guest.files.contains_key(ENABLED));
    Some(match verb {
        "is-enabled" if !there => {
            call.warn("Failed to get unit file state for tailscaled.service: No such file or directory");
            1
        }
        "is-enabled" => {
            call.print(if enabled { "enabled" } else { "disabled" });
            i32::from(!enabled)
        }
        "enable" | "disable" if !there => {
            call.warn(format!("Failed to {verb} unit: Unit file tailscaled.service does not exist."));
            1
        }
        "enable" => {
            guest.put(ENABLED, "");
            if now {
                run(guest);
            }
            0
        }
        "disable" => {
            guest.files.remove(ENABLED);
            if now {
                guest.files.remove(RUNNING);
            }
            0
        }
        _ => call.unknown(verb),
    })
}

fn tailscale(call: &mut Call<'_>) -> i32 {
    let Some((vmid, guest)) = own(call) else { return 1 };
    if !guest.files.contains_key(TAILSCALE) {
        call.warn("sh: 1: tailscale: not found");
        return 127;
    }
    if !runs(guest) {
        call.warn(DOWN);
        return 1;
    }
    let mut state = state(guest);
    let now = Timestamp::from_millisecond(call.world.now_ms).unwrap_or_default();
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let code = match words[..] {
        ["status", "--json", "--peers=false"] => {
            let text = format!("{:#}", status(call, &state, now));
            call.stdout.extend_from_slice(text.as_bytes());
            return 0;
        }
        ["debug", "prefs"] => {
            call.print(format!(
                "{{\n\t\"ControlURL\": {},\n\t\"RouteAll\": false,\n\t\"CorpDNS\": {},\n\t\"RunSSH\": {},\n\t\"WantRunning\": {}\n}}",
                json!(state.control_url),
                state.takes_names,
                state.ssh,
                state.up
            ));
            return 0;
        }
        ["up", ..] => up(call, &mut state, &words[1..], now),
        ["down"] => {
            state.up = false;
            0
        }
        ["logout"] => {
            // The device stays listed, with a key that has ended.
            let id = std::mem::take(&mut state.id);
            state.has_key = false;
            call.world.uplink.ask(|tailnet| tailnet.end_key(&id, now));
            0
        }
        ["set", ..] => set(call, &mut state, &words[1..]),
        _ => call.unknown(&words.join(" ")),
    };
    if let Some(guest) = call.world.guests.get_mut(&vmid) {
        keep(guest, &state);
    }
    code
}

fn status(call: &mut Call<'_>, state: &State, now: Timestamp) -> serde_json::Value {
    let online = is_online(call);
    let known = call.world.uplink.ask(|tailnet| tailnet.devices.iter().find(|device| device.id == state.id).cloned());
    // Without a way out, it goes by what it was told last.
    let device = known.flatten();
    let expired = device.as_ref().and_then(|device| device.expires).is_some_and(|at| at <= now);
    let backend = match &device {
        _ if state.id.is_empty() => "NeedsLogin",
        None if online => "NeedsLogin",
        Some(_) if expired => "NeedsLogin",
        Some(device) if !device.authorized => "NeedsMachineAuth",
        _ if !state.up => "Stopped",
        _ => "Running",
    };
    let own = device.as_ref().map(|device| {
        let mut own = json!({
            "ID": device.id, "HostName": device.hostname, "DNSName": format!("{}.lab.ts.net.", device.hostname),
            "OS": "linux", "TailscaleIPs": device.addresses, "Tags": device.tags, "Online": backend == "Running",
        });
        if expired {
            own["Expired"] = json!(true);
        }
        own
    });
    json!({
        "Version": VERSION,
        "TUN": true,
        "BackendState": backend,
        "HaveNodeKey": state.has_key,
        "AuthURL": "",
        "TailscaleIPs": device.as_ref().map(|device| device.addresses.clone()),
        "Self": own.unwrap_or_else(|| json!({ "ID": "", "HostName": call.node, "DNSName": "", "OS": "linux" })),
        "Health": [],
        "MagicDNSSuffix": if device.is_some() { "lab.ts.net" } else { "" },
        "Peer": null,
    })
}

/// `tailscale set`.
fn set(call: &mut Call<'_>, state: &mut State, words: &[&str]) -> i32 {
    for word in words {
        match word.split_once('=') {
            Some(("--ssh", on)) => state.ssh = on == "true",
            Some(("--accept-dns", on)) => state.takes_names = on == "true",
            _ => return call.unknown(word),
        }
    }
    0
}

const TIMEOUT: &str =
    "timeout waiting for Tailscale service to enter a Running state; check health with \"tailscale status\"";

fn up(call: &mut Call<'_>, state: &mut State, words: &[&str], now: Timestamp) -> i32 {
    if words.is_empty() {
        state.up = true;
        return 0;
    }
    let (mut key_file, mut hostname, mut server, mut again, mut reset) = (None, call.node, None, false, false);
    let (mut ssh, mut takes_names) = (false, true);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("--reset", "") => reset = true,
            ("--force-reauth", "") => again = true,
            ("--ssh", "") => ssh = true,
            ("--auth-key", file) => key_file = file.strip_prefix("file:"),
            ("--hostname", name) => hostname = name,
            ("--accept-dns", on) => takes_names = on == "true",
            ("--login-server", url) => server = Some(url),
            ("--timeout", _) => {}
            _ => return call.unknown(word),
        }
    }
    if !reset && (state.ssh != ssh || state.takes_names != takes_names) && state.has_key {
        call.warn("Error: changing settings via 'tailscale up' requires mentioning all\nnon-default flags.");
        return 1;
    }
    let Some(key_file) = key_file else { return call.unknown("up without a file that holds a key") };
    let Some(key) = text(call, key_file) else {
        call.warn(format!("open {key_file}: no such file or directory"));
        return 1;
    };
    let plane = call.world.uplink.url();
    // Who names no control plane goes to Tailscale's, which the lab's stands for.
    let reached = plane.is_some_and(|url| server.is_none_or(|server| server.trim_end_matches('/') == url));
    if !reached || !is_online(call) {
        call.warn(TIMEOUT);
        return 1;
    }
    let (hostname, key) = (hostname.to_owned(), key.trim().to_owned());
    let (own, has_key) = (state.id.clone(), state.has_key);
    let registered = call.world.uplink.ask(|tailnet| {
        let listed = tailnet.devices.iter().find(|device| device.id == own && has_key);
        let valid = listed.is_some_and(|device| device.expires.is_none_or(|at| at > now));
        match listed.cloned() {
            // Logged in as it is; the key is not used.
            Some(device) if valid && !again => Ok(device),
            Some(device) => tailnet.join_again(&device.id, &hostname, &key, now),
            None => tailnet.join(&hostname, &key, now),
        }
    });
    match registered {
        Some(Ok(device)) => {
            let control_url = server.unwrap_or(DEFAULT_URL).to_owned();
            *state = State { id: device.id, has_key: true, control_url, ssh, takes_names, up: true };
            0
        }
        Some(Err(why)) => {
            call.warn(format!("backend error: {why}"));
            1
        }
        None => 1,
    }
}
