//! Request and response of an HTTP API that speaks in forms.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BoxFuture, TransportError};

/// The four verbs of the Proxmox VE API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or starts something; never repeated blindly.
    Post,
    /// Sets to a value; repeating it is harmless.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// The verb as it goes over the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request below the API's root.
///
/// Parameters go into the query of GET and DELETE (PVE answers 501 to a body on DELETE) and as a form
/// into the body of POST and PUT. A name may occur several times: PVE reads that as an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// Path below `/api2/json`, starting with `/`, each segment already percent-encoded.
    pub path: String,
    /// Names and values, not yet encoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<(String, String)>,
}

/// An answer of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status, or Proxmox's own 595, 596, 599.
    pub status: u16,
    /// Reason phrase: PVE puts the error text here, often only here.
    pub reason: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// Sends one request and gives the answer back, whatever it says.
pub trait Api: Send + Sync {
    /// Sends exactly once; retries are the caller's decision.
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>>;

    /// Gets a file that the server has beside its API, by its path from the server's root; once.
    ///
    /// A door that leads to the API alone answers 501, as PVE does to a path that it does not know.
    fn document<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Response, TransportError>> {
        let reason = format!("no handler defined for url {path}");
        Box::pin(async move { Ok(Response { status: 501, reason, body: Vec::new() }) })
    }

    /// A door to the same place that shares no connection with this one; `None` where there is no such thing.
    fn anew(&self) -> Option<Arc<dyn Api>> {
        None
    }
}

impl Api for Arc<dyn Api> {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        (**self).send(request)
    }

    fn document<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Response, TransportError>> {
        (**self).document(path)
    }

    fn anew(&self) -> Option<Self> {
        (**self).anew()
    }
}
