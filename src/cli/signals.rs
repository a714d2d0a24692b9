//! Ctrl-C and SIGTERM.
//!
//! Once [`Signals::listen`] was called neither ends the process any more: whoever listens must wait for
//! [`Signals::next`] beside everything that may take its time.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{CommandError, error};
use crate::exec::Stop;

/// First stops cleanly, then at once; says which.
pub(super) fn interrupt(stop: &Stop) -> &'static str {
    if stop.soon.is_cancelled() {
        stop.now.cancel();
        "stopping now; the journal tells what was under way\n"
    } else {
        stop.soon.cancel();
        "stopping: what runs is finished, nothing more begins (Ctrl-C again stops at once)\n"
    }
}

/// Ctrl-C and SIGTERM.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self, CommandError> {
        let listen = |kind| signal(kind).map_err(|e| error::signals(&e));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Does something that may be dropped at any moment.
    pub async fn or_interrupted<T>(
        &mut self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        tokio::select! {
            done = work => done,
            () = self.next() => Err(error::interrupted()),
        }
    }

    /// Comes back when one arrives.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
