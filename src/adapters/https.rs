//! A Proxmox VE API over HTTPS, with an API token.
//!
//! Owns connections, headers, encoding and how a failure is told apart: what cannot have left us,
//! what may have arrived, and who is not whom we trust. Must not look into answers or retry. The
//! entry is [`Https::new`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::tls::{Trust, WrongCertificate, client_config};
use crate::ports::{Api, BoxFuture, Method, Request, Response, TransportError};

/// Everything but RFC 3986's unreserved characters.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the API is below the server's root.
const API_ROOT: &str = "/api2/json";

/// Where an API is, how it proves itself and how we do.
#[derive(Debug, Clone)]
pub struct HttpsTarget {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port; Proxmox's own is 8006.
    pub port: u16,
    /// How the server proves who it is.
    pub trust: Trust,
    /// `user@realm!token`.
    pub token_id: String,
    /// The token's secret.
    pub token: SecretString,
    /// How long a connection, TLS included, may take.
    pub connect_limit: Duration,
    /// How long a request may take, all in all. PVE answers some calls only after 30 s of its own.
    pub request_limit: Duration,
    /// How large an answer may be, in bytes.
    pub max_response_bytes: usize,
}

impl HttpsTarget {
    /// A target with the limits that suit Proxmox: 5 s, 60 s, 64 MiB.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        trust: Trust,
        token_id: impl Into<String>,
        token: SecretString,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            trust,
            token_id: token_id.into(),
            token,
            connect_limit: Duration::from_secs(5),
            request_limit: Duration::from_secs(60),
            max_response_bytes: 64 << 20,
        }
    }
}

/// Why a target cannot be talked to, whatever the network does.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The CA file is not one.
    #[error("the CA is unusable: {0}")]
    Trust(String),
    /// Token id or secret hold characters that no header may carry. Neither is shown.
    #[error("the API token holds characters that cannot be sent in a header")]
    Token,
    /// The HTTP client could not be made.
    #[error("no HTTPS client: {0}")]
    Client(String),
}

/// One API server; clones of the connection pool live in here.
pub struct Https {
    client: reqwest::Client,
    target: HttpsTarget,
    base: String,
    peer: String,
    max_response_bytes: usize,
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Https").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Https {
    /// Prepares the door; nothing is sent yet.
    pub fn new(target: &HttpsTarget) -> Result<Self, HttpsError> {
        let tls = client_config(&target.trust).map_err(|e| HttpsError::Trust(e.to_string()))?;
        let token = format!("PVEAPIToken={}={}", target.token_id, target.token.expose_secret());
        let mut token = HeaderValue::from_str(&token).map_err(|_| HttpsError::Token)?;
        token.set_sensitive(true);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, token)]))
            .https_only(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            // pveproxy closes an idle connection after 5 s; a request that meets that close is lost
            .pool_idle_timeout(Duration::from_secs(3))
            .connect_timeout(target.connect_limit)
            .timeout(target.request_limit)
            .build()
            .map_err(|e| HttpsError::Client(causes(&e)))?;
        let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
        let peer = format!("{host}:{}", target.port);
        let target = target.clone();
        Ok(Self {
            client,
            base: format!("https://{peer}"),
            peer,
            max_response_bytes: target.max_response_bytes,
            target,
        })
    }

    async fn exchange(&self, request: &Request) -> Result<Response, TransportError> {
        let (method, in_body) = match request.method {
            Method::Get => (reqwest::Method::GET, false),
            Method::Post => (reqwest::Method::POST, true),
            Method::Put => (reqwest::Method::PUT, true),
            Method::Delete => (reqwest::Method::DELETE, false),
        };
        let form = encode(&request.params);
        let mut url = format!("{}{API_ROOT}{}", self.base, request.path);
        if !in_body && !form.is_empty() {
            url.push('?');
            url.push_str(&form);
        }
        let mut builder = self.client.request(method, url);
        if in_body {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        }
        self.answer(builder).await
    }

    async fn answer(&self, builder: reqwest::RequestBuilder) -> Result<Response, TransportError> {
        let hint = "give the CA that signed it (`/etc/pve/pve-root-ca.pem`), or pin the certificate's fingerprint";
        let mut response = builder.send().await.map_err(|e| failure(&self.peer, e, hint))?;
        let status = response.status();
        let reason = match response.extensions().get::<hyper::ext::ReasonPhrase>() {
            Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
            // hyper keeps a reason only where it differs from the usual one
            None => status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.uncertain(&causes(&e.without_url())))? {
            if body.len() + chunk.len() > self.max_response_bytes {
                return Err(self.uncertain(&format!("the answer exceeds {} bytes", self.max_response_bytes)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: status.as_u16(), reason, body })
    }

    fn uncertain(&self, why: &str) -> TransportError {
        TransportError::Uncertain { peer: self.peer.clone(), why: why.to_owned() }
    }
}

impl Api for Https {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(self.exchange(request))
    }

    fn document<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(self.answer(self.client.get(format!("{}{path}", self.base))))
    }

    fn anew(&self) -> Option<Arc<dyn Api>> {
        let anew = Self::new(&self.target).ok()?;
        Some(Arc::new(anew))
    }
}

