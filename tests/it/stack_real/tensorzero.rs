//! TensorZero loads its configuration, and the door in front of it speaks OpenAI on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::held::held;

use super::programs::{said, tensorzero, there};
use super::{deliver, everything, folder, stacks};

/// Builds the gateway from the file alone; rate limits are kept in Valkey, which nobody has here, and records in ClickHouse.
const LOADER: &str = "
import sys
from tensorzero import TensorZeroGateway
gateway = TensorZeroGateway.build_embedded(config_file=sys.argv[1])
print('loaded')
";

fn delivered() -> (tempfile::TempDir, camino::Utf8PathBuf) {
    let (kept, folder) = folder();
    let all = stacks(&everything());
    deliver(&all[&("inference".to_owned(), "tensorzero".to_owned())], &folder);
    (kept, folder)
}

#[test]
fn tensorzero_loads_its_configuration() {
    let Some(python) = tensorzero() else { return };
    let (_kept, folder) = delivered();
    let path = folder.join("tensorzero.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut program = Command::new(&python);
        program.args(["-c", LOADER, path.as_str()]).env_remove("TENSORZERO_CLICKHOUSE_URL").stdin(Stdio::null());
        program.output().unwrap()
    };
    let alone = text
        .replace("observability.enabled = true", "observability.enabled = false")
        .replace("enabled = true\nbackend = \"valkey\"", "enabled = false");
    assert_ne!(alone, text);
    let output = load(&alone);
    assert!(said(&output).contains("loaded"), "{}\n{alone}", said(&output));
    // Switched on, what it asks for is the database, and nothing else.
    let limits = load(&text.replace("observability.enabled = true", "observability.enabled = false"));
    assert!(said(&limits).to_lowercase().contains("valkey"), "{}", said(&limits));
    let wrong = load(&alone.replace("[gateway]", "[gateway]\nbind_adress = \"x\""));
    assert!(!wrong.status.success(), "a loader that takes anything is no check");
    held("tensorzero", "TensorZero's own loader");
}

/// Ends the program when the test does.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One answer of a server of the test's own: takes a request, gives its head and body, sends two pieces.
fn upstream(pieces: &'static [&'static str]) -> (u16, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (head, body) = message(&mut stream);
            let _ = sender.send((head, serde_json::from_slice(&body).unwrap_or(Value::Null)));
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            for piece in pieces {
                stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).unwrap();
            }
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
    });
    (port, receiver)
}

/// Head and body of a message with a length.
pub(super) fn message(stream: &mut TcpStream) -> (String, Vec<u8>) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            if all.len() >= end + 4 + length {
                return (head, all[end + 4..end + 4 + length].to_vec());
            }
        }
        match stream.read(&mut part).unwrap() {
            0 => return (String::from_utf8_lossy(&all).into_owned(), Vec::new()),
            count => all.extend_from_slice(&part[..count]),
        }
    }
}

/// Sends a request and reads until the door closes.
pub(super) fn ask(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn completion(port: u16, more: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    ask(
        port,
        &format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n{body}"
        ),
    )
}

fn door(folder: &camino::Utf8Path, gateway: u16) -> (Running, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut program = Command::new("python3");
    program.args([folder.join("door.py").as_str(), &format!("127.0.0.1:{gateway}"), &port.to_string()]);
    let running = Running(program.stdin(Stdio::null()).spawn().unwrap());
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "the door does not open");
        std::thread::sleep(Duration::from_millis(50));
    }
    (running, port)
}

#[test]
fn the_door_speaks_openai_and_records_the_tenant() {
    if !there("python3", "python3") {
        return;
    }
    let (_kept, folder) = delivered();
    let (gateway, requests) = upstream(&["data: {\"a\":1}\n\n", "data: [DONE]\n\n"]);
    let (_running, port) = door(&folder, gateway);

    let models = ask(port, "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    for name in ["qwen2.5-coder:7b", "coder", "big", "nomic"] {
        assert!(models.contains(&format!("\"{name}\"")), "{models}");
    }
    let request = json!({ "model": "coder", "messages": [], "stream": true });
    let answer = completion(port, "x-tenant-id: tenant-123\r\n", &request);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("data: {\"a\":1}") && answer.contains("[DONE]"),
        "{answer}"
    );
    let (head, body) = requests.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(head.starts_with("post /openai/v1/chat/completions "), "{head}");
    assert_eq!(body["model"], "tensorzero::model_name::qwen2.5-coder:7b");
    assert_eq!(body["tensorzero::tags"]["tenant_id"], "tenant-123");
    assert_eq!(body["max_tokens"], 1024, "without it, a limit of tokens refuses every request");

    let request = json!({ "model": "big", "messages": [], "max_tokens": 5, "tensorzero::tags": { "tenant_id": "another", "x": "y" } });
    completion(port, "", &request);
    let (_, body) = requests.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(
        body["tensorzero::tags"],
        json!({ "tenant_id": "unknown", "x": "y" }),
        "nobody says who they are but in the header"
    );
    assert_eq!(body["max_tokens"], 5);
}

#[test]
fn the_door_refuses_what_is_none_of_its_business() {
    if !there("python3", "python3") {
        return;
    }
    let (_kept, folder) = delivered();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_running, port) = door(&folder, nobody);
    let fine = json!({ "model": "coder", "messages": [] });
    assert!(completion(port, "", &fine).starts_with("HTTP/1.1 502"), "the gateway is not there");
    assert!(completion(port, "", &json!({ "model": "gpt-4o", "messages": [] })).starts_with("HTTP/1.1 404"));
    assert!(completion(port, "", &json!({ "model": "nomic", "messages": [] })).starts_with("HTTP/1.1 404"), "no chat");
    assert!(completion(port, "", &json!(["model"])).starts_with("HTTP/1.1 400"));
    assert!(completion(port, "x-tenant-id: a b\r\n", &fine).starts_with("HTTP/1.1 400"));
    let path = ask(port, "GET /openai/v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(path.starts_with("HTTP/1.1 404"), "{path}");
    let large = ask(port, "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n");
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
}
