//! TensorZero at work: its gateway (`/openai/v1/…`), and the door in front of it that speaks plain OpenAI.
//!
//! The gateway reads its own configuration file: models and their providers, limits, whether it records. It checks limits
//! before it asks a model, counts what a request may take at most, and writes its rows once it is answered.

use serde_json::{Value, json};

use super::{ask_from, clickhouse, host_and_port, openai};
use crate::lab::docker::network::{From, connect};
use crate::lab::services::{self, HttpReply, HttpRequest, Place, door as script, tensorzero as own};
use crate::lab::world::World;

/// What a prompt is counted as beside what may be answered.
const PROMPT_TOKENS: u64 = 40;

/// The door: what becomes of a request in front of the gateway.
pub fn door(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    let program = script::script(world, place).unwrap_or_default();
    let models = door_models(&program);
    let refuse = |status, message: &str| {
        let error = json!({ "error": { "message": message, "type": "invalid_request_error", "code": null } });
        HttpReply::json(status, &error)
    };
    let forward = |world: &mut World, request: &HttpRequest| match script::gateway(world, place) {
        Some((there, port)) => services::ask(world, &there, &HttpRequest { port, ..request.clone() }),
        None => refuse(502, "the gateway does not answer"),
    };
    match (request.method.as_str(), request.path()) {
        ("GET", "/v1/models") => openai::list(models.iter().map(|(name, ..)| name.as_str()), "infra"),
        ("POST", path @ ("/v1/chat/completions" | "/v1/embeddings")) => {
            let wanted = if path == "/v1/embeddings" { "embedding" } else { "chat" };
            let Some(mut body) = request.json() else {
                return refuse(400, "the request is no JSON object with a `model`");
            };
            let name = body["model"].as_str().unwrap_or_default();
            let known = models.iter().find(|(own, _, kind)| own == name && kind == wanted);
            let Some((_, model, _)) = known else { return refuse(404, "there is no such model") };
            let inside = if wanted == "chat" { "model_name" } else { "embedding_model_name" };
            body["model"] = json!(format!("tensorzero::{inside}::{model}"));
            let header = setting(&program, "TENANT_HEADER").unwrap_or_default();
            let tenant = request.header(&header.to_lowercase()).unwrap_or("unknown");
            body["tensorzero::tags"]["tenant_id"] = json!(tenant);
            if wanted == "chat" && body["max_tokens"].is_null() && body["max_completion_tokens"].is_null() {
                body["max_tokens"] = json!(setting(&program, "MAX_TOKENS").and_then(|text| text.parse::<u64>().ok()));
            }
            let inner = HttpRequest {
                target: format!("/openai{path}"),
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: body.to_string().into_bytes(),
                ..request.clone()
            };
            forward(world, &inner)
        }
        _ => refuse(404, "there is no such path"),
    }
}

/// A line `NAME = value` of the program.
fn setting(program: &str, name: &str) -> Option<String> {
    let line = program.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?;
    Some(line.trim().trim_matches('"').to_owned())
}

/// Lines of its table: `"name": ("model", "kind"),`.
fn door_models(program: &str) -> Vec<(String, String, String)> {
    let line = |line: &str| {
        let words: Vec<&str> = line.trim().split('"').collect();
        let [_, name, colon, model, _, kind, _] = words[..] else { return None };
        (colon == ": (").then(|| (name.to_owned(), model.to_owned(), kind.to_owned()))
    };
    program.lines().filter_map(line).collect()
}

/// Of each provider of a model its base and the model's name there.
type Providers = Vec<(String, String)>;

/// What a gateway is configured to do, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Config {
    /// Models by table and name.
    models: Vec<(String, String, Providers)>,
    records: bool,
    limited: bool,
    requests: Option<u64>,
    tokens: Option<u64>,
}

/// Reads the lines of the file; what matters stands in tables of its own there.
fn config(text: &str) -> Config {
    let mut config = Config { records: true, ..Config::default() };
    let (mut table, mut provider) = (String::new(), (String::new(), String::new()));
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']).to_owned();
            let (kind, rest) = table.split_once('.').unwrap_or((&table, ""));
            if matches!(kind, "models" | "embedding_models") && !rest.contains(".providers.") {
                config.models.push((kind.to_owned(), rest.trim_matches('"').to_owned(), Vec::new()));
            }
            continue;
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match key {
            "observability.enabled" => config.records = value == "true",
            "enabled" if table == "rate_limiting" => config.limited = value == "true",
            "model_inferences_per_minute" => config.requests = value.parse().ok(),
            "tokens_per_minute" => config.tokens = value.parse().ok(),
            "api_base" => provider.0 = value,
            "model_name" => {
                provider.1 = value;
                if let Some((.., providers)) = config.models.last_mut() {
                    providers.push(provider.clone());
                }
            }
            _ => {}
        }
    }
    config
}

