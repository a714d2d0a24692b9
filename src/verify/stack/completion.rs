//! A real completion, streamed: how soon its first token came, how fast the others, and what the GPU did meanwhile.

use std::time::Duration;

use serde_json::{Value, json};

use super::asker::Reply;
use super::asker::{Request, WAVE};
use super::facts::{self, Look, gib};
use super::models::Loaded;
use super::uses::Use;
use crate::verify::Verdict;
use crate::verify::proof::Measured;

/// Tokens of the answer that is measured.
const TOKENS: u64 = 96;
/// Seconds that it may take: as many tokens on a slow CPU.
const LIMIT_S: u32 = 120;
/// Seconds that a first answer may take, for which the model is loaded.
pub const LOAD_LIMIT_S: u32 = 240;
const PROMPT: &str = "Count from 1 to 100 in digits, separated by spaces. Write nothing else.";

/// The request before the one that is measured, for which the model is loaded.
#[must_use]
pub fn warm_up(own: &Use, tenant: &str) -> Request {
    Request { limit_s: LOAD_LIMIT_S, ..chat(own, tenant, "warm", 1, "[DONE]") }
}

/// The request that is measured.
#[must_use]
pub fn measured(own: &Use, tenant: &str, samples: bool) -> Request {
    Request { samples, ..chat(own, tenant, "measured", TOKENS, "[DONE]") }
}

/// A request for more tokens than a tenant may have in a minute. Should it be answered, the first word is enough.
#[must_use]
pub fn beyond(own: &Use, tenant: &str, tokens: u64) -> Request {
    chat(own, tenant, "beyond", tokens, "data:")
}

fn chat(own: &Use, tenant: &str, key: &str, tokens: u64, until: &'static str) -> Request {
    let body = json!({
        "model": own.name, "stream": true, "stream_options": { "include_usage": true }, "temperature": 0,
        "max_tokens": tokens, "messages": [{ "role": "user", "content": PROMPT }],
    });
    Request {
        until,
        limit_s: LIMIT_S,
        ..post(own, tenant, key, "/v1/chat/completions", "application/json", body.to_string())
    }
}

/// A request for a vector.
#[must_use]
pub fn embedding(own: &Use, tenant: &str) -> Request {
    let body = json!({ "model": own.name, "input": "infra verify" }).to_string();
    Request { limit_s: LOAD_LIMIT_S, ..post(own, tenant, "embedding", "/v1/embeddings", "application/json", body) }
}

/// A second of sound as a form (RFC 7578).
#[must_use]
pub fn transcription(own: &Use, tenant: &str) -> Request {
    let edge = "infra-verify-5f2c";
    let body = format!(
        "--{edge}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{}\r\n\
         --{edge}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"tone.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
         {WAVE}\r\n--{edge}--\r\n",
        own.name
    );
    let kind = format!("multipart/form-data; boundary={edge}");
    Request { limit_s: LOAD_LIMIT_S, ..post(own, tenant, "transcription", "/v1/audio/transcriptions", &kind, body) }
}

fn post(own: &Use, tenant: &str, key: &str, path: &str, kind: &str, body: String) -> Request {
    let mut headers = own.headers.clone();
    headers.push(format!("Content-Type: {kind}"));
    headers.push(tenant.to_owned());
    let (host, port) = (own.place.host.clone(), own.place.port);
    Request { key: key.to_owned(), host, port, path: path.to_owned(), headers, body: Some(body), ..Request::default() }
}

/// A streamed answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What the gateway calls it: in TensorZero the inference's id.
    pub id: Option<String>,
    /// What was written.
    pub text: String,
    /// What was measured.
    pub measured: Measured,
}

