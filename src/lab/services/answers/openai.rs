//! The shapes of OpenAI's API that every runner and gateway answers in: lists, completions, vectors, errors.

use serde_json::{Value, json};

use crate::lab::services::HttpReply;

/// `/v1/models`.
#[must_use]
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>, owner: &str) -> HttpReply {
    let all: Vec<Value> = names
        .into_iter()
        .map(|name| json!({ "id": name, "object": "model", "created": 1_767_225_600, "owned_by": owner }))
        .collect();
    HttpReply::json(200, &json!({ "object": "list", "data": all }))
}

/// An error.
#[must_use]
pub fn error(status: u16, message: &str, kind: &str) -> HttpReply {
    HttpReply::json(status, &json!({ "error": { "message": message, "type": kind, "param": null, "code": null } }))
}

/// What is written: numbers, as it is asked to count.
fn word(index: u64) -> String {
    if index == 0 { "1".to_owned() } else { format!(" {}", index + 1) }
}

/// A completion, whole or as a stream of events, with the time of each. `usage` comes at the end of a stream if it is
/// asked for, in an event without a choice.
#[must_use]
pub fn completion(body: &Value, id: &str, first_ms: i64, each_us: i64) -> HttpReply {
    let asked = body["max_tokens"].as_u64().or_else(|| body["max_completion_tokens"].as_u64()).unwrap_or(128);
    let tokens = asked.min(291);
    let model = body["model"].as_str().unwrap_or_default();
    let prompt: u64 = u64::try_from(body["messages"].to_string().len() / 4).unwrap_or(0);
    let usage = json!({ "prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens });
    let reason = if tokens < asked { "stop" } else { "length" };
    let took_ms = first_ms + i64::try_from(tokens.saturating_sub(1)).unwrap_or(0) * each_us / 1000;
    if body["stream"] != true {
        let text: String = (0..tokens).map(word).collect();
        let choice =
            json!({ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": reason });
        let answer =
            json!({ "id": id, "object": "chat.completion", "model": model, "choices": [choice], "usage": usage });
        return HttpReply { first_ms: took_ms, took_ms, ..HttpReply::json(200, &answer) };
    }
    let event = |value: &Value| format!("data: {value}\n\n").into_bytes();
    let chunk = |delta: Value, reason: Option<&str>| {
        event(&json!({ "id": id, "object": "chat.completion.chunk", "model": model,
                       "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] }))
    };
    let mut pieces: Vec<Vec<u8>> =
        (0..tokens).map(|index| chunk(json!({ "role": "assistant", "content": word(index) }), None)).collect();
    pieces.push(chunk(json!({ "role": "assistant", "content": "" }), Some(reason)));
    if body["stream_options"]["include_usage"] == true {
        pieces.push(event(
            &json!({ "id": id, "object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage }),
        ));
    }
    pieces.push(b"data: [DONE]\n\n".to_vec());
    let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
    HttpReply { status: 200, headers, pieces, first_ms, took_ms }
}

/// A vector.
#[must_use]
pub fn embedding(body: &Value, took_ms: i64) -> HttpReply {
    let vector: Vec<f64> = (0..768).map(|index| f64::from(index % 17) / 17.0 - 0.4).collect();
    let answer = json!({ "object": "list", "model": body["model"], "data": [{ "object": "embedding", "index": 0, "embedding": vector }],
                         "usage": { "prompt_tokens": 3, "total_tokens": 3 } });
    HttpReply { first_ms: took_ms, took_ms, ..HttpReply::json(200, &answer) }
}
