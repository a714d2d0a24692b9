//! The real LiteLLM proxy with what is rendered for it, a real Redis with its own file, and runners of the test's own.
//!
//! Of the configuration, only the addresses of the runners are changed, as there are none; of Redis' file, where it
//! listens and keeps its data.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::held::held;

use super::programs::{litellm, there};
use super::tensorzero::{Running, ask, message};
use super::{EVERYTHING, SECRET, deliver, folder, stacks, written};

/// Its first start compiles a few thousand Python files.
const PATIENCE: Duration = Duration::from_secs(180);

/// A runner that says who it is, to vLLM's, Ollama's and Speaches' clients.
struct Runner {
    port: u16,
    broken: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Runner {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (broken, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let runner = Self { port, broken: Arc::clone(&broken), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (broken, asked) = (Arc::clone(&broken), Arc::clone(&asked));
                std::thread::spawn(move || {
                    let (head, body) = message(&mut stream);
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    let (kind, text) = said(name, &path, &body);
                    asked.lock().unwrap().push((path, body));
                    let status = if broken.load(Ordering::Relaxed) { "500 Internal Server Error" } else { "200 OK" };
                    let length = text.len();
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
                    );
                });
            }
        });
        runner
    }

    fn count(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(path, _)| path.contains("chat")).count()
    }
}

