//! TensorZero's gateway: its configuration, its database, its counters.
//!
//! Facts: tensorzero `crates/tensorzero-core/src/config`, `clickhouse`, and the deployment guide: a gateway that is told to
//! record and cannot does not start; `/health` asks ClickHouse.

use super::{Family, HttpReply, HttpRequest, Judged, Place, clickhouse};
use crate::lab::docker::network::{From, NoWay, connect};
use crate::lab::world::World;

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "tensorzero",
    repositories: &["tensorzero/gateway"],
    bytes: 180_000_000,
    starts_ms: 2_000,
    programs: &["bash", "cat", "getent", "ls", "sh", "wget"],
    judge,
    listens: |world, place| vec![port(world, place)],
    ask,
    run: |_, _| None,
};

/// Its configuration.
#[must_use]
pub fn config(world: &World, place: &Place) -> Option<String> {
    let command = place.container(world)?.command.clone().unwrap_or_default();
    let at = command.iter().position(|word| word == "--config-file")?;
    place.file(world, command.get(at + 1)?)
}

fn port(world: &World, place: &Place) -> u16 {
    let text = config(world, place).unwrap_or_default();
    let bound = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("bind_address")?.split('"').nth(1)?.rsplit(':').next()?.parse().ok());
    bound.unwrap_or(3000)
}

/// What keeps it from its database: none if it gets in.
#[must_use]
pub fn database(world: &World, place: &Place) -> Option<String> {
    let Some(url) = place.env(world, "TENSORZERO_CLICKHOUSE_URL") else {
        return Some("Missing environment variable `TENSORZERO_CLICKHOUSE_URL`".to_owned());
    };
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (account, rest) = rest.split_once('@').unwrap_or(("", rest));
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    let (host, port) = rest.split('/').next().unwrap_or_default().rsplit_once(':').unwrap_or((rest, "8123"));
    let port: u16 = port.parse().unwrap_or(8123);
    match connect(world, place.vmid, From::Container(&place.name), host, port) {
        Ok((there, _)) => {
            let (known, secret) = clickhouse::account(world, &there);
            let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
            let lets_in = user == known && (decoded == secret || password == secret);
            (!lets_in).then(|| {
                format!("Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)")
            })
        }
        Err(NoWay::Unknown) => Some(format!(
            "error sending request for url (http://{host}:{port}/): client error (Connect): dns error: failed to lookup address information: Name or service not known"
        )),
        Err(NoWay::Refused) => Some(format!(
            "error sending request for url (http://{host}:{port}/): client error (Connect): tcp connect error: Connection refused (os error 111)"
        )),
        Err(NoWay::Silent) => {
            Some(format!("error sending request for url (http://{host}:{port}/): operation timed out"))
        }
    }
}

/// What keeps it from its counters.
#[must_use]
pub fn counters(world: &World, place: &Place) -> Option<String> {
    let text = config(world, place).unwrap_or_default();
    if !text.contains("backend = \"valkey\"") {
        return None;
    }
    let Some(url) = place.env(world, "TENSORZERO_VALKEY_URL") else {
        return Some(
            "Rate limiting is configured with the Valkey backend, but `TENSORZERO_VALKEY_URL` is not set".to_owned(),
        );
    };
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "6379"));
    let found = connect(
        world,
        place.vmid,
        From::Container(&place.name),
        host,
        port.trim_end_matches('/').parse().unwrap_or(6379),
    );
    found.err().map(|_| format!("Failed to connect to Valkey at {host}:{port}: Connection refused (os error 111)"))
}

fn judge(world: &World, place: &Place) -> Judged {
    let Some(text) = config(world, place) else {
        return Judged::ends(1, ["ERROR tensorzero: Failed to load config: No config file found"]);
    };
    if text.matches('[').count() != text.matches(']').count() || !text.contains("[gateway]") {
        return Judged::ends(1, ["ERROR tensorzero: Failed to parse config file `/app/tensorzero.toml` as valid TOML"]);
    }
    if text.contains("observability.enabled = true") && place.env(world, "TENSORZERO_CLICKHOUSE_URL").is_none() {
        return Judged::ends(
            1,
            ["ERROR gateway: Failed to initialize AppState: Missing environment variable `TENSORZERO_CLICKHOUSE_URL`"],
        );
    }
    let started = "INFO gateway: TensorZero Gateway is listening on 0.0.0.0:3000".to_owned();
    if let Some(why) = counters(world, place) {
        return Judged::unwell(
            "wget: server returned error: HTTP/1.1 503 Service Unavailable",
            [started, format!("ERROR tensorzero_core: {why}")],
        );
    }
    match database(world, place) {
        Some(why) => Judged::unwell(
            "wget: server returned error: HTTP/1.1 503 Service Unavailable",
            [started, format!("ERROR tensorzero_core: ClickHouse: {why}")],
        ),
        None => Judged::ready([started]),
    }
}

fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    match (request.method.as_str(), request.path()) {
        ("GET", "/status") => HttpReply::json(200, &serde_json::json!({ "status": "ok", "version": "2026.6.0" })),
        ("GET", "/health") => {
            let (database, counters) = (database(world, place), counters(world, place));
            let word = |wrong: &Option<String>| if wrong.is_none() { "ok" } else { "error" };
            let status = if database.is_none() && counters.is_none() { 200 } else { 503 };
            HttpReply::json(
                status,
                &serde_json::json!({ "gateway": "ok", "clickhouse": word(&database), "valkey": word(&counters) }),
            )
        }
        _ => super::answers::tensorzero::gateway(world, place, request),
    }
}