/// What a failure of a request says of what may have arrived; `hint` is for a certificate that nobody vouches for.
pub(super) fn failure(peer: &str, error: reqwest::Error, hint: &str) -> TransportError {
    // the URL may carry parameters that nobody should read in an error
    let error = error.without_url();
    let peer = peer.to_owned();
    if let Some(tls) = find::<rustls::Error>(&error) {
        if let rustls::Error::Other(other) = tls
            && let Some(wrong) = other.0.downcast_ref::<WrongCertificate>()
        {
            return TransportError::Refused {
                peer,
                why: wrong.to_string(),
                hint: format!(
                    "if the certificate was renewed, compare with `pvenode cert info` on the host and set `fingerprint: \"{}\"`",
                    wrong.seen
                ),
            };
        }
        if let rustls::Error::InvalidCertificate(why) = tls {
            return TransportError::Refused {
                peer,
                why: format!("the server's certificate is not accepted: {why}"),
                hint: hint.to_owned(),
            };
        }
    }
    if error.is_connect() || error.is_builder() {
        TransportError::NotSent { peer, why: causes(&error) }
    } else {
        TransportError::Uncertain { peer, why: causes(&error) }
    }
}

/// `a=1&b=2`, in order, repeated names kept.
fn encode(params: &[(String, String)]) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(name, COMPONENT), utf8_percent_encode(value, COMPONENT))
        })
        .collect();
    pairs.join("&")
}

/// The first error of a type in a chain. An `io::Error` hides the error that it wraps from `source()`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// An error and all its causes on one line, each said once.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded_once_and_in_order() {
        let params = [("map", "id=10de:2684,path=0000:01:00"), ("map", "a b&c+é"), ("x", "")];
        let params: Vec<(String, String)> = params.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        assert_eq!(encode(&params), "map=id%3D10de%3A2684%2Cpath%3D0000%3A01%3A00&map=a%20b%26c%2B%C3%A9&x=");
    }

    #[test]
    fn secrets_are_in_no_debug_text() {
        let token = SecretString::from("3f2a-secret".to_owned());
        let trust = Trust::Pinned(Fingerprint::new([1; 32]));
        let target = HttpsTarget::new("127.0.0.1", 8006, trust, "infra@pve!t", token);
        let https = Https::new(&target).unwrap();
        assert!(!format!("{target:?} {https:?} {:?}", https.client).contains("3f2a-secret"));
    }

    #[test]
    fn a_token_that_is_no_header_is_refused_without_being_shown() {
        let token = SecretString::from("line\nbreak".to_owned());
        let trust = Trust::Pinned(Fingerprint::new([1; 32]));
        let error = Https::new(&HttpsTarget::new("h", 1, trust, "t", token)).unwrap_err();
        assert!(!error.to_string().contains("line"));
    }

    use crate::model::Fingerprint;
}
