//! The door itself: connects when needed, keeps the connection, bounds what runs on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelOpenFailure};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};

use super::connection::{Connection, exchange};
use super::target::{SshSettings, SshTarget};
use crate::ports::{BoxFuture, Command, Output, Shell, TransportError};

/// How often, and how far apart, a session is asked for again of a server that has no room.
const FULL_TRIES: u32 = 20;
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// A [`Shell`] on one machine.
pub struct Ssh {
    target: SshTarget,
    settings: SshSettings,
    peer: String,
    through: Option<Arc<Ssh>>,
    connection: Mutex<Option<Arc<Connection>>>,
    slots: Semaphore,
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ssh").field("peer", &self.peer).field("through", &self.through).finish_non_exhaustive()
    }
}

impl Ssh {
    /// Prepares the door; the first command connects. A target with a jump gets a connection of its
    /// own to the machine in between: to share one, see [`Ssh::through`].
    #[must_use]
    pub fn new(target: SshTarget, settings: SshSettings) -> Self {
        let through = target.jump.as_ref().map(|jump| Arc::new(Self::new((**jump).clone(), settings.clone())));
        Self::with(target, settings, through)
    }

    /// Prepares a door that is reached over another one's connection; the target's own jump is ignored.
    #[must_use]
    pub fn through(door: Arc<Self>, target: SshTarget, settings: SshSettings) -> Self {
        Self::with(target, settings, Some(door))
    }

    fn with(target: SshTarget, settings: SshSettings, through: Option<Arc<Self>>) -> Self {
        let slots = Semaphore::new(settings.channels.max(1));
        Self { peer: target.peer(), target, settings, through, connection: Mutex::new(None), slots }
    }

    /// The same door before its first command, with the doors that it is reached through.
    fn unconnected(&self) -> Self {
        let through = self.through.as_ref().map(|door| Arc::new(door.unconnected()));
        Self::with(self.target.clone(), self.settings.clone(), through)
    }

    fn not_sent(&self, why: String) -> TransportError {
        TransportError::NotSent { peer: self.peer.clone(), why }
    }

    /// The connection that stands, or a new one. Boxed because a jump connects through a jump.
    fn connected(&self) -> BoxFuture<'_, Result<Arc<Connection>, TransportError>> {
        Box::pin(async move {
            let mut slot = self.connection.lock().await;
            if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
                return Ok(Arc::clone(connection));
            }
            *slot = None;
            let limit = self.settings.connect_limit;
            let connection = timeout(limit, self.connect()).await.unwrap_or_else(|_| {
                Err(self.not_sent(format!("no SSH connection within {} s", limit.as_secs_f32())))
            })?;
            let connection = Arc::new(connection);
            *slot = Some(Arc::clone(&connection));
            Ok(connection)
        })
    }

    async fn connect(&self) -> Result<Connection, TransportError> {
        let (host, port) = (self.target.host.as_str(), self.target.port);
        match &self.through {
            None => {
                let stream = TcpStream::connect((host, port)).await.map_err(|e| self.not_sent(e.to_string()))?;
                // small packets go to and fro: waiting to fill a segment only costs time
                let _ = stream.set_nodelay(true);
                Connection::open(stream, &self.target, &self.settings).await
            }
            Some(door) => {
                let jump = door.connected().await?;
                let stream = jump
                    .tunnel(host, port)
                    .await
                    .map_err(|e| self.not_sent(format!("cannot be reached through {}: {e}", door.peer)))?;
                Connection::open(stream, &self.target, &self.settings).await
            }
        }
    }

    /// Forgets a connection that failed, unless another task has already replaced it.
    async fn forget(&self, failed: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, failed)) {
            *slot = None;
        }
    }

    /// A channel on the connection that stands; if that turns out to be dead, on a new one. Nothing of
    /// a command has been sent at this point, so trying twice is safe.
    async fn channel(&self) -> Result<Channel<Msg>, TransportError> {
        let mut why = String::new();
        let mut full = 0;
        let mut dead = 0;
        while dead < 2 {
            let connection = self.connected().await?;
            match timeout(self.settings.connect_limit, connection.session()).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(russh::Error::ChannelOpenFailure(reason @ ChannelOpenFailure::AdministrativelyProhibited))) => {
                    return Err(TransportError::Refused {
                        peer: self.peer.clone(),
                        why: format!("the SSH server refuses a session ({reason:?})"),
                        hint: "look for `MaxSessions`, `ForceCommand` or `restrict` in its configuration".to_owned(),
                    });
                }
                // sshd counts a session until it has reaped its process (`MaxSessions`, 10 by default):
                // the connection lives, and there will be room in a moment.
                Ok(Err(russh::Error::ChannelOpenFailure(_))) if full < FULL_TRIES => {
                    full += 1;
                    sleep(FULL_PAUSE).await;
                    continue;
                }
                Ok(Err(e)) => why = format!("no session on the connection: {e}"),
                Err(_) => why = "the connection does not answer".to_owned(),
            }
            self.forget(&connection).await;
            dead += 1;
        }
        Err(self.not_sent(why))
    }

    async fn run_once(&self, command: &Command) -> Result<Output, TransportError> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let channel = self.channel().await?;
        let running = exchange(channel, command, &self.peer, self.settings.max_output_bytes);
        timeout(command.limit, running).await.unwrap_or_else(|_| {
            Err(TransportError::Uncertain {
                peer: self.peer.clone(),
                why: format!("`{}` did not end within {} s", command.argv[0], command.limit.as_secs_f32()),
            })
        })
    }
}

impl Shell for Ssh {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(self.run_once(command))
    }

    fn anew(&self) -> Option<Arc<dyn Shell>> {
        Some(Arc::new(self.unconnected()))
    }
}
