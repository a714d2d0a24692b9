//! The lab's HTTP, byte by byte: what a client sees below the API, without TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use infra::lab::{LiveSite, Scenario, connection};
use infra::ports::Clock as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::rig::VirtualClock;

const SECRET: &str = "00000000-0000-4000-8000-00000000beef";

struct Client {
    stream: DuplexStream,
}

struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Client {
    fn new() -> Self {
        Self::with(&VirtualClock::new())
    }

    fn with(clock: &Arc<VirtualClock>) -> Self {
        let mut scenario = Scenario::example();
        scenario.pace = 100;
        let world = scenario.world(&scenario.sites[0], SECRET, clock.now()).unwrap();
        let site = LiveSite::new(world, Arc::<VirtualClock>::clone(clock), Vec::new(), None).unwrap();
        let (stream, other) = tokio::io::duplex(1 << 20);
        tokio::spawn(connection(site, other));
        Self { stream }
    }

    async fn send(&mut self, request: &str) {
        let token = format!("Host: pve1\r\nAuthorization: PVEAPIToken=infra@pve!lab={SECRET}\r\n");
        let request = match request.strip_suffix("TOKEN\r\n") {
            Some(head) => format!("{head}{token}\r\n"),
            None => request.replace("TOKEN\r\n", &token),
        };
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    async fn read(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap();
        let mut answer = Answer { head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body.resize(length, 0);
        self.stream.read_exact(&mut answer.body).await.unwrap();
        answer
    }

    async fn ask(&mut self, request: &str) -> Answer {
        self.send(request).await;
        self.read().await
    }

    async fn is_closed(&mut self) -> bool {
        matches!(self.stream.read_u8().await, Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
    }
}

async fn ask(request: &str) -> Answer {
    Client::new().ask(request).await
}

#[tokio::test]
async fn an_idle_connection_ends_after_5_seconds() {
    let mut client = Client::new();
    let answer = client.ask("GET /api2/json/version HTTP/1.1\r\nTOKEN\r\n").await;
    assert_eq!(answer.status_line(), "HTTP/1.1 200 OK");
    let since = Instant::now();
    assert!(client.is_closed().await);
    // Real time, as the limit is the connection's own; a busy machine may be late, and nobody early.
    assert!((4900..30_000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
}

#[tokio::test]
async fn an_error_ends_the_connection() {
    let mut client = Client::new();
    let answer = client.ask("GET /api2/json/pools/ghost HTTP/1.1\r\nTOKEN\r\n").await;
    assert_eq!(answer.status_line(), "HTTP/1.1 500 pool 'ghost' does not exist");
    assert_eq!(answer.header("connection"), Some("close"));
    let since = Instant::now();
    assert!(client.is_closed().await);
    assert!(since.elapsed() < Duration::from_secs(3), "not after the idle limit but at once");
}

#[tokio::test]
async fn the_hundredth_request_is_a_connections_last() {
    let mut client = Client::new();
    for n in 1..=100 {
        let answer = client.ask("GET /api2/json/version HTTP/1.1\r\nTOKEN\r\n").await;
        assert_eq!(answer.header("connection"), Some(if n < 100 { "Keep-Alive" } else { "close" }), "request {n}");
    }
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_401_comes_3_seconds_late_and_before_any_complaint_about_the_body() {
    for (request, reason) in [
        ("GET /api2/json/version HTTP/1.1\r\nHost: h\r\n\r\n", "No ticket"),
        ("GET /api2/json/version HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer abc\r\n\r\n", "No ticket"),
        (
            "GET /api2/json/x HTTP/1.1\r\nHost: h\r\nAuthorization: PVEAPIToken=garbage\r\n\r\n",
            "Authentication failed!",
        ),
        ("DELETE /api2/json/pools/x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nx=1", "No ticket"),
        ("POST /api2/json/pools HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n", "No ticket"),
    ] {
        let clock = VirtualClock::new();
        let since = clock.now();
        let answer = Client::with(&clock).ask(request).await;
        assert_eq!(answer.status_line(), format!("HTTP/1.1 401 {reason}"));
        assert_eq!((clock.now().as_second() - since.as_second(), answer.body.len()), (3, 0));
        assert_eq!(answer.header("www-authenticate"), None);
    }
}

#[tokio::test]
async fn a_request_of_the_wrong_form_is_refused_with_a_bare_text() {
    for (request, line) in [
        (
            "DELETE /api2/json/pools/x HTTP/1.1\r\nTOKEN\r\nContent-Length: 3\r\n\r\nx=1",
            "501 Unexpected content for method 'DELETE'",
        ),
        ("POST /api2/json/pools HTTP/1.1\r\nTOKEN\r\nContent-Length: 524289\r\n\r\n", "501 for data too large"),
        (
            "PUT /api2/json/pools HTTP/1.1\r\nTOKEN\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
            "506 upload 'Content-Type 'text/plain' not implemented",
        ),
        (
            "POST /api2/json/pools HTTP/1.1\r\nTOKEN\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "501 chunked transfer encoding not supported",
        ),
        (
            "PUT /api2/json/pools HTTP/1.1\r\nTOKEN\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{bad",
            "500 '\"' expected, at character offset 1 (before \"bad\") at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934.",
        ),
    ] {
        let answer = ask(request).await;
        assert_eq!(answer.status_line(), format!("HTTP/1.1 {line}"));
        assert_eq!(String::from_utf8_lossy(&answer.body).trim_end(), &line[4..]);
        assert_eq!(answer.header("content-type"), None);
    }
}

#[tokio::test]
async fn other_methods_are_not_available() {
    for method in ["PATCH", "OPTIONS", "BREW"] {
        let answer = ask(&format!("{method} /api2/json/version HTTP/1.1\r\nTOKEN\r\n")).await;
        assert_eq!(answer.status_line(), format!("HTTP/1.1 501 method '{method}' not available"));
        assert!(answer.body.is_empty());
    }
    let mut client = Client::new();
    client.send("HEAD /api2/json/version HTTP/1.1\r\nTOKEN\r\n").await;
    let mut answer = String::new();
    client.stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 501 method 'HEAD' not available\r\n"), "{answer}");
}

#[tokio::test]
async fn parameters_come_as_form_json_or_query() {
    let mut client = Client::new();
    let json_body = r#"{"poolid":"p1","comment":"one"}"#;
    let posted = |kind: &str, body: &str| {
        format!(
            "POST /api2/json/pools HTTP/1.1\r\nTOKEN\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .replace("TOKEN\r\n", "TOKEN\r\n")
    };
    for request in [
        posted("application/json", json_body),
        posted("application/x-www-form-urlencoded", "poolid=p2&comment=t%20wo"),
        "POST /api2/json/pools?poolid=p3&comment=three HTTP/1.1\r\nTOKEN\r\n".to_owned(),
    ] {
        assert_eq!(client.ask(&request).await.status_line(), "HTTP/1.1 200 OK");
    }
    let listed = client.ask("GET /api2/json//pools/?_dc=1 HTTP/1.1\r\nTOKEN\r\n").await.json();
    let comments: Vec<&str> = listed["data"].as_array().unwrap().iter().filter_map(|p| p["comment"].as_str()).collect();
    assert_eq!(comments, ["one", "t wo", "three"]);
}

#[tokio::test]
async fn the_web_interfaces_format_says_success_in_the_body() {
    let mut client = Client::new();
    let fine = client.ask("GET /api2/extjs/version HTTP/1.1\r\nTOKEN\r\n").await;
    assert_eq!(fine.json()["success"], json!(1));
    let refused = client.ask("GET /api2/extjs/pools/ghost HTTP/1.1\r\nTOKEN\r\n").await;
    assert_eq!(refused.status_line(), "HTTP/1.1 200 OK");
    assert_eq!(
        refused.json(),
        json!({"data": null, "success": 0, "status": 500, "message": "pool 'ghost' does not exist\n"})
    );
}

#[tokio::test]
async fn http_1_0_gets_one_answer_per_connection() {
    let mut client = Client::new();
    let answer = client.ask("GET /api2/json/version HTTP/1.0\r\nTOKEN\r\n").await;
    assert!(answer.status_line().ends_with(" 200 OK"), "{}", answer.head);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn what_stands_in_the_path_may_be_said_again_but_not_otherwise() {
    let mut client = Client::new();
    let again = "PUT /api2/json/nodes/pve1/qemu/999/config?node=pve1&vmid=999&cores=1 HTTP/1.1\r\nTOKEN\r\n";
    assert!(client.ask(again).await.status_line().ends_with("'nodes/pve1/qemu-server/999.conf' does not exist"));
    let answer = ask("GET /api2/json/nodes/pve1/status?node=pve2 HTTP/1.1\r\nTOKEN\r\n").await;
    let text = "duplicate parameter (already defined in URI) with conflicting values!";
    assert_eq!(answer.json()["errors"], json!({"node": text}));
}
