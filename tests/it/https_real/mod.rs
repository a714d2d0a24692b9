//! The HTTPS door against a TLS server of the test's own that misbehaves on demand.

mod script;
mod wrong;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use infra::adapters::{Https, HttpsTarget, Trust};
use infra::model::Fingerprint;
use infra::ports::{Api, Method, Request, Response, TransportError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What the server does with each connection.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Answers every request with this and keeps the connection.
    Answer(&'static str),
    /// Closes without a TLS handshake.
    NoHandshake,
    /// Reads the request, then closes without an answer.
    ReadThenClose,
    /// Sends the head of an answer and a part of its body, then closes.
    HalfAnAnswer,
    /// Reads the request and never answers.
    Silence,
}

struct Server {
    port: u16,
    fingerprint: Fingerprint,
    ca: Vec<u8>,
    connections: Arc<AtomicUsize>,
    requests: Arc<tokio::sync::Mutex<Vec<String>>>,
}

async fn serve(behaviour: Behaviour) -> Server {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        port: listener.local_addr().unwrap().port(),
        fingerprint: Fingerprint::new(Sha256::digest(leaf.der()).into()),
        ca: ca.pem().into_bytes(),
        connections: Arc::default(),
        requests: Arc::default(),
    };
    let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let (acceptor, requests) = (acceptor.clone(), Arc::clone(&requests));
            tokio::spawn(async move {
                if matches!(behaviour, Behaviour::NoHandshake) {
                    return;
                }
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while let Some(request) = read_request(&mut stream).await {
                    requests.lock().await.push(request);
                    match behaviour {
                        Behaviour::Answer(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                        Behaviour::HalfAnAnswer => {
                            let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
                            stream.write_all(half.as_bytes()).await.unwrap();
                            return;
                        }
                        Behaviour::Silence => std::future::pending().await,
                        Behaviour::ReadThenClose | Behaviour::NoHandshake => return,
                    }
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    server
}

/// One request, head and body, or nothing when the client is gone.
async fn read_request(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut byte = [0];
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
        if let Some(head) = request.strip_suffix(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(head).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |n| n.parse().unwrap())];
            stream.read_exact(&mut body).await.ok()?;
            request.extend(body);
            return Some(String::from_utf8(request).unwrap());
        }
    }
}

fn door(server: &Server, trust: Trust) -> Https {
    let token = SecretString::from("00000000-1111-2222-3333-444444444444".to_owned());
    let mut target = HttpsTarget::new("127.0.0.1", server.port, trust, "infra@pve!t", token);
    target.connect_limit = Duration::from_secs(2);
    target.request_limit = Duration::from_secs(2);
    target.max_response_bytes = 1000;
    Https::new(&target).unwrap()
}

fn pinned(server: &Server) -> Https {
    door(server, Trust::Pinned(server.fingerprint))
}

fn get(path: &str) -> Request {
    Request { method: Method::Get, path: path.to_owned(), params: Vec::new() }
}

const OK: Behaviour = Behaviour::Answer("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"data\":null}");

#[tokio::test]
async fn a_pinned_server_is_asked_with_token_and_encoded_parameters() {
    let server = serve(OK).await;
    let door = pinned(&server);
    let params = vec![("map".to_owned(), "id=a:b,c".to_owned()), ("map".to_owned(), "x y&z".to_owned())];
    let expected = Response { status: 200, reason: "OK".to_owned(), body: b"{\"data\":null}".to_vec() };
    for method in [Method::Get, Method::Delete, Method::Post, Method::Put] {
        let request = Request { method, path: "/cluster/mapping/pci".to_owned(), params: params.clone() };
        assert_eq!(door.send(&request).await.unwrap(), expected);
    }
    let requests = server.requests.lock().await;
    let form = "map=id%3Da%3Ab%2Cc&map=x%20y%26z";
    assert!(requests[0].starts_with(&format!("GET /api2/json/cluster/mapping/pci?{form} HTTP/1.1\r\n")));
    assert!(requests[1].starts_with(&format!("DELETE /api2/json/cluster/mapping/pci?{form} HTTP/1.1\r\n")));
    for posted in &requests[2..] {
        assert!(posted.contains(" /api2/json/cluster/mapping/pci HTTP/1.1\r\n"));
        assert!(posted.contains("content-type: application/x-www-form-urlencoded\r\n"));
        assert!(posted.ends_with(&format!("\r\n\r\n{form}")));
    }
    for request in requests.iter() {
        let token = "authorization: PVEAPIToken=infra@pve!t=00000000-1111-2222-3333-444444444444\r\n";
        assert!(request.contains(token), "{request}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "one connection is reused");
}

#[tokio::test]
async fn a_wrong_pin_is_refused_before_anything_is_sent() {
    let server = serve(OK).await;
    let wrong = Fingerprint::new([0xAB; 32]);
    let error = door(&server, Trust::Pinned(wrong)).send(&get("/version")).await.unwrap_err();
    let TransportError::Refused { why, hint, peer } = error else { panic!("{error:?}") };
    assert_eq!(peer, format!("127.0.0.1:{}", server.port));
    assert!(why.contains(&wrong.to_string()) && why.contains(&server.fingerprint.to_string()), "{why}");
    assert!(hint.contains(&format!("fingerprint: \"{}\"", server.fingerprint)), "{hint}");
    assert!(server.requests.lock().await.is_empty());
}

#[tokio::test]
async fn a_ca_vouches_for_its_own_and_for_nobody_else() {
    let (server, stranger) = (serve(OK).await, serve(OK).await);
    assert_eq!(door(&server, Trust::Ca(server.ca.clone())).send(&get("/version")).await.unwrap().status, 200);
    let error = door(&stranger, Trust::Ca(server.ca.clone())).send(&get("/version")).await.unwrap_err();
    let TransportError::Refused { why, hint, .. } = error else { panic!("{error:?}") };
    assert!(why.contains("not accepted") && hint.contains("pve-root-ca.pem"), "{why} {hint}");
    let token = SecretString::from("t".to_owned());
    assert!(Https::new(&HttpsTarget::new("h", 1, Trust::Ca(b"no pem".to_vec()), "t", token)).is_err());
}

#[tokio::test]
async fn a_ca_vouches_for_a_name_and_not_for_another() {
    let server = serve(OK).await;
    let token = SecretString::from("t".to_owned());
    let target = HttpsTarget::new("localhost", server.port, Trust::Ca(server.ca.clone()), "infra@pve!t", token);
    let error = Https::new(&target).unwrap().send(&get("/version")).await.unwrap_err();
    assert!(matches!(error, TransportError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn the_reason_phrase_comes_through() {
    let server = serve(Behaviour::Answer(
        "HTTP/1.1 500 unable to create VM 100 - VM 100 already exists on node 'pve1'\r\nContent-Length: 0\r\n\r\n",
    ))
    .await;
    let response = pinned(&server).send(&get("/x")).await.unwrap();
    assert_eq!(response.reason, "unable to create VM 100 - VM 100 already exists on node 'pve1'");
    let server = serve(Behaviour::Answer("HTTP/1.1 595 Connection refused\r\nContent-Length: 0\r\n\r\n")).await;
    let response = pinned(&server).send(&get("/x")).await.unwrap();
    assert_eq!((response.status, response.reason.as_str()), (595, "Connection refused"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let server = serve(Behaviour::Answer(
        "HTTP/1.1 301 Moved Permanently\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ))
    .await;
    assert_eq!(pinned(&server).send(&get("/x")).await.unwrap().status, 301);
}

#[tokio::test]
async fn what_cannot_have_left_us_is_not_sent() {
    let server = serve(Behaviour::NoHandshake).await;
    let error = pinned(&server).send(&get("/x")).await.unwrap_err();
    assert!(matches!(error, TransportError::NotSent { .. }), "{error:?}");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let server = Server { port: closed, ..server };
    let error = pinned(&server).send(&get("/x?secret=1")).await.unwrap_err();
    let TransportError::NotSent { why, .. } = &error else { panic!("{error:?}") };
    assert!(why.contains("refused") && !why.contains("secret"), "{why}");
}

#[tokio::test]
async fn what_may_have_arrived_is_uncertain_and_sent_once() {
    for behaviour in [Behaviour::ReadThenClose, Behaviour::HalfAnAnswer, Behaviour::Silence] {
        let server = serve(behaviour).await;
        let request = Request { method: Method::Post, ..get("/nodes/pve1/qemu") };
        let error = pinned(&server).send(&request).await.unwrap_err();
        assert!(matches!(error, TransportError::Uncertain { .. }), "{error:?}");
        assert_eq!(server.requests.lock().await.len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_swallowed() {
    let body = "x".repeat(1001);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{body}");
    let server = serve(Behaviour::Answer(answer.leak())).await;
    let TransportError::Uncertain { why, .. } = pinned(&server).send(&get("/x")).await.unwrap_err() else { panic!() };
    assert!(why.contains("exceeds 1000 bytes"), "{why}");
}