fn error(status: u16, message: &str) -> HttpReply {
    HttpReply::json(status, &json!({ "error": message, "error_json": {} }))
}

/// The gateway: what is asked of models.
pub fn gateway(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    match (request.method.as_str(), request.path()) {
        ("POST", "/openai/v1/chat/completions") => infer(world, place, request, "models"),
        ("POST", "/openai/v1/embeddings") => infer(world, place, request, "embedding_models"),
        (method, path) => error(404, &format!("Route not found: {method} {path}")),
    }
}

fn infer(world: &mut World, place: &Place, request: &HttpRequest, table: &str) -> HttpReply {
    let config = config(&own::config(world, place).unwrap_or_default());
    let Some(body) = request.json() else { return error(400, "Failed to parse the request body as JSON") };
    let prefix = if table == "models" { "tensorzero::model_name::" } else { "tensorzero::embedding_model_name::" };
    let name = body["model"].as_str().unwrap_or_default();
    let known = name
        .strip_prefix(prefix)
        .and_then(|name| config.models.iter().find(|(kind, own, _)| kind == table && own == name));
    let Some((_, model, providers)) = known else { return error(404, &format!("Unknown model: {name}")) };
    let tenant = body["tensorzero::tags"]["tenant_id"].as_str().map(str::to_owned);
    if config.limited
        && let Some(refused) = limited(world, place, &config, tenant.as_deref(), &body)
    {
        return refused;
    }
    let mut inner = body.clone();
    if let Some(inner) = inner.as_object_mut() {
        inner.retain(|key, _| !key.starts_with("tensorzero::"));
        if inner.get("stream") == Some(&json!(true)) {
            // It counts tokens itself, whether it is asked to or not.
            inner.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        }
    }
    let mut said = Vec::new();
    for (base, model_name) in providers {
        inner["model"] = json!(model_name);
        let path = if table == "models" { "/v1/chat/completions" } else { "/v1/embeddings" };
        let upstream = HttpRequest { target: path.to_owned(), body: inner.to_string().into_bytes(), ..request.clone() };
        match ask_from(world, place, base, &upstream) {
            Ok(reply) if reply.status == 200 => return answered(world, place, &config, model, &body, reply),
            Ok(reply) => said.push(format!("{base}: {} {}", reply.status, String::from_utf8_lossy(&reply.body()))),
            Err(_) => said.push(format!("{base}: error sending request")),
        }
    }
    error(502, &format!("All model providers failed to infer with errors: {}", said.join("; ")))
}

/// What a request costs at most is taken before it is asked; a refusal costs nothing.
fn limited(world: &mut World, place: &Place, config: &Config, tenant: Option<&str>, body: &Value) -> Option<HttpReply> {
    let tenant = tenant?;
    let url = place.env(world, "TENSORZERO_VALKEY_URL").and_then(host_and_port);
    let there = url.and_then(|(host, port)| connect(world, place.vmid, From::Container(&place.name), &host, port).ok());
    let Some((store, _)) = there else { return Some(error(500, "Error running query in Valkey: Connection refused")) };
    let minute = world.now_ms / 60_000;
    let counters =
        store.container(world).and_then(|own| own.memory_of.get("counters").cloned()).unwrap_or_else(|| json!({}));
    let own = &counters[tenant];
    let (requests, tokens) = match own["minute"].as_i64() == Some(minute) {
        true => (own["requests"].as_u64().unwrap_or(0), own["tokens"].as_u64().unwrap_or(0)),
        false => (0, 0),
    };
    let most =
        body["max_tokens"].as_u64().or_else(|| body["max_completion_tokens"].as_u64()).unwrap_or(0) + PROMPT_TOKENS;
    let beyond = |taken: u64, limit: Option<u64>| limit.is_some_and(|limit| taken > limit);
    if beyond(requests + 1, config.requests) || beyond(tokens + most, config.tokens) {
        return Some(error(429, "TensorZero rate limits exceeded"));
    }
    let mut counters = counters;
    counters[tenant] = json!({ "minute": minute, "requests": requests + 1, "tokens": tokens + most });
    if let Some(container) = store.container_mut(world) {
        container.memory_of.insert("counters".to_owned(), counters);
    }
    None
}

