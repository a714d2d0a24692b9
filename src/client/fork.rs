//! One door behind which more are: a host's API, and others that its steps need.

use std::sync::Arc;

use crate::ports::{Api, BoxFuture, Request, Response, TransportError};

/// Sends what is below a path that Proxmox VE does not have to somebody else, and all other requests to the host.
pub(super) struct Fork {
    pub host: Arc<dyn Api>,
    pub other: Arc<dyn Api>,
    /// What requests to the other begin with, such as `/tailnet/`.
    pub root: &'static str,
}

impl Api for Fork {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        if request.path.starts_with(self.root) { self.other.send(request) } else { self.host.send(request) }
    }

    fn document<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Response, TransportError>> {
        self.host.document(path)
    }

    fn anew(&self) -> Option<Arc<dyn Api>> {
        let other = Arc::clone(&self.other);
        Some(Arc::new(Self { host: self.host.anew()?, other, root: self.root }))
    }
}
