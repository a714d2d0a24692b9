//! The machine's own clock, as [`SystemClock`]. Owns nothing else: whoever must not wait in a test takes `dyn Clock`.

use std::time::Duration;

use crate::ports::{BoxFuture, Clock};

/// Tells the real time and really waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
