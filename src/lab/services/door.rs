//! The door in front of TensorZero (`templates/tensorzero/door.py`), as Python's image runs it.
//!
//! What it serves is read from the very script: its port, its gateway, the models it knows, the header of tenants.

use super::{Family, HttpReply, HttpRequest, Judged, Place};
use crate::lab::docker::network::{From, connect};
use crate::lab::world::World;

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "door",
    repositories: &["python"],
    bytes: 46_000_000,
    starts_ms: 1_000,
    programs: &["cat", "getent", "ls", "python3", "sh", "wget"],
    judge,
    listens: |world, place| port(world, place).into_iter().collect(),
    ask,
    run: |_, _| None,
};

/// The script that it runs.
#[must_use]
pub fn script(world: &World, place: &Place) -> Option<String> {
    let command = place.container(world)?.command.clone()?;
    place.file(world, command.iter().find(|word| word.ends_with(".py"))?)
}

fn port(world: &World, place: &Place) -> Option<u16> {
    script(world, place)?.lines().find_map(|line| line.strip_prefix("PORT = ")?.trim().parse().ok())
}

/// The gateway behind it, if it answers: the container and its port.
#[must_use]
pub fn gateway(world: &World, place: &Place) -> Option<(Place, u16)> {
    let script = script(world, place)?;
    let line = script.lines().find_map(|line| line.strip_prefix("GATEWAY = (\""))?.to_owned();
    let (host, rest) = line.split_once('"')?;
    let port = rest.trim_start_matches([',', ' ']).trim_end_matches(')').parse().ok()?;
    connect(world, place.vmid, From::Container(&place.name), host, port).ok()
}

fn judge(world: &World, place: &Place) -> Judged {
    let container = place.container(world);
    let command = container.and_then(|one| one.command.clone()).unwrap_or_default();
    let Some(path) = command.iter().find(|word| word.ends_with(".py")) else {
        // Python without a script reads its input, which is at its end.
        return Judged::ends(0, [""; 0]);
    };
    let Some(file) = container.and_then(|one| one.read.get(path)) else {
        return Judged::ends(2, [format!("python3: can't open file '{path}': [Errno 2] No such file or directory")]);
    };
    let user: u32 = container.and_then(|one| one.user.as_deref()?.split(':').next()?.parse().ok()).unwrap_or_default();
    if user != 0 && file.mode & 0o004 == 0 && !(file.uid == user && file.mode & 0o400 != 0) {
        return Judged::ends(2, [format!("python3: can't open file '{path}': [Errno 13] Permission denied")]);
    }
    if port(world, place).is_none() {
        return Judged::ends(1, ["SyntaxError: invalid syntax"]);
    }
    if gateway(world, place).is_none() {
        return Judged::unwell("urllib.error.HTTPError: HTTP Error 502: Bad Gateway", [""; 0]);
    }
    Judged::ready([""; 0])
}

fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    match (request.method.as_str(), request.path()) {
        ("GET", "/health" | "/status") => match gateway(world, place) {
            Some((there, port)) => super::ask(world, &there, &HttpRequest { port, ..request.clone() }),
            None => HttpReply::json(
                502,
                &serde_json::json!({ "error": { "message": "the gateway does not answer", "type": "invalid_request_error", "code": null } }),
            ),
        },
        _ => super::answers::tensorzero::door(world, place, request),
    }
}
