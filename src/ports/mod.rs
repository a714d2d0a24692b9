//! The two doors to a host and the clock, as small as they can be.
//!
//! Owns the traits [`Api`], [`Shell`] and [`Clock`] and the plain values that go through them. Knows
//! no Proxmox noun and does no I/O: `adapters` open the doors, `lab` stands behind them.

mod api;
mod batch;
mod clock;
mod put;
mod quote;
mod secret_store;
mod shell;

pub use api::{Api, Method, Request, Response};
pub use batch::{Batch, BatchError, OnFailure};
pub use clock::Clock;
pub use put::{PutError, put};
pub use quote::{quote, quote_all};
pub use secret_store::SecretStore;
pub use shell::{Command, Output, Shell};

use std::pin::Pin;

/// A boxed future, so that the ports can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a door did not answer. What an HTTP status or an exit code says is an answer, not this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nothing of the request can have reached the other side: repeating it is safe.
    #[error("{peer}: {why}")]
    NotSent {
        /// Who was asked, as host and port.
        peer: String,
        /// Why it failed, with all its causes on one line.
        why: String,
    },
    /// The request may have been carried out; only looking can tell.
    #[error("{peer}: {why} (the request may have arrived)")]
    Uncertain {
        /// Who was asked, as host and port.
        peer: String,
        /// Why it failed, with all its causes on one line.
        why: String,
    },
    /// The peer is not who it should be, or does not let us in. Repeating it is pointless.
    #[error("{peer}: {why}")]
    Refused {
        /// Who was asked, as host and port.
        peer: String,
        /// What does not match, with what was expected and what was seen.
        why: String,
        /// What the operator can do.
        hint: String,
    },
}
