//! The API over TLS on loopback, kept in a file beside the lab's world.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::api::Call;
use super::state::OpnSense;
use crate::lab::LabError;
use crate::lab::accept::accept;
use crate::lab::persist::write_private;
use crate::lab::running::{Certificate, acceptor, listen, new_certificate};
use crate::model::Fingerprint;

/// The longest body that is read.
const LONGEST: usize = 4 << 20;

/// What is kept: the state, and by what the server proves who it is.
#[derive(Serialize, Deserialize)]
struct Kept {
    opnsense: OpnSense,
    certificate: Certificate,
}

struct Shared {
    state: Mutex<Kept>,
    file: Option<PathBuf>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, kept: &Kept) -> Result<(), LabError> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = serde_json::to_vec(kept).map_err(|error| LabError::Serve(error.to_string()))?;
        write_private(file, &text)
    }
}

/// An OPNsense that serves until it is stopped.
pub struct ServedOpnSense {
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    /// Its certificate, to pin.
    pub fingerprint: Fingerprint,
    shared: Arc<Shared>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for ServedOpnSense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServedOpnSense").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ServedOpnSense {
    /// Serves what a file holds, or a new OPNsense that is then kept in it; without one in memory only.
    ///
    /// # Errors
    /// If the file cannot be read or written, or there is no port.
    pub async fn start(file: Option<&Path>, ip: IpAddr) -> Result<Self, LabError> {
        let mut kept = match file.map(std::fs::read) {
            Some(Ok(text)) => serde_json::from_slice(&text).map_err(|error| LabError::Format {
                path: file.map(|file| file.display().to_string()).unwrap_or_default(),
                why: error.to_string(),
            })?,
            _ => Kept { opnsense: OpnSense::new(), certificate: new_certificate("opnsense.lab", &ip.to_string())? },
        };
        let (acceptor, fingerprint) = acceptor(&kept.certificate)?;
        let listener = listen(ip, kept.certificate.port).await?;
        let port = listener.local_addr().map_err(|error| LabError::Serve(error.to_string()))?.port();
        kept.certificate.port = port;
        let shared = Arc::new(Shared { state: Mutex::new(kept), file: file.map(Path::to_owned) });
        shared.keep(&shared.lock())?;
        let stop = CancellationToken::new();
        let served = Arc::clone(&shared);
        let serve = move |stream| connection(Arc::clone(&served), stream);
        let task = tokio::spawn(accept(listener, acceptor, stop.clone(), || true, serve));
        Ok(Self { url: format!("https://{ip}:{port}"), fingerprint, shared, stop, task })
    }

    /// What it keeps now.
    #[must_use]
    pub fn state(&self) -> OpnSense {
        self.shared.lock().opnsense.clone()
    }

    /// Changes what it keeps, as somebody in its web interface would.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn change(&self, change: impl FnOnce(&mut OpnSense)) -> Result<(), LabError> {
        let mut kept = self.shared.lock();
        change(&mut kept.opnsense);
        self.shared.keep(&kept)
    }

    /// Stops it; open connections end.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

async fn connection(shared: Arc<Shared>, stream: TlsStream<TcpStream>) {
    let service = service_fn(move |request| respond(Arc::clone(&shared), request));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let plain = |status: u16, text: String| {
        let mut response = hyper::Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
        response
    };
    let Ok(body) = Limited::new(body, LONGEST).collect().await else {
        return Ok(plain(413, String::new()));
    };
    let body = body.to_bytes();
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let call = Call {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authorization: header(AUTHORIZATION),
        content_type: header(CONTENT_TYPE),
        body: &body,
    };
    let (answer, kept) = {
        let mut state = shared.lock();
        let answer = state.opnsense.answer(&call);
        (answer, shared.keep(&state))
    };
    if let Err(error) = kept {
        return Ok(plain(500, format!("the lab cannot keep its state: {error}")));
    }
    let mut response = plain(answer.status, answer.body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    Ok(response)
}
