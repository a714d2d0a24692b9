//! Lists of containers: what `docker ps` and `docker compose ps` say of each.

use serde_json::{Map, Value, json};

use super::{Shown, shown};
use crate::lab::services::Place;
use crate::lab::world::{Container, World};

/// How long ago, as Docker says it (go-units, `HumanDuration`).
#[must_use]
pub fn ago(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 14 => format!("{} days", hours / 24),
        () if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        () => format!("{} months", hours / 24 / 30),
    }
}

/// The column of states: `Up 2 hours (healthy)`.
pub(super) fn status(shown: &Shown, now_ms: i64) -> String {
    let since = |at: Option<i64>| ago(now_ms - at.unwrap_or(now_ms));
    match (shown.status, shown.health) {
        ("running", Some("starting")) => format!("Up {} (health: starting)", since(shown.started_ms)),
        ("running", Some(health)) => format!("Up {} ({health})", since(shown.started_ms)),
        ("running", None) => format!("Up {}", since(shown.started_ms)),
        ("restarting", _) => format!("Restarting ({}) {} ago", shown.exit, since(shown.finished_ms)),
        ("exited", _) => format!("Exited ({}) {} ago", shown.exit, since(shown.finished_ms)),
        _ => "Created".to_owned(),
    }
}

fn ports(container: &Container, running: bool) -> String {
    let mut all: Vec<String> = Vec::new();
    for port in container.ports.iter().filter(|_| running) {
        let both = if port.address.is_empty() { vec!["0.0.0.0", "[::]"] } else { vec![port.address.as_str()] };
        all.extend(both.iter().map(|address| format!("{address}:{}->{}/{}", port.here, port.inside, port.protocol)));
    }
    all.join(", ")
}

fn when(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// What it runs, as it is listed.
fn command(container: &Container) -> String {
    let words = container.entrypoint.iter().chain(&container.command).flatten();
    let words: Vec<String> =
        words.map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() }).collect();
    format!("\"{}\"", if words.is_empty() { "/entrypoint.sh".to_owned() } else { words.join(" ") })
}

/// A container as `docker ps --no-trunc` lists it.
pub(super) fn row(world: &World, place: &Place, truncated: bool) -> Value {
    let Some(container) = place.container(world) else { return Value::Null };
    let shown = shown(world, place);
    let labels: Vec<String> = container.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mounts: Vec<&str> = container.mounts.iter().map(|mount| mount.source.as_str()).collect();
    let networks: Vec<&str> = container.networks.keys().map(String::as_str).collect();
    let volumes = container.mounts.iter().filter(|mount| mount.kind == "volume").count();
    let id = if truncated { &container.id[..12.min(container.id.len())] } else { &container.id };
    json!({
        "Command": command(container),
        "CreatedAt": when(container.created_ms),
        "ID": id,
        "Image": container.image,
        "Labels": labels.join(","),
        "LocalVolumes": volumes.to_string(),
        "Mounts": mounts.join(","),
        "Names": place.name,
        "Networks": networks.join(","),
        "Platform": null,
        "Ports": ports(container, shown.status == "running"),
        "RunningFor": format!("{} ago", ago(world.now_ms - container.created_ms)),
        "Size": "0B",
        "State": shown.status,
        "Status": status(&shown, world.now_ms),
    })
}

/// The same as `docker compose ps --format json` says it.
#[must_use]
pub fn compose_row(world: &World, place: &Place) -> Value {
    let Some(container) = place.container(world) else { return Value::Null };
    let shown = shown(world, place);
    let Value::Object(mut map) = row(world, place, true) else { return Value::Null };
    map.remove("Platform");
    let publishers: Vec<Value> = container
        .ports
        .iter()
        .map(|port| {
            let url = if port.address.is_empty() { "0.0.0.0" } else { &port.address };
            json!({ "URL": url, "TargetPort": port.inside, "PublishedPort": port.here, "Protocol": port.protocol })
        })
        .collect();
    map.insert("ExitCode".to_owned(), if shown.status == "running" { 0.into() } else { shown.exit.into() });
    map.insert("Health".to_owned(), shown.health.filter(|_| shown.status == "running").unwrap_or_default().into());
    map.insert("Name".to_owned(), place.name.clone().into());
    map.insert("Project".to_owned(), container.project.clone().into());
    map.insert("Publishers".to_owned(), if publishers.is_empty() { Value::Null } else { publishers.into() });
    map.insert("Service".to_owned(), container.service.clone().into());
    let sorted: std::collections::BTreeMap<String, Value> = map.into_iter().collect();
    Value::Object(sorted.into_iter().collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_docker_does() {
        let said = |s: i64| ago(s * 1000);
        assert_eq!(
            [said(0), said(1), said(59), said(60), said(119)],
            ["Less than a second", "1 second", "59 seconds", "About a minute", "About a minute"]
        );
        assert_eq!([said(3600), said(7200), said(200_000)], ["About an hour", "2 hours", "2 days"]);
    }
}
