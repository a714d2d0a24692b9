//! Ollama's models at work: `/api/chat`, `/api/embed` and OpenAI's paths (docs/api.md, docs/openai.md).
//!
//! How fast a model answers follows from where it is: `ollama::rate`. A prompt is read some ten times as fast as an answer is
//! written, and whoever loads a model first waits until it is read from disk.

use super::{gpu, openai};
use crate::lab::services::ollama::{self, Loaded};
use crate::lab::services::{HttpReply, HttpRequest, Place};
use crate::lab::world::World;

/// MiB a second at which a model is loaded from disk.
const DISK_MIB_S: u64 = 900;

/// Answers what is asked of a model; anything else is not there.
pub fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    let chat = match (request.method.as_str(), request.path()) {
        ("POST", "/v1/chat/completions" | "/v1/completions" | "/api/chat" | "/api/generate") => true,
        ("POST", "/v1/embeddings" | "/api/embed") => false,
        (_, "/v1/chat/completions" | "/api/chat" | "/v1/embeddings") => {
            return HttpReply::text(405, "405 method not allowed");
        }
        _ => return HttpReply::text(404, "404 page not found"),
    };
    let Some(body) = request.json() else { return openai::error(400, "invalid JSON", "invalid_request_error") };
    let name = body["model"].as_str().unwrap_or_default().to_owned();
    let was_there = ollama::loaded(world, place).iter().any(|own| own.name == ollama::full(&name));
    let model = match ollama::load(world, place, &name) {
        Ok(model) => model,
        Err((status, message)) => return openai::error(status, &message, "not_found_error"),
    };
    let load_ms = if was_there { 0 } else { i64::try_from(model.mib * 1000 / DISK_MIB_S).unwrap_or(0) };
    if !chat {
        return openai::embedding(&body, load_ms + 30);
    }
    let each_us = token_us(world, place, &model);
    let first_ms = load_ms + each_us * 4 / 1000 + 20;
    let id = format!("chatcmpl-{}", world.now_ms % 1000);
    let reply = openai::completion(&body, &id, first_ms, each_us);
    if model.gpu_mib > 0 {
        let until = world.now_ms + reply.took_ms;
        gpu::works_until(world, place, until);
    }
    reply
}

/// Microseconds of one token.
fn token_us(world: &World, place: &Place, model: &Loaded) -> i64 {
    let slow = if model.gpu_mib > 0 && gpu::has_fault(world, place.vmid, gpu::THROTTLED) { 5 } else { 1 };
    i64::try_from(1_000_000 / ollama::rate(model).max(1)).unwrap_or(i64::MAX / 8) * slow
}
