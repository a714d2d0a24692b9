//! The API over TLS on loopback, as pveproxy speaks: HTTP/1.1 only, its own reason phrases, connections that
//! end after an error, after a hundred requests and after five idle seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, PRAGMA, SERVER};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::accept::accept;
use super::envelope;
use super::intake::{self, Format};
use super::live::{LiveSite, Outcome};
use crate::ports::Response;

const IDLE: Duration = Duration::from_secs(5);
/// So many requests pveproxy takes on one connection (`keep_alive` in its service, 9.2.11).
const REQUESTS: u32 = 100;

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
        let door = Arc::clone(&site);
        let serve = move |stream| connection(Arc::clone(&site), stream);
        let task = tokio::spawn(accept(listener, acceptor, stop.clone(), move || door.opens(), serve));
        Self { stop, task }
    }

    /// Stops it; open connections end.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
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
    let served = Arc::new(AtomicU32::new(0));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (site, cut, served) = (Arc::clone(&site), drop_now.clone(), Arc::clone(&served));
        async move {
            let last = served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS;
            let response = respond(&site, request).await.map(|(answer, one_off)| {
                let close = last || one_off || answer.status >= 400;
                wire(&answer, close)
            });
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

/// What is answered, if anything, and whether the connection ends with it even if all is well.
async fn respond(site: &LiveSite, request: hyper::Request<Incoming>) -> Option<(Response, bool)> {
    let (parts, body) = request.into_parts();
    // Files beside the API need no login; of them the lab has its API description.
    if parts.method == hyper::Method::GET && parts.uri.path().starts_with("/pve-docs/") {
        let handled = site.document(parts.uri.path());
        if !handled.delay.is_zero() {
            site.clock().sleep(handled.delay).await;
        }
        return match handled.outcome {
            Outcome::Answer(response) => Some((response, false)),
            Outcome::Dropped => None,
        };
    }
    let head = match intake::read(parts.method.as_str(), &parts.uri, &parts.headers) {
        Ok(head) => head,
        Err(refusal) => return Some((envelope::wrap(Err(refusal)), true)),
    };
    let format = head.format;
    let body = match head.body {
        // One that ends early leaves nobody to answer to.
        Some(limit) => Limited::new(body, limit).collect().await.ok()?.to_bytes(),
        None => Bytes::new(),
    };
    let request = head.with_body(&body);
    let uploads = request.upload.is_some();
    match site.handle(&request) {
        Ok(handled) => {
            if !handled.delay.is_zero() {
                site.clock().sleep(handled.delay).await;
            }
            match handled.outcome {
                Outcome::Answer(response) => Some((dress(response, format, site.requests()), uploads)),
                Outcome::Dropped => None,
            }
        }
        Err(error) => {
            let reason = format!("the lab cannot keep its state: {error}");
            Some((Response { status: 500, reason, body: Vec::new() }, true))
        }
    }
}

/// The answer in the format that was asked for. The order of keys is any, as it is Perl's (9.2.11: it
/// differs from one answer to the next).
fn dress(response: Response, format: Format, seed: u64) -> Response {
    let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(&response.body) else { return response };
    let mut response = response;
    if format == Format::ExtJs {
        let failed = response.status >= 400;
        body.insert("success".to_owned(), json!(u8::from(!failed)));
        if failed {
            // The codes of wrong parameters are texts there (9.2.11).
            let status =
                if body.contains_key("errors") { json!(response.status.to_string()) } else { json!(response.status) };
            body.insert("status".to_owned(), status);
            (response.status, response.reason) = (200, "OK".to_owned());
        }
    }
    let mut dice = fastrand::Rng::with_seed(seed);
    response.body = shuffled(Value::Object(body), &mut dice).to_string().into_bytes();
    response
}

fn shuffled(value: Value, dice: &mut fastrand::Rng) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<(String, Value)> = object.into_iter().collect();
            dice.shuffle(&mut entries);
            let mut value = |key: &str, value: Value| match value {
                // What a storage may hold is a hash, too, and printed as one.
                Value::String(words) if key == "content" && words.contains(',') => {
                    let mut words: Vec<&str> = words.split(',').collect();
                    dice.shuffle(&mut words);
                    Value::String(words.join(","))
                }
                value => shuffled(value, dice),
            };
            Value::Object(entries.into_iter().map(|(key, v)| (key.clone(), value(&key, v))).collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(|value| shuffled(value, dice)).collect()),
        plain => plain,
    }
}

fn wire(response: &Response, close: bool) -> hyper::Response<Full<Bytes>> {
    let mut out = hyper::Response::new(Full::new(Bytes::from(response.body.clone())));
    if let Ok(status) = hyper::StatusCode::from_u16(response.status) {
        *out.status_mut() = status;
    }
    if let Ok(reason) = ReasonPhrase::try_from(response.reason.clone()) {
        out.extensions_mut().insert(reason);
    }
    let headers = out.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=0"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    if response.body.first() == Some(&b'{') {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    }
    if response.body.starts_with(b"const ") {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/javascript"));
    }
    headers.insert(CONNECTION, HeaderValue::from_static(if close { "close" } else { "Keep-Alive" }));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dressed(status: u16, body: &str, format: Format) -> (u16, Value) {
        let response = Response { status, reason: "x".to_owned(), body: body.as_bytes().to_vec() };
        let response = dress(response, format, 1);
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    #[test]
    fn the_web_interface_gets_200_and_reads_whether_it_went_well() {
        assert_eq!(dressed(200, r#"{"data":1}"#, Format::ExtJs), (200, json!({"data": 1, "success": 1})));
        assert_eq!(
            dressed(500, r#"{"data":null,"message":"no\n"}"#, Format::ExtJs),
            (200, json!({"data": null, "message": "no\n", "success": 0, "status": 500}))
        );
        let errors = r#"{"data":null,"message":"no\n","errors":{"a":"b"}}"#;
        assert_eq!(dressed(400, errors, Format::ExtJs).1["status"], json!("400"));
        assert_eq!(dressed(400, errors, Format::Json).0, 400);
    }

    #[test]
    fn keys_come_in_any_order_and_nothing_else_changes() {
        let body = r#"{"data":{"a":1,"b":[{"c":1,"d":2},3],"e":5,"f":6}}"#;
        let response = Response { status: 200, reason: "OK".to_owned(), body: body.as_bytes().to_vec() };
        let texts: std::collections::BTreeSet<Vec<u8>> =
            (0..20).map(|seed| dress(response.clone(), Format::Json, seed).body).collect();
        assert!(texts.len() > 10);
        let value = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
        assert!(texts.iter().all(|text| value(text) == value(body.as_bytes())));
    }
}
