//! Servers that answer wrongly: what becomes of a read and of a write, how often each is sent, and how long it takes.
//!
//! Nothing is forgiven and nothing is waited for longer than the limits say. A read is sent again where nobody
//! answered, a write never.

use std::sync::Arc;
use std::time::{Duration, Instant};

use infra::adapters::Trust;
use infra::client::{CallError, Session};
use infra::ports::{Api, Method, Request, TransportError};

use super::script::{Layer, Scripted, Step};
use crate::rig::VirtualClock;

/// How often a read is sent at most (rule 8 of docs/safety.md).
const READS: usize = 5;

/// What a call comes to.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum End {
    /// An answer that is one.
    Good,
    /// No answer, and nobody knows what was done.
    Uncertain,
    /// Nothing can have been sent.
    NotSent,
    /// The peer is not who it should be.
    Stranger,
    /// An answer with this status that is none, or says no.
    Refused(u16),
}

fn end<T>(result: &Result<T, CallError>) -> End {
    match result {
        Ok(_) => End::Good,
        Err(CallError::Transport(TransportError::Uncertain { .. })) => End::Uncertain,
        Err(CallError::Transport(TransportError::NotSent { .. })) => End::NotSent,
        Err(CallError::Transport(TransportError::Refused { .. })) => End::Stranger,
        Err(CallError::Refused(failure)) => End::Refused(failure.status),
        Err(other) => panic!("{other:?}"),
    }
}

fn request(method: Method) -> Request {
    Request { method, path: "/pools".to_owned(), params: vec![("poolid".to_owned(), "hidden-value".to_owned())] }
}

fn session(server: &Scripted, trust: Option<Trust>) -> Session {
    let door = match trust {
        Some(trust) => server.door(trust),
        None => server.pinned(),
    };
    Session::new(Arc::new(door) as Arc<dyn Api>, VirtualClock::new(), 7)
}

/// Both kinds of call against a server; each error has to name whom or what it is about, and no parameter.
async fn held(name: &str, layer: Layer, script: Vec<Step>, expected: End) {
    let since = Instant::now();
    for method in [Method::Get, Method::Post] {
        let server = Scripted::start(layer.clone(), script.clone()).await;
        let session = session(&server, None);
        let result = match method {
            Method::Get => session.read(&request(method)).await,
            _ => session.write(&request(method), &mut |_| {}).await,
        };
        assert_eq!(end(&result), expected, "{name}: {method}: {result:?}");
        if let Err(error) = &result {
            let text = error.to_string();
            let named = text.contains(&format!("127.0.0.1:{}", server.port)) || text.contains("/pools");
            assert!(named && !text.contains("hidden-value") && text.len() < 2000, "{name}: {text}");
        }
        let most = match (method, expected) {
            (Method::Get, End::Uncertain) => READS,
            (_, End::NotSent | End::Stranger) => 0,
            _ => 1,
        };
        // Where even the handshake is slower than our patience, a request may not have come that far.
        let slow = server.lets_wait && server.count() < most;
        assert!(slow || server.count() == most, "{name}: {method} was sent {} times", server.count());
    }
    let limit = Duration::from_secs(15);
    assert!(since.elapsed() < limit, "{name} took {:?}", since.elapsed());
}

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

fn ok(body: &str) -> Vec<Step> {
    vec![send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))]
}

fn bytes(body: &[u8]) -> Vec<Step> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    vec![Step::Send([head.as_bytes(), body].concat())]
}