fn said(name: &str, path: &str, body: &Value) -> (&'static str, String) {
    let streamed = body["stream"] == true;
    let model = &body["model"];
    let part = |text: &str, done: bool| {
        json!({ "model": model, "created_at": "2026-01-01T00:00:00Z", "done": done, "done_reason": "stop",
            "message": { "role": "assistant", "content": text }, "prompt_eval_count": 5, "eval_count": 2 })
    };
    match path {
        "/api/chat" if streamed => {
            let parts = [part("said by ", false), part(name, false), part("", true)];
            ("application/x-ndjson", parts.map(|part| format!("{part}\n")).concat())
        }
        "/api/chat" => ("application/json", part(&format!("said by {name}"), true).to_string()),
        "/api/embed" => (
            "application/json",
            json!({ "model": model, "embeddings": [[0.5, 0.25]], "prompt_eval_count": 1 }).to_string(),
        ),
        "/v1/audio/transcriptions" => ("application/json", json!({ "text": format!("heard by {name}") }).to_string()),
        "/v1/chat/completions" => {
            let message = json!({ "role": "assistant", "content": format!("said by {name}") });
            let usage = json!({ "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 });
            let choices = json!([{ "index": 0, "message": message, "finish_reason": "stop" }]);
            let answer = json!({ "id": "x", "object": "chat.completion", "created": 1, "model": model,
                "choices": choices, "usage": usage });
            ("application/json", answer.to_string())
        }
        _ => ("application/json", "{}".to_owned()),
    }
}

/// Variables of an environment file, as compose reads it.
pub(super) fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn request(port: u16, path: &str, body: Option<&Value>) -> String {
    let (method, body) = body.map_or(("GET", String::new()), |body| ("POST", body.to_string()));
    let length = body.len();
    ask(
        port,
        &format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-{SECRET}\r\nx-tenant-id: tenant-123\r\n\
             content-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn chat(port: u16, model: &str, streamed: bool) -> String {
    let messages = json!([{ "role": "user", "content": "who are you?" }]);
    request(port, "/v1/chat/completions", Some(&json!({ "model": model, "messages": messages, "stream": streamed })))
}

fn wait(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "{what} does not answer");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_real_proxy_routes_limits_and_falls_back() {
    let Some(program) = litellm() else { return };
    if !there("redis-server", "redis-server") {
        return;
    }
    let blueprint = written(&EVERYTHING.replace("[litellm,", "[{ name: litellm, with: { requests_per_minute: 6 } },"));
    let all = stacks(&blueprint);
    let (_kept, folder) = folder();
    let own = |service: &str| {
        let home = folder.join(service);
        deliver(&all[&("gate".to_owned(), service.to_owned())], &home);
        home
    };
    let (gateway, redis) = (own("litellm"), own("redis"));
    let redis_port = free_port();
    let text = std::fs::read_to_string(redis.join("redis.conf")).unwrap();
    let text = text.replace("bind * -::*", "bind 127.0.0.1").replace("port 6379", &format!("port {redis_port}"));
    let text = text.replace("dir /data", &format!("dir {redis}"));
    std::fs::write(redis.join("redis.conf"), &text).unwrap();
    let mut server = Command::new("redis-server");
    server.arg(redis.join("redis.conf")).stdin(Stdio::null()).stdout(Stdio::null());
    let _redis = Running(server.spawn().unwrap());
    wait("Redis", || TcpStream::connect(("127.0.0.1", redis_port)).is_ok());

    let [first, second, large, small, speech] =
        ["the first ollama", "the second ollama", "vllm", "llama.cpp", "whisper"].map(Runner::start);
    let mut text = std::fs::read_to_string(gateway.join("config.yaml")).unwrap();
    for (from, to) in [
        ("http://10.0.0.11:11434", &first),
        ("http://10.0.0.13:11434", &second),
        ("http://10.0.0.12:8000", &large),
        ("http://10.0.0.12:8081", &small),
        ("http://10.0.0.12:8080", &speech),
    ] {
        assert!(text.contains(from), "{from} is not routed to:\n{text}");
        text = text.replace(from, &format!("http://127.0.0.1:{}", to.port));
    }
    std::fs::write(gateway.join("config.yaml"), &text).unwrap();
    let mut environment = variables(&std::fs::read_to_string(gateway.join(".env.litellm")).unwrap());
    environment.insert("REDIS_HOST".into(), "127.0.0.1".into());
    environment.insert("REDIS_PORT".into(), redis_port.to_string());
    let port = free_port();
    let mut proxy = Command::new(program);
    proxy.args(["--config", gateway.join("config.yaml").as_str(), "--host", "127.0.0.1"]);
    proxy.args(["--port", &port.to_string(), "--num_workers", "1"]).current_dir(&folder);
    proxy.env_clear().envs(environment).env("PATH", "/usr/bin:/bin").env("HOME", &folder);
    let log = std::fs::File::create(folder.join("log")).unwrap();
    proxy.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let _proxy = Running(proxy.spawn().unwrap());
    let start = Instant::now();
    let health = || {
        let opened = TcpStream::connect(("127.0.0.1", port)).is_ok();
        opened && request(port, "/health/liveliness", None).starts_with("HTTP/1.1 200")
    };
    while !health() {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(start.elapsed() < PATIENCE, "LiteLLM does not start:\n{}", log());
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("LiteLLM took {:.0} s to start", start.elapsed().as_secs_f64());

    let models = request(port, "/v1/models", None);
    for name in ["qwen2.5-coder:7b", "coder", "big", "small:x/1", "nomic", "speech"] {
        assert!(models.contains(&format!("\"id\":\"{name}\"")), "{name}: {models}");
    }
    let refused =
        ask(port, "GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-wrong\r\nconnection: close\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 40"), "{refused}");
    assert!(chat(port, "big", false).contains("said by vllm"));
    let streamed = chat(port, "coder", true);
    assert!(streamed.contains("\"content\":\"said by ") && streamed.contains("data: [DONE]"), "{streamed}");
    let embedded = request(port, "/v1/embeddings", Some(&json!({ "model": "nomic", "input": "x" })));
    assert!(embedded.contains("[0.5,0.25]"), "{embedded}");

    // One of two runners is gone: nobody notices, whichever name they ask by.
    first.broken.store(true, Ordering::Relaxed);
    for name in ["coder", "qwen2.5-coder:7b"] {
        let answer = chat(port, name, false);
        assert!(answer.contains("said by the second ollama"), "{name}: {answer}");
    }
    // Both are: who comes by another name falls back as well.
    second.broken.store(true, Ordering::Relaxed);
    for name in ["coder", "qwen2.5-coder:7b"] {
        let answer = chat(port, name, false);
        assert!(answer.contains("said by vllm"), "{name}: {answer}");
    }
    // Six a minute, counted by the clock: two minutes may meet here.
    let answers: Vec<String> = (0..20).map(|_| chat(port, "small:x/1", false)).collect();
    let fine = answers.iter().filter(|answer| answer.contains("said by llama.cpp")).count();
    let limited = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 429")).count();
    assert!((6..=12).contains(&fine) && fine + limited == 20, "{fine} fine, {limited} limited: {:?}", answers.last());
    assert_eq!(small.count(), fine, "what is refused reaches no runner");
    let path = &first.asked.lock().unwrap()[0].0.clone();
    assert_eq!(path, "/api/chat", "what streams and calls tools");
    held("litellm", "LiteLLM 1.83 routes, limits, streams and falls back, with a Redis");
}
