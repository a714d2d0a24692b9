//! Time, injected, so that tests need not wait.

use std::time::Duration;

use super::BoxFuture;

/// The only source of time above the pure rooms.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> jiff::Timestamp;

    /// Comes back after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}