#[tokio::test]
async fn a_body_that_is_no_answer_is_an_error_of_its_own() {
    let deep = format!(r#"{{"data":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for (name, body) in [
        ("nothing", ""),
        ("a page", "<html><body>Login</body></html>"),
        ("broken JSON", r#"{"data":"#),
        ("something after it", r#"{"data":null} and more"#),
        ("a list", "[1,2]"),
        ("a text", r#""data""#),
        ("null", "null"),
        ("no data", "{}"),
        ("other keys only", r#"{"result":1}"#),
        ("data twice", r#"{"data":1,"data":2}"#),
        ("a number beyond numbers", r#"{"data":1e999}"#),
        ("an abyss", &deep),
    ] {
        held(name, Layer::Tls, ok(body), End::Refused(200)).await;
    }
    held("no UTF-8", Layer::Tls, bytes(b"{\"data\":\"\xff\xfe\"}"), End::Refused(200)).await;
    held("zip unasked", Layer::Tls, bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00"), End::Refused(200)).await;
    held("extra keys", Layer::Tls, ok(r#"{"data":null,"success":1,"x":[{}]}"#), End::Good).await;
}

#[tokio::test]
async fn a_status_that_is_no_success_is_none() {
    for (status, body) in [
        (204, ""),
        (301, ""),
        (302, "<html>"),
        (307, ""),
        (308, ""),
        (400, "<html>"),
        (404, ""),
        (418, "{}"),
        (500, "<html>"),
        (502, "<html>"),
        (503, ""),
    ] {
        let answer = format!(
            "HTTP/1.1 {status} Said so\r\nLocation: /api2/json/pools\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        held(&format!("{status}"), Layer::Tls, vec![send(&answer)], End::Refused(status)).await;
    }
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n";
    for (name, script) in [
        ("no word", vec![Step::Close]),
        ("cut at once", vec![Step::Cut]),
        ("half a head", vec![send("HTTP/1.1 200 OK\r\nCont"), Step::Close]),
        ("a head alone", vec![send(head), Step::Close]),
        ("too few bytes", vec![send(head), send(r#"{"data":"#), Step::Close]),
        ("too few bytes, cut", vec![send(head), send(r#"{"data":"#), Step::Cut]),
        ("a body without length, cut", vec![send("HTTP/1.1 200 OK\r\n\r\n{\"data\":null}"), Step::Cut]),
        ("HTTP/1.0, cut", vec![send("HTTP/1.0 200 OK\r\n\r\n{\"data\":null}"), Step::Cut]),
    ] {
        held(name, Layer::Tls, script, End::Uncertain).await;
    }
    let whole = vec![send("HTTP/1.0 200 OK\r\n\r\n{\"data\":null}"), Step::Close];
    held("HTTP/1.0 as it should be", Layer::Tls, whole, End::Good).await;
    let short = vec![send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"data\":null}")];
    held("too many bytes", Layer::Tls, short, End::Refused(200)).await;
}

#[tokio::test]
async fn chunks_have_to_be_right() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (name, chunks) in [
        ("a size that is none", "zz\r\n{}\r\n0\r\n\r\n"),
        ("a size without end", "FFFFFFFFFFFFFFFFFF\r\n{}"),
        ("a huge chunk that never comes", "FFFFFFF\r\n{\"data\""),
        ("no last chunk", "d\r\n{\"data\":null}\r\n"),
        ("a chunk that is too short", "20\r\n{\"data\":null}\r\n0\r\n\r\n"),
        ("a negative size", "-1\r\n{}\r\n0\r\n\r\n"),
    ] {
        held(name, Layer::Tls, vec![send(head), send(chunks), Step::Close], End::Uncertain).await;
    }
    let fine = vec![send(head), send("6;x=y\r\n{\"data\r\n7\r\n\":null}\r\n0\r\nX-Trailer: yes\r\n\r\n")];
    held("chunks with extension and trailer", Layer::Tls, fine, End::Good).await;
}

#[tokio::test]
async fn a_head_has_to_be_one() {
    let body = "\r\nContent-Length: 13\r\n\r\n{\"data\":null}";
    for (name, head) in [
        ("another protocol", "FTP/1.1 200 OK"),
        ("HTTP/9.9", "HTTP/9.9 200 OK"),
        ("no number", "HTTP/1.1 fine OK"),
        ("a short number", "HTTP/1.1 20 OK"),
        ("a header without colon", "HTTP/1.1 200 OK\r\nnonsense"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 12"),
        ("a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: much"),
        ("a zero byte", "HTTP/1.1 200 OK\r\nX: a\0b"),
    ] {
        held(name, Layer::Tls, vec![send(&format!("{head}{body}"))], End::Uncertain).await;
    }
    let many: String = (0..5000).map(|n| format!("X-{n}: y\r\n")).collect();
    held("5000 headers", Layer::Tls, vec![send(&format!("HTTP/1.1 200 OK\r\n{many}\r\n"))], End::Uncertain).await;
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(3 << 20));
    held("one long header", Layer::Tls, vec![send(&long)], End::Uncertain).await;
    held(
        "headers without end",
        Layer::Tls,
        vec![send("HTTP/1.1 200 OK\r\n"), Step::Repeat(b"X: y\r\n".to_vec())],
        End::Uncertain,
    )
    .await;
    let early = vec![send("HTTP/1.1 100 Continue\r\n\r\n"), send(&format!("HTTP/1.1 200 OK{body}"))];
    held("100 and then 200", Layer::Tls, early, End::Good).await;
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_the_limit() {
    let every = Duration::from_millis(40);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"data\":null}".to_vec();
    for (name, script) in [
        ("silence", vec![Step::Silence]),
        ("a byte now and then", vec![Step::Drip(answer.clone(), every)]),
        ("a body now and then", vec![Step::Send(answer[..39].to_vec()), Step::Drip(answer[39..].to_vec(), every)]),
        ("100 for ever", vec![Step::Repeat(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())]),
    ] {
        held(name, Layer::Tls, script, End::Uncertain).await;
    }
    let endless = vec![send("HTTP/1.1 200 OK\r\n\r\n"), Step::Repeat(vec![b' '; 9000])];
    held("a body without end", Layer::Tls, endless, End::Uncertain).await;
}

#[tokio::test]
async fn what_is_no_tls_gets_no_request() {
    for (name, layer) in [
        ("plain HTTP", Layer::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        ("an SSH server", Layer::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
        // the alert of a server that speaks nothing newer than TLS 1.1
        ("TLS 1.1", Layer::Raw(b"\x15\x03\x02\x00\x02\x02\x46".to_vec())),
        ("the end", Layer::Raw(Vec::new())),
        ("silence", Layer::Silent),
    ] {
        held(name, layer, Vec::new(), End::NotSent).await;
    }
}

#[tokio::test]
async fn a_certificate_of_the_past_is_refused_unless_it_is_the_pinned_one() {
    let server = Scripted::start(Layer::Expired, ok(r#"{"data":null}"#)).await;
    let read = session(&server, Some(Trust::Ca(server.ca.clone()))).read(&request(Method::Get)).await;
    assert_eq!(end(&read), End::Stranger);
    assert!(read.unwrap_err().to_string().to_lowercase().contains("expired"));
    assert_eq!(server.count(), 0);
    assert_eq!(end(&session(&server, None).read(&request(Method::Get)).await), End::Good);
}

#[tokio::test]
async fn what_is_left_of_one_answer_is_never_the_next_one() {
    let more = |extra: &str| {
        vec![
            send(&format!("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{{\"data\":1}}{extra}")),
            Step::Next,
            send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"data\":2}"),
        ]
    };
    for extra in ["garbage", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"data\":9}"] {
        let server = Scripted::start(Layer::Tls, more(extra)).await;
        let session = session(&server, None);
        for _ in 0..2 {
            assert_eq!(session.read(&request(Method::Get)).await, Ok(1.into()), "a new connection each time");
        }
    }
    let server = Scripted::start(Layer::Tls, more("")).await;
    let session = session(&server, None);
    assert_eq!(session.read(&request(Method::Get)).await, Ok(1.into()));
    assert_eq!(session.read(&request(Method::Get)).await, Ok(2.into()), "the same connection");
}