/// The answer under TensorZero's own id, and its rows.
fn answered(
    world: &mut World,
    place: &Place,
    config: &Config,
    model: &str,
    body: &Value,
    reply: HttpReply,
) -> HttpReply {
    let count = place.container(world).and_then(|own| own.memory_of.get("inferences")?.as_u64()).unwrap_or(0) + 1;
    if let Some(container) = place.container_mut(world) {
        container.memory_of.insert("inferences".to_owned(), count.into());
    }
    let uuid = |kind: u64| {
        let ms = world.now_ms.unsigned_abs() & 0xffff_ffff_ffff;
        format!(
            "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
            ms >> 16,
            ms & 0xffff,
            count & 0xfff,
            kind,
            u64::from(place.vmid) << 20 | count
        )
    };
    let (id, episode) = (uuid(1), uuid(2));
    let streamed = body["stream"] == true;
    let wants_usage = body["stream_options"]["include_usage"] == true;
    let mut usage = Value::Null;
    let mut pieces = Vec::new();
    for piece in &reply.pieces {
        let text = String::from_utf8_lossy(piece).into_owned();
        let event =
            if streamed { text.trim().strip_prefix("data: ").unwrap_or_default().to_owned() } else { text.clone() };
        let Ok(mut value) = serde_json::from_str::<Value>(&event) else {
            pieces.push(piece.clone());
            continue;
        };
        if !value["usage"].is_null() {
            usage = value["usage"].clone();
        }
        if streamed && value["choices"].as_array().is_some_and(Vec::is_empty) && !wants_usage {
            continue;
        }
        value["id"] = json!(id);
        value["episode_id"] = json!(episode);
        value["model"] = json!(format!("tensorzero::model_name::{model}"));
        pieces.push(if streamed { format!("data: {value}\n\n").into_bytes() } else { value.to_string().into_bytes() });
    }
    let database = place.env(world, "TENSORZERO_CLICKHOUSE_URL").and_then(host_and_port);
    let database =
        database.and_then(|(host, port)| connect(world, place.vmid, From::Container(&place.name), &host, port).ok());
    let writes = config.records && !body["messages"].is_null() && own::database(world, place).is_none();
    if let Some((database, _)) = database.filter(|_| writes) {
        let tags = body["tensorzero::tags"].clone();
        let row = json!({ "id": id, "episode_id": episode, "function_name": "tensorzero::default", "variant_name": model,
                          "tags": tags, "processing_time_ms": reply.took_ms });
        clickhouse::insert(world, &database, "tensorzero.ChatInference", row);
        let row = json!({ "inference_id": id, "model_name": model, "input_tokens": usage["prompt_tokens"],
                          "output_tokens": usage["completion_tokens"], "ttft_ms": reply.first_ms });
        clickhouse::insert(world, &database, "tensorzero.ModelInference", row);
    }
    HttpReply { pieces, first_ms: reply.first_ms + 4, took_ms: reply.took_ms + 4, ..reply }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_as_it_is_rendered() {
        let text = "[gateway]\nobservability.enabled = true\n\n[models.\"qwen2.5-coder:7b\"]\nrouting = [\"inference-ollama\"]\n\n\
                    [models.\"qwen2.5-coder:7b\".providers.\"inference-ollama\"]\ntype = \"openai\"\napi_base = \"http://ollama:11434/v1\"\n\
                    model_name = \"qwen2.5-coder:7b\"\n\n[rate_limiting]\nenabled = true\n\n[[rate_limiting.rules]]\n\
                    model_inferences_per_minute = 60\ntokens_per_minute = 100000\n";
        let config = config(text);
        assert!(config.records && config.limited);
        assert_eq!((config.requests, config.tokens), (Some(60), Some(100_000)));
        let provider = ("http://ollama:11434/v1".to_owned(), "qwen2.5-coder:7b".to_owned());
        assert_eq!(config.models, [("models".to_owned(), "qwen2.5-coder:7b".to_owned(), vec![provider])]);
    }

    #[test]
    fn the_door_is_read_as_it_is_rendered() {
        let program =
            "TENANT_HEADER = \"x-tenant-id\"\nMODELS = {\n    \"coder\": (\"qwen2.5-coder:7b\", \"chat\"),\n}\n";
        assert_eq!(door_models(program), [("coder".into(), "qwen2.5-coder:7b".into(), "chat".into())]);
        assert_eq!(setting(program, "TENANT_HEADER").as_deref(), Some("x-tenant-id"));
    }
}
