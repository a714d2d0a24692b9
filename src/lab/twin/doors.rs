//! The doors to a twin: in process, as slow as a real host's, and with the original's digests.
//!
//! A plan holds digests of files as they were on the original. The twin's own files may be written in another
//! order, so that what hashes the same there hashes differently here: both ways are translated until a file
//! changes. What is translated is nothing but these names of one and the same state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Tempo, TwinClock};
use crate::lab::DirectApi;
use crate::lab::shell::DirectShell;
use crate::ports::{Api, BoxFuture, Clock, Command, Output, Request, Response, Shell, TransportError};

/// How often the doors were gone through.
#[derive(Debug, Default)]
pub struct Count {
    /// Requests to the API.
    pub calls: AtomicU64,
    /// Commands over SSH.
    pub commands: AtomicU64,
}

/// The API of a twin.
#[derive(Debug, Clone)]
pub struct TwinApi {
    inner: DirectApi,
    clock: Arc<TwinClock>,
    tempo: Tempo,
    /// Digests of the original by the twin's.
    digests: Arc<BTreeMap<String, String>>,
    count: Arc<Count>,
}

impl TwinApi {
    /// A door that takes its time by `clock`; `digests` are the original's by the twin's.
    #[must_use]
    pub fn new(
        inner: DirectApi,
        clock: Arc<TwinClock>,
        tempo: Tempo,
        digests: Arc<BTreeMap<String, String>>,
        count: Arc<Count>,
    ) -> Self {
        Self { inner, clock, tempo, digests, count }
    }

    fn translated(&self, request: &Request) -> Request {
        let mut request = request.clone();
        for (_, value) in request.params.iter_mut().filter(|(name, _)| name == "digest") {
            if let Some((own, _)) = self.digests.iter().find(|(_, original)| *original == value) {
                value.clone_from(own);
            }
        }
        request
    }

    fn told(&self, body: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(body) {
            Ok(text) => {
                let told = |text: String, (own, original): (&String, &String)| text.replace(own, original);
                self.digests.iter().fold(text, told).into_bytes()
            }
            Err(strange) => strange.into_bytes(),
        }
    }
}

impl Api for TwinApi {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            self.count.calls.fetch_add(1, Ordering::Relaxed);
            self.clock.sleep(self.tempo.call).await;
            let mut response = self.inner.send(&self.translated(request)).await?;
            if response.status != 200 && response.reason.contains("got timeout") {
                self.clock.sleep(self.tempo.lock).await;
            }
            response.body = self.told(response.body);
            Ok(response)
        })
    }

    fn anew(&self) -> Option<Arc<dyn Api>> {
        Some(Arc::new(Self { inner: self.inner.unconnected(), ..self.clone() }))
    }
}

/// The shell of a twin.
#[derive(Debug, Clone)]
pub struct TwinShell {
    inner: DirectShell,
    clock: Arc<TwinClock>,
    tempo: Tempo,
    count: Arc<Count>,
}

impl TwinShell {
    /// A door that takes its time by `clock`.
    #[must_use]
    pub fn new(inner: DirectShell, clock: Arc<TwinClock>, tempo: Tempo, count: Arc<Count>) -> Self {
        Self { inner, clock, tempo, count }
    }
}

impl Shell for TwinShell {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            self.count.commands.fetch_add(1, Ordering::Relaxed);
            let program = command.argv.first().map(String::as_str).unwrap_or_default();
            self.clock.sleep(self.tempo.of_command(program)).await;
            self.inner.run(command).await
        })
    }

    fn anew(&self) -> Option<Arc<dyn Shell>> {
        Some(Arc::new(Self { inner: self.inner.unconnected(), ..self.clone() }))
    }
}