/// Reads events of a stream, `data: {…}` until `data: [DONE]`.
///
/// # Errors
/// With what came instead, or what is missing.
pub fn read(reply: &Reply) -> Result<Answer, String> {
    reply.fine()?;
    let mut answer = Answer::default();
    let (mut first, mut last, mut pieces, mut told, mut done) = (None, 0.0, 0_u64, None, false);
    for (at, line) in &reply.lines {
        let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let event: Value =
            serde_json::from_str(data).map_err(|_| format!("an event of its stream is no JSON: {data}"))?;
        if !event["error"].is_null() {
            return Err(format!("it broke off: {}", event["error"]));
        }
        answer.id = answer.id.or_else(|| event["id"].as_str().map(str::to_owned));
        told = event["usage"]["completion_tokens"].as_u64().or(told);
        let delta = &event["choices"][0]["delta"];
        // Models that think first say so in a field of their own.
        let piece = ["content", "reasoning_content", "reasoning"].iter().find_map(|key| delta[key].as_str());
        if let Some(piece) = piece.filter(|piece| !piece.is_empty()) {
            first.get_or_insert(*at);
            last = *at;
            pieces += 1;
            answer.text.push_str(piece);
        }
    }
    let Some(first) = first else { return Err("it answers without a word".to_owned()) };
    if !done {
        return Err("its stream has no end".to_owned());
    }
    let tokens = told.filter(|told| *told > 0).unwrap_or(pieces);
    let took = last - first;
    let after_first = u32::try_from(tokens.saturating_sub(1)).map_or(0.0, f64::from);
    let speed = (tokens > 4 && took > 0.04).then(|| (after_first / took * 10.0).round() / 10.0);
    let first_token_ms = u64::try_from(Duration::from_secs_f64(first.max(0.0)).as_millis()).unwrap_or(u64::MAX);
    answer.measured = Measured { first_token_ms, tokens_per_s: speed, tokens, ..Measured::default() };
    for card in reply.samples.iter().filter_map(|(_, line)| facts::gpu(line)) {
        let seen = &mut answer.measured;
        seen.gpu_memory_mib = seen.gpu_memory_mib.max(card.used_mib);
        seen.gpu_busy_percent = seen.gpu_busy_percent.max(card.busy);
    }
    Ok(answer)
}

/// `first token after 210 ms, 38.2 tokens/s, GPU at 5412 MiB and 93 %`.
#[must_use]
pub fn shown(measured: &Measured) -> String {
    let mut text = format!("first token after {} ms", measured.first_token_ms);
    match measured.tokens_per_s {
        Some(speed) => text.push_str(&format!(", {speed:.1} tokens/s")),
        None => text.push_str(&format!(", {} tokens", measured.tokens)),
    }
    if let Some(mib) = measured.gpu_memory_mib {
        let busy = measured.gpu_busy_percent.map(|percent| format!(" and {percent} %")).unwrap_or_default();
        text.push_str(&format!(", GPU at {mib} MiB{busy}"));
    }
    text
}

/// The least that a model takes of a GPU, in MiB: a context of CUDA alone takes some hundred.
const LEAST_MIB: u64 = 300;

/// Whether a model answered on the GPU: by what its runner says, and by what the GPU was seen to do.
#[must_use]
pub fn on_gpu(
    asked_for_gpu: bool,
    loaded: Option<&Result<Loaded, String>>,
    measured: &Measured,
    after: &Look,
    samples: usize,
) -> (Verdict, String) {
    if !asked_for_gpu {
        return (
            Verdict::Fail,
            "its container was made without a GPU, so it answers on the CPU; deploy it anew".to_owned(),
        );
    }
    let busy =
        measured.gpu_busy_percent.map(|percent| format!(", which was busy up to {percent} %")).unwrap_or_default();
    match loaded {
        Some(Err(why)) => return (Verdict::CouldNotRun, why.clone()),
        Some(Ok(own)) if own.on_gpu == 0 => {
            return (
                Verdict::Fail,
                format!(
                    "all of its {} are in the guest's memory: it answers on the CPU{}",
                    gib(own.size),
                    shown_speed(measured)
                ),
            );
        }
        Some(Ok(own)) if own.on_gpu < own.size => {
            let (there, all) = (gib(own.on_gpu), gib(own.size));
            return (
                Verdict::Fail,
                format!(
                    "only {there} of its {all} are on the GPU: the rest answers on the CPU{}",
                    shown_speed(measured)
                ),
            );
        }
        _ => {}
    }
    let cards = after.gpus.as_ref().and_then(|told| told.as_ref().ok());
    let used = measured.gpu_memory_mib.max(cards.and_then(|cards| cards.iter().filter_map(|card| card.used_mib).max()));
    match (used, measured.gpu_busy_percent) {
        (Some(used), _) if used < LEAST_MIB => {
            (Verdict::Fail, format!("the GPU has {used} MiB taken, too little for a model: it answers on the CPU"))
        }
        // A short answer may fall between two looks.
        (_, Some(0)) if samples >= 4 && loaded.is_none() => {
            (Verdict::Fail, format!("the GPU did nothing in {samples} looks: it answers on the CPU"))
        }
        (Some(used), _) => match loaded {
            Some(Ok(own)) => (Verdict::Pass, format!("all of its {} are on the GPU{busy}", gib(own.size))),
            _ => (Verdict::Pass, format!("{used} MiB of the GPU are taken{busy}")),
        },
        (None, _) => match loaded {
            Some(Ok(own)) => (Verdict::Pass, format!("all of its {} are on the GPU, says its runner", gib(own.size))),
            _ => (Verdict::Unproven, "neither its runner nor its GPU says where it answers".to_owned()),
        },
    }
}

fn shown_speed(measured: &Measured) -> String {
    measured.tokens_per_s.map(|speed| format!(", {speed:.1} tokens/s")).unwrap_or_default()
}

