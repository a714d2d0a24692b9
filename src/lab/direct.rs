//! The API without a network: the same way in as over TLS, for tests that count requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use secrecy::{ExposeSecret, SecretString};

use super::live::{LiveSite, Outcome};
use super::rules;
use crate::ports::{Api, BoxFuture, Request, Response, TransportError};

/// A client's end of a site's API, in process.
#[derive(Debug, Clone)]
pub struct DirectApi {
    site: Arc<LiveSite>,
    token: SecretString,
    /// When the connection was used last, in milliseconds; all clones have the same one.
    used_ms: Arc<AtomicI64>,
}

impl DirectApi {
    /// `token` is what stands in the header: `user@realm!id=secret`.
    #[must_use]
    pub fn new(site: Arc<LiveSite>, token: SecretString) -> Self {
        Self { site, token, used_ms: Arc::default() }
    }

    /// The same door without a connection.
    #[must_use]
    pub fn unconnected(&self) -> Self {
        Self::new(Arc::clone(&self.site), self.token.clone())
    }

    /// Whether a connection stands that can be used again: after three idle seconds a client has let go of it.
    fn stands(&self) -> bool {
        self.site.clock().now().as_millisecond() - self.used_ms.load(Ordering::SeqCst) < 3000
    }

    /// The site behind it.
    #[must_use]
    pub fn site(&self) -> &Arc<LiveSite> {
        &self.site
    }
}

impl Api for DirectApi {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let uncertain = |why: String| TransportError::Uncertain { peer: "lab".to_owned(), why };
            if self.site.is_down() {
                let why = "connect: No route to host".to_owned();
                return Err(TransportError::NotSent { peer: "lab".to_owned(), why });
            }
            if !self.stands() && !self.site.opens() {
                let why = "connect: Connection timed out".to_owned();
                return Err(TransportError::NotSent { peer: "lab".to_owned(), why });
            }
            self.used_ms.store(self.site.clock().now().as_millisecond(), Ordering::SeqCst);
            let raw = rules::Request {
                method: request.method.as_str().to_owned(),
                path: request.path.clone(),
                params: request.params.clone(),
                authorization: Some(format!("PVEAPIToken={}", self.token.expose_secret())),
                ..rules::Request::default()
            };
            let handled = self.site.handle(&raw).map_err(|error| uncertain(error.to_string()))?;
            if !handled.delay.is_zero() {
                self.site.clock().sleep(handled.delay).await;
            }
            match handled.outcome {
                Outcome::Answer(response) => Ok(response),
                Outcome::Dropped => Err(uncertain("connection closed before the answer".to_owned())),
            }
        })
    }
    fn anew(&self) -> Option<Arc<dyn Api>> {
        Some(Arc::new(self.unconnected()))
    }

    fn document<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let lost = || TransportError::Uncertain {
                peer: "lab".to_owned(),
                why: "connection closed before the answer".to_owned(),
            };
            let handled = self.site.document(path);
            if !handled.delay.is_zero() {
                self.site.clock().sleep(handled.delay).await;
            }
            match handled.outcome {
                Outcome::Answer(response) => Ok(response),
                Outcome::Dropped => Err(lost()),
            }
        })
    }
}
