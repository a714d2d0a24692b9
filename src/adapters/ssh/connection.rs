//! One authenticated connection, and one command on one channel of it.

use std::sync::Arc;

use russh::client::{Config, DisconnectReason, Handle, Handler, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg, ChannelStream, ChannelWriteHalf, Preferred, Sig};
use tokio::io::{AsyncRead, AsyncWrite};

use super::auth::authenticate;
use super::host_key::{HostKeys, Refusal};
use super::target::{SshSettings, SshTarget};
use crate::ports::{Command, Output, TransportError};

/// A connection whose host proved itself and that let us in.
pub(super) struct Connection {
    handle: Handle<Client>,
}

struct Client {
    keys: HostKeys,
}

enum Failure {
    Protocol(russh::Error),
    Refused(Refusal),
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Protocol(e) => e.fmt(f),
            Self::Refused(refusal) => f.write_str(&refusal.why),
        }
    }
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl Handler for Client {
    type Error = Failure;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.keys.check(key).map(|()| true).map_err(Failure::Refused)
            }
            // we never offer a certificate algorithm, so this is a peer that does not keep to the protocol
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Failure>) -> Result<(), Failure> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                tracing::debug!(reason = ?info.reason_code, message = info.message, "the SSH server ended the connection");
                Ok(())
            }
            DisconnectReason::Error(e) => Err(e),
        }
    }
}

impl Connection {
    /// Exchanges keys and authenticates over a stream that reaches the target.
    pub async fn open<S>(stream: S, target: &SshTarget, settings: &SshSettings) -> Result<Self, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let refused =
            |refusal: Refusal| TransportError::Refused { peer: target.peer(), why: refusal.why, hint: refusal.hint };
        let keys = HostKeys::of(target, settings).map_err(refused)?;
        let config = Config {
            preferred: Preferred { key: keys.algorithms(), ..Preferred::DEFAULT },
            keepalive_interval: Some(std::time::Duration::from_secs(15)),
            keepalive_max: 3,
            ..Config::default()
        };
        let mut handle =
            russh::client::connect_stream(Arc::new(config), stream, Client { keys }).await.map_err(|e| match e {
                Failure::Refused(refusal) => refused(refusal),
                Failure::Protocol(russh::Error::NoCommonAlgo { kind, ours, theirs }) => TransportError::Refused {
                    peer: target.peer(),
                    why: format!("no common {kind:?} algorithm (ours {}, theirs {})", ours.join(","), theirs.join(",")),
                    hint: "if a host key is given, the host must have a key of that kind; see `sshd -T` on the host"
                        .to_owned(),
                },
                Failure::Protocol(e) => {
                    TransportError::NotSent { peer: target.peer(), why: format!("no SSH connection: {e}") }
                }
            })?;
        authenticate(&mut handle, target, settings).await.map_err(refused)?;
        Ok(Self { handle })
    }

    /// Whether it is known to be gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A channel for one command.
    pub async fn session(&self) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_session().await
    }

    /// A stream from the host to a machine that it can reach.
    pub async fn tunnel(&self, host: &str, port: u16) -> Result<ChannelStream<Msg>, russh::Error> {
        let channel = self.handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await?;
        Ok(channel.into_stream())
    }
}

/// Closes the channel when whoever waits for its command gives up.
struct CloseOnDrop(Option<ChannelWriteHalf<Msg>>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if let (Some(channel), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { channel.close().await });
        }
    }
}

/// Runs one command on one channel, to the end of both of its streams.
pub(super) async fn exchange(
    channel: Channel<Msg>,
    command: &Command,
    peer: &str,
    max_output_bytes: usize,
) -> Result<Output, TransportError> {
    let (mut incoming, outgoing) = channel.split();
    let outgoing = CloseOnDrop(Some(outgoing));
    let channel = outgoing.0.as_ref().expect("it is taken out only when dropped");
    channel.exec(true, command.line()).await.map_err(|e| TransportError::NotSent {
        peer: peer.to_owned(),
        why: format!("the connection ended before the command was sent: {e}"),
    })?;
    let uncertain = |why: String| TransportError::Uncertain { peer: peer.to_owned(), why };
    let feed = async {
        // a program may end without reading all of its input: that is its business, the exit code tells
        let _ = channel.data_bytes(command.stdin.clone()).await;
        let _ = channel.eof().await;
    };
    let mut feed = std::pin::pin!(feed);
    let mut fed = false;
    let mut code = None;
    let mut output = Output { code: 0, stdout: Vec::new(), stderr: Vec::new() };
    loop {
        let message = tokio::select! {
            () = &mut feed, if !fed => { fed = true; continue }
            message = incoming.wait() => message,
        };
        match message {
            Some(ChannelMsg::Data { data }) => output.stdout.extend_from_slice(&data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => output.stderr.extend_from_slice(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => code = Some(i32::try_from(exit_status).unwrap_or(255)),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => code = Some(128 + signal_number(&signal_name)),
            Some(ChannelMsg::Failure) => {
                return Err(TransportError::Refused {
                    peer: peer.to_owned(),
                    why: "the SSH server does not run commands for us".to_owned(),
                    hint: "look for `ForceCommand`, `command=` in authorized_keys, or a login shell that is none"
                        .to_owned(),
                });
            }
            Some(ChannelMsg::Close) | None => break,
            Some(_) => {}
        }
        if output.stdout.len() + output.stderr.len() > max_output_bytes {
            return Err(uncertain(format!("the command printed more than {max_output_bytes} bytes")));
        }
    }
    output.code = code.ok_or_else(|| uncertain("the connection ended before the command did".to_owned()))?;
    Ok(output)
}

/// Linux's number of a signal that RFC 4254 knows by name.
fn signal_number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::Custom(name) if name == "USR2" => 12,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        // OpenSSH says `SIG@openssh.com` of all others
        Sig::Custom(_) => 0,
    }
}