/// Whether a vector came.
#[must_use]
pub fn vector(reply: &Reply) -> (Verdict, String) {
    let answer = match reply.json() {
        Ok(answer) => answer,
        Err(why) => return (Verdict::Fail, why),
    };
    let numbers: Vec<f64> =
        answer["data"][0]["embedding"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    match (numbers.len(), numbers.iter().any(|number| *number != 0.0)) {
        (0, _) => (Verdict::Fail, "there is no vector in its answer".to_owned()),
        (_, false) => (Verdict::Fail, "its vector is all zeros".to_owned()),
        (length, true) => (Verdict::Pass, format!("a vector of {length} numbers in {:.0} ms", reply.took_s * 1000.0)),
    }
}

/// Whether a text came; of a tone it may be empty.
#[must_use]
pub fn text(reply: &Reply) -> (Verdict, String) {
    match reply.json() {
        Err(why) => (Verdict::Fail, why),
        Ok(answer) => match answer["text"].as_str() {
            Some(_) => (Verdict::Pass, format!("a second of sound was heard in {:.0} ms", reply.took_s * 1000.0)),
            None => (Verdict::Fail, "there is no text in its answer".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::stack::asker::Ended;

    /// As TensorZero 2026 sends it (`openai_compatible/types/streaming.rs`): usage comes in a chunk of its own.
    fn stream() -> Reply {
        let chunk = |text: &str| {
            format!(
                "data: {{\"id\":\"0198-a\",\"episode_id\":\"0198-b\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":null}}"
            )
        };
        let mut lines = vec![(
            0.2,
            "data: {\"id\":\"0198-a\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}"
                .to_owned(),
        )];
        lines.extend((0..11).map(|n| (0.5 + f64::from(n) * 0.1, chunk("1 "))));
        lines.push((1.6, "data: {\"id\":\"0198-a\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":21,\"total_tokens\":30}}".to_owned()));
        lines.push((1.6, "data: [DONE]".to_owned()));
        let samples = vec![
            (0.3, "0, GPU-1, T4, 550.1, 15360, 5000, 40".to_owned()),
            (0.8, "0, GPU-1, T4, 550.1, 15360, 5100, [N/A]".to_owned()),
        ];
        Reply { status: Some(200), lines, samples, ended: Ended::Whole, took_s: 1.6 }
    }

    #[test]
    fn a_stream_is_timed_by_its_words_and_counted_by_its_usage() {
        let answer = read(&stream()).unwrap();
        assert_eq!(
            (answer.id.as_deref(), answer.measured.first_token_ms, answer.measured.tokens),
            (Some("0198-a"), 500, 21)
        );
        assert_eq!(answer.measured.tokens_per_s, Some(20.0));
        assert_eq!((answer.measured.gpu_memory_mib, answer.measured.gpu_busy_percent), (Some(5100), Some(40)));
    }

    #[test]
    fn half_a_stream_is_no_answer() {
        let mut half = stream();
        half.lines.pop();
        assert_eq!(read(&half).unwrap_err(), "its stream has no end");
        half.lines.truncate(1);
        assert_eq!(read(&half).unwrap_err(), "it answers without a word");
        let mut broken = stream();
        broken.lines[3].1 = "data: {\"error\":{\"message\":\"no\"}}".into();
        assert!(read(&broken).unwrap_err().contains("broke off"));
        broken.status = Some(502);
        assert!(read(&broken).unwrap_err().starts_with("it answers 502"));
    }

    #[test]
    fn an_answer_from_the_cpu_is_told_by_its_runner_and_by_its_gpu() {
        let fast = read(&stream()).unwrap().measured;
        let look = Look::default();
        let of = |loaded: Option<(u64, u64)>, measured: &Measured| {
            let loaded = loaded.map(|(size, on_gpu)| Ok(Loaded { size, on_gpu, context: None }));
            on_gpu(true, loaded.as_ref(), measured, &look, 6).0
        };
        assert_eq!(of(Some((5 << 30, 5 << 30)), &fast), Verdict::Pass);
        assert_eq!(
            (of(Some((5 << 30, 0)), &fast), of(Some((5 << 30, 2 << 30)), &fast)),
            (Verdict::Fail, Verdict::Fail)
        );
        assert_eq!(of(None, &Measured { gpu_busy_percent: Some(0), ..fast }), Verdict::Fail);
        assert_eq!(of(None, &Measured { gpu_memory_mib: Some(3), ..fast }), Verdict::Fail);
        assert_eq!((of(None, &fast), of(None, &Measured::default())), (Verdict::Pass, Verdict::Unproven));
        assert_eq!(on_gpu(false, None, &fast, &look, 6).0, Verdict::Fail);
    }
}
