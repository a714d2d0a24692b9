//! The API over TLS on loopback, as pveproxy speaks: HTTP/1.1 only, its own reason phrases, connections that
//! end after an error and after five idle seconds.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SERVER};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::live::{LiveSite, Outcome};
use super::rules::Request;
use crate::ports::Response;

/// PVE refuses larger bodies of forms with 501 (9.2.11).
const MAX_FORM: usize = 512 << 10;
const IDLE: Duration = Duration::from_secs(5);
const ROOT: &str = "/api2/json";

/// A server that runs until it is stopped.
#[derive(Debug)]
pub struct Server {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves a site on a listener.
    #[must_use]
    pub fn start(site: Arc<LiveSite>, listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(site, listener, acceptor, stop.clone()));
        Self { stop, task }
    }

    /// Stops it; open connections end.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

async fn accept(site: Arc<LiveSite>, listener: TcpListener, acceptor: TlsAcceptor, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (site, acceptor) = (Arc::clone(&site), acceptor.clone());
                connections.spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let Ok(tls) = acceptor.accept(stream).await else { return };
                    connection(site, tls).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.abort_all();
}

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut")]
struct Cut;

/// Serves one connection until either side ends it; what is below HTTP has been taken off.
pub async fn connection(site: Arc<LiveSite>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    // A dropped connection is one that ends without an answer: the service says so here.
    let cut = CancellationToken::new();
    let drop_now = cut.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (site, cut) = (Arc::clone(&site), drop_now.clone());
        async move {
            let response = respond(&site, request).await;
            if response.is_none() {
                cut.cancel();
            }
            // An error of the service makes hyper close the connection without an answer.
            response.ok_or(Cut)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = served => {}
        () = cut.cancelled() => {}
    }
}

async fn respond(site: &LiveSite, request: hyper::Request<Incoming>) -> Option<hyper::Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let reply =
        |status: u16, reason: &str| Some(wire(&Response { status, reason: reason.to_owned(), body: Vec::new() }));
    let method = parts.method.as_str().to_owned();
    let path = plain_slashes(parts.uri.path());
    let Some(path) = path.strip_prefix(ROOT) else {
        return reply(501, &format!("no handler defined for url {path}"));
    };
    let declared =
        parts.headers.get(CONTENT_LENGTH).and_then(|l| l.to_str().ok()).and_then(|l| l.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MAX_FORM) {
        return reply(501, "for data too large");
    }
    let Ok(body) = Limited::new(body, MAX_FORM).collect().await else {
        return reply(501, "for data too large");
    };
    let body = body.to_bytes();
    let mut params = form(parts.uri.query().unwrap_or_default());
    if !body.is_empty() {
        if method == "DELETE" || method == "GET" {
            return reply(501, &format!("Unexpected content for method '{method}'"));
        }
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => match json(&body) {
                Some(more) => params.extend(more),
                None => return reply(500, "malformed JSON string, neither tag, array, object, number, string or atom"),
            },
            "application/x-www-form-urlencoded" | "" => params.extend(form(&String::from_utf8_lossy(&body))),
            other => return reply(506, &format!("upload 'Content-Type '{other}' not implemented")),
        }
    }
    let authorization = parts.headers.get(AUTHORIZATION).and_then(|a| a.to_str().ok()).map(str::to_owned);
    let raw = Request { method, path: path.to_owned(), params, authorization };
    match site.handle(&raw) {
        Ok(handled) => {
            if !handled.delay.is_zero() {
                site.clock().sleep(handled.delay).await;
            }
            match handled.outcome {
                Outcome::Answer(response) => Some(wire(&response)),
                Outcome::Dropped => None,
            }
        }
        Err(error) => reply(500, &format!("the lab cannot keep its state: {error}")),
    }
}

/// `//` counts as `/` and a trailing one as none.
fn plain_slashes(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        out.push('/');
        out.push_str(part);
    }
    out
}

fn form(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|p| !p.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect()
}

/// JSON bodies: numbers, texts, true and false are taken; a list is a repeated name.
fn json(body: &[u8]) -> Option<Vec<(String, String)>> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return None };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => u8::from(*on).to_string(),
        other => other.to_string(),
    };
    let mut pairs = Vec::new();
    for (name, value) in &object {
        match value {
            Value::Array(values) => pairs.extend(values.iter().map(|v| (name.clone(), text(v)))),
            Value::Null => {}
            value => pairs.push((name.clone(), text(value))),
        }
    }
    Some(pairs)
}

fn wire(response: &Response) -> hyper::Response<Full<Bytes>> {
    let mut out = hyper::Response::new(Full::new(Bytes::from(response.body.clone())));
    if let Ok(status) = hyper::StatusCode::from_u16(response.status) {
        *out.status_mut() = status;
    }
    if let Ok(reason) = ReasonPhrase::try_from(response.reason.clone()) {
        out.extensions_mut().insert(reason);
    }
    let headers = out.headers_mut();
    headers.insert(SERVER, hyper::header::HeaderValue::from_static("pve-api-daemon/3.0"));
    if !response.body.is_empty() {
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json;charset=UTF-8"));
    }
    if response.status >= 400 {
        headers.insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_bodies_become_parameters() {
        let pairs = json(br#"{"cores": 2, "onboot": true, "map": ["a", "b"]}"#).unwrap();
        let text: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(text, ["cores=2", "onboot=1", "map=a", "map=b"]);
        assert_eq!(json(b"{bad"), None);
    }

    #[test]
    fn forms_are_decoded_once() {
        assert_eq!(
            form("a=1%2B1&b=x+y&sshkeys=a%2520b"),
            [
                ("a".to_owned(), "1+1".to_owned()),
                ("b".to_owned(), "x y".to_owned()),
                ("sshkeys".to_owned(), "a%20b".to_owned()),
            ]
        );
    }

    #[test]
    fn doubled_slashes_are_one() {
        assert_eq!(plain_slashes("//api2/json//version/"), "/api2/json/version");
    }
}
