//! One door behind which two are: a host's API, and the control plane of the tailnet.

use std::sync::Arc;

use crate::ports::{Api, BoxFuture, Request, Response, TransportError};
use crate::tailnet::requests;

/// Sends what is for the tailnet to its control plane, and all else to the host.
pub(super) struct Fork {
    pub host: Arc<dyn Api>,
    pub tailnet: Arc<dyn Api>,
}

impl Api for Fork {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        if requests::is_ours(request) { self.tailnet.send(request) } else { self.host.send(request) }
    }

    fn document<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Response, TransportError>> {
        self.host.document(path)
    }

    fn anew(&self) -> Option<Arc<dyn Api>> {
        let tailnet = Arc::clone(&self.tailnet);
        Some(Arc::new(Self { host: self.host.anew()?, tailnet }))
    }
}
