//! The shell of a lab host without a network in between, for fast tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::run_line;
use crate::lab::site::{Loss, Site, struck};
use crate::ports::{BoxFuture, Command, Output, Shell, TransportError};

/// A [`Shell`] on one node of a site.
#[derive(Clone)]
pub struct DirectShell {
    site: Arc<dyn Site>,
    node: String,
    /// Whether a connection stands; all clones have the same one.
    connected: Arc<AtomicBool>,
}

impl fmt::Debug for DirectShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectShell").field("node", &self.node).finish_non_exhaustive()
    }
}

impl DirectShell {
    /// Opens it.
    #[must_use]
    pub fn new(site: Arc<dyn Site>, node: &str) -> Self {
        Self { site, node: node.to_owned(), connected: Arc::default() }
    }

    /// The same door without a connection.
    #[must_use]
    pub fn unconnected(&self) -> Self {
        Self::new(Arc::clone(&self.site), &self.node)
    }

    fn run_now(&self, command: &Command) -> Result<Output, TransportError> {
        let line = command.line();
        let peer = format!("root@{}", self.node);
        if !self.connected.load(Ordering::SeqCst) && !self.site.admits(&self.node, 22) {
            return Err(TransportError::NotSent { peer, why: "connect: Connection timed out".to_owned() });
        }
        self.connected.store(true, Ordering::SeqCst);
        let loss = self.site.loss(&self.node, struck(&line, &command.stdin));
        if loss == Some(Loss::Before) {
            // a client cannot tell this from the other loss: the command had been sent
            return Err(TransportError::Uncertain {
                peer,
                why: "the connection ended before the command did".to_owned(),
            });
        }
        let mut output = None;
        self.site.act(&mut |world| output = Some(run_line(world, &self.node, &line, &command.stdin)));
        let lost = || TransportError::Uncertain { peer, why: "the connection ended before the command did".to_owned() };
        output.filter(|_| loss.is_none()).ok_or_else(lost)
    }
}

impl Shell for DirectShell {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move { self.run_now(command) })
    }

    fn anew(&self) -> Option<Arc<dyn Shell>> {
        Some(Arc::new(self.unconnected()))
    }
}
