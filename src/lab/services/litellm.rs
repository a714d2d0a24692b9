//! LiteLLM's proxy: its configuration, its key, its database.
//!
//! Facts: litellm `proxy/proxy_cli.py`, `proxy/proxy_server.py`; 1.106 was seen to answer `/health/liveliness` so.

use serde_json::{Value, json};

use super::{Family, HttpReply, HttpRequest, Judged, Place};
use crate::lab::compose;
use crate::lab::docker::network::{From, connect};
use crate::lab::world::World;

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "litellm",
    repositories: &[
        "berriai/litellm",
        "docker.litellm.ai/berriai/litellm",
        "ghcr.io/berriai/litellm",
        "ghcr.io/berriai/litellm-database",
    ],
    bytes: 2_200_000_000,
    starts_ms: 12_000,
    programs: &["bash", "cat", "getent", "litellm", "ls", "python3", "sh"],
    judge,
    listens: |world, place| vec![port(world, place)],
    ask,
    run: |_, _| None,
};

fn option(world: &World, place: &Place, name: &str) -> Option<String> {
    let command = place.container(world)?.command.clone()?;
    let at = command.iter().position(|word| word == name)?;
    command.get(at + 1).cloned()
}

fn port(world: &World, place: &Place) -> u16 {
    option(world, place, "--port").and_then(|text| text.parse().ok()).unwrap_or(4000)
}

/// Its configuration.
#[must_use]
pub fn config(world: &World, place: &Place) -> Option<Value> {
    let path = option(world, place, "--config")?;
    compose::yaml(&place.file(world, &path)?).ok()
}

fn judge(world: &World, place: &Place) -> Judged {
    if let Some(path) = option(world, place, "--config") {
        let Some(text) = place.file(world, &path) else {
            return Judged::ends(1, [format!("Exception: Config file not found: {path}")]);
        };
        match compose::yaml(&text) {
            Err(why) => return Judged::ends(3, [format!("yaml.scanner.ScannerError: {why}")]),
            Ok(value) if value.get("model_list").is_none() => {
                return Judged::ready(["LiteLLM: Proxy initialized with Config, Set models:"]);
            }
            Ok(_) => {}
        }
    }
    if let Some(url) = place.env(world, "DATABASE_URL") {
        let rest = url.split_once('@').map_or(url, |(_, rest)| rest);
        let (host, port) = rest.split('/').next().unwrap_or_default().rsplit_once(':').unwrap_or((rest, "5432"));
        if connect(world, place.vmid, From::Container(&place.name), host, port.parse().unwrap_or(5432)).is_err() {
            return Judged::ends(1, [format!("prisma.errors: P1001: Can't reach database server at `{host}:{port}`")]);
        }
    }
    Judged::ready([format!(
        "INFO:     Uvicorn running on http://0.0.0.0:{} (Press CTRL+C to quit)",
        port(world, place)
    )])
}

fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    if ["/health/liveliness", "/health/liveness"].contains(&request.path()) {
        return HttpReply::json(200, &json!("I'm alive!"));
    }
    if request.path() == "/health/readiness" {
        return HttpReply::json(
            200,
            &json!({ "status": "healthy", "db": "Not connected", "litellm_version": "1.83.14" }),
        );
    }
    let key = place.env(world, "LITELLM_MASTER_KEY").unwrap_or_default();
    let given = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
    if !key.is_empty() && given != Some(key) {
        let status = if given.is_none() { 401 } else { 400 };
        return HttpReply::json(
            status,
            &json!({ "error": { "message": "Authentication Error, No api key passed in.", "type": "auth_error", "param": "None", "code": status.to_string() } }),
        );
    }
    if request.path() == "/v1/models" || request.path() == "/models" {
        let config = config(world, place).unwrap_or_default();
        let all: Vec<Value> = config["model_list"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|model| json!({ "id": model["model_name"], "object": "model", "owned_by": "openai" }))
            .collect();
        return HttpReply::json(200, &json!({ "data": all, "object": "list" }));
    }
    HttpReply::json(404, &json!({ "detail": "Not Found" }))
}
