//! How the guests of a lab reach a tailnet's control plane.
//!
//! A handle that a world holds and nobody keeps on disk: the control plane has a state of its own.

use std::fmt;
use std::sync::Arc;

use super::Tailnet;

/// A control plane that guests register with.
pub trait ControlPlane: Send + Sync {
    /// Where it is, for those who name it: `https://127.0.0.1:PORT`.
    fn url(&self) -> String;

    /// Does something with what it keeps, and keeps that.
    fn with(&self, act: &mut dyn FnMut(&mut Tailnet));
}

/// The control plane that the internet of a world leads to, if there is one.
#[derive(Clone, Default)]
pub struct Uplink(Option<Arc<dyn ControlPlane>>);

impl Uplink {
    /// Leads to this one.
    #[must_use]
    pub fn to(plane: Arc<dyn ControlPlane>) -> Self {
        Self(Some(plane))
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.0.as_ref().map(|plane| plane.url())
    }

    /// Asks it something; nothing where there is none.
    pub fn ask<R>(&self, ask: impl FnOnce(&mut Tailnet) -> R) -> Option<R> {
        let (mut ask, mut answer) = (Some(ask), None);
        self.0.as_ref()?.with(&mut |tailnet| answer = ask.take().map(|ask| ask(tailnet)));
        answer
    }
}

impl fmt::Debug for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Uplink").field(&self.url()).finish()
    }
}

/// It is no part of what a world is.
impl PartialEq for Uplink {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
