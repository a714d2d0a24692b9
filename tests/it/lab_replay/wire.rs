//! A client that sends what it is told, byte for byte, and hides nothing of the answer.

use std::sync::Arc;

use infra::lab::LiveSite;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// An answer as it came over the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Actual {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Actual {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// One request on a connection of its own through the HTTP server of the lab.
pub async fn send(
    site: &Arc<LiveSite>,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: Option<&[u8]>,
) -> Actual {
    let (mut ours, theirs) = duplex(1 << 20);
    let server = tokio::spawn(infra::lab::connection(Arc::clone(site), theirs));
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:8006\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    ours.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses a body because of its length need not read it.
    let _ = ours.write_all(body.unwrap_or_default()).await;
    let answer = read(&mut ours).await;
    drop(ours);
    let _ = server.await;
    answer
}

async fn read(stream: &mut (impl AsyncReadExt + Unpin)) -> Actual {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let (status, reason, headers) = parse(&bytes[..end]);
            let length = headers.iter().find(|(k, _)| k.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map_or(0, |(_, v)| v.parse().unwrap());
            let mut body = bytes.split_off(end + 4);
            while body.len() < length {
                assert!(stream.read_buf(&mut body).await.unwrap() > 0, "the body ends early");
            }
            return Actual { status, reason, headers, body };
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the connection ended without an answer");
    }
}

fn parse(head: &[u8]) -> (u16, String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut status = lines.next().unwrap().splitn(3, ' ');
    assert_eq!(status.next(), Some("HTTP/1.1"));
    let code = status.next().unwrap().parse().unwrap();
    let reason = status.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_owned(), v.to_owned()));
    (code, reason, headers.collect())
}
