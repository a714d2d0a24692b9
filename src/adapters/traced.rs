//! Doors that log what goes through them.
//!
//! Owns [`Traced`]. Logs verbs, paths, programs, results and times; never parameters, input or output,
//! which may hold what nobody should see. What changes something is logged at debug, the rest at trace.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::ports::{Api, BoxFuture, Command, Method, Output, Request, Response, Shell, TransportError};

/// A door and whose it is.
pub struct Traced<T> {
    door: T,
    host: String,
}

impl<T> fmt::Debug for Traced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced").field("host", &self.host).finish_non_exhaustive()
    }
}

impl<T> Traced<T> {
    /// Logs what goes through `door` as being of `host`.
    pub fn new(door: T, host: impl fmt::Display) -> Self {
        Self { door, host: host.to_string() }
    }
}

impl<T: Api> Api for Traced<T> {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let start = Instant::now();
            let result = self.door.send(request).await;
            let (host, took) = (&self.host, start.elapsed());
            let came = match &result {
                Ok(response) => format!("{} {}", response.status, response.reason),
                Err(error) => error.to_string(),
            };
            match request.method {
                Method::Get => tracing::trace!(%host, ?took, "GET {}: {came}", request.path),
                method => tracing::debug!(%host, ?took, "{method} {}: {came}", request.path),
            }
            result
        })
    }

    fn document<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let start = Instant::now();
            let result = self.door.document(path).await;
            let (host, took) = (&self.host, start.elapsed());
            let came = match &result {
                Ok(response) => format!("{} {}, {} bytes", response.status, response.reason, response.body.len()),
                Err(error) => error.to_string(),
            };
            tracing::trace!(%host, ?took, "GET {path}: {came}");
            result
        })
    }

    fn anew(&self) -> Option<Arc<dyn Api>> {
        Some(Arc::new(Traced { door: self.door.anew()?, host: self.host.clone() }))
    }
}

impl<T: Shell> Shell for Traced<T> {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let start = Instant::now();
            let result = self.door.run(command).await;
            let (host, took) = (&self.host, start.elapsed());
            let came = match &result {
                Ok(output) => format!("exit {}", output.code),
                Err(error) => error.to_string(),
            };
            let program = command.argv.first().map_or("", String::as_str);
            tracing::debug!(%host, ?took, "ssh `{program}`: {came}");
            result
        })
    }

    fn anew(&self) -> Option<Arc<dyn Shell>> {
        Some(Arc::new(Traced { door: self.door.anew()?, host: self.host.clone() }))
    }
}
