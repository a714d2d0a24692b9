//! The lab's SSH door: a real SSH server on loopback, in front of the shell of one host.
//!
//! Owns the protocol side: its host key, who is let in (root, with the lab's key), sessions, and
//! tunnels to guests that are up. What a command does is [`shell`](super::shell)'s business. The entry
//! is [`Sshd::start`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, Disconnect, MethodKind, MethodSet};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::guests;
use super::shell::{reads_input, run_in_guest, run_line};
use super::site::{Loss, Site, struck};
use super::ssh_keys::SshKeys;
use crate::ports::Output;

/// A server that listens until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct Sshd {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Sshd {
    /// Starts the door of a node at an address. The port is what it had the last time; if that is taken,
    /// it gets another.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(
        site: Arc<dyn Site>,
        node: &str,
        keys: &SshKeys,
        (ip, port): (IpAddr, Option<u16>),
    ) -> io::Result<Self> {
        let listener = match TcpListener::bind((ip, port.unwrap_or(0))).await {
            Err(_) if port.is_some() => TcpListener::bind((ip, 0)).await?,
            bound => bound?,
        };
        let address = listener.local_addr()?;
        let config = Arc::new(Config {
            keys: vec![keys.host.clone()],
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            // it guards nothing: who may reach loopback and read the state directory is us
            auth_rejection_time: std::time::Duration::ZERO,
            nodelay: true,
            ..Config::default()
        });
        let door = Door {
            site,
            place: Place::Host(node.to_owned()),
            authorized: keys.client.public_key().clone(),
            config,
            stop: CancellationToken::new(),
        };
        let stop = door.stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = door.stop.cancelled() => break,
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        if !door.site.admits(door.node(), 22) {
                            continue;
                        }
                        let _ = stream.set_nodelay(true);
                        tokio::spawn(door.clone().serve(stream));
                    }
                }
            }
        });
        Ok(Self { address, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Whose door it is.
#[derive(Debug, Clone)]
enum Place {
    Host(String),
    Guest { node: String, vmid: u32 },
}

#[derive(Clone)]
struct Door {
    site: Arc<dyn Site>,
    place: Place,
    authorized: russh::keys::PublicKey,
    config: Arc<Config>,
    stop: CancellationToken,
}

impl Door {
    async fn serve<S>(self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (config, stop) = (Arc::clone(&self.config), self.stop.clone());
        match run_stream(config, stream, self).await {
            Ok(mut session) => {
                let handle = session.handle();
                let ended = tokio::select! {
                    ended = &mut session => ended,
                    () = stop.cancelled() => {
                        let _ = handle.disconnect(Disconnect::ByApplication, String::new(), String::new()).await;
                        Ok(())
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "an SSH session of the lab ended");
                }
            }
            Err(error) => tracing::debug!(%error, "an SSH client of the lab went away"),
        }
    }

    fn node(&self) -> &str {
        match &self.place {
            Place::Host(node) | Place::Guest { node, .. } => node,
        }
    }

    fn run(&self, line: &str, stdin: &[u8]) -> Output {
        let mut output = None;
        self.site.act(&mut |world| {
            output = Some(match &self.place {
                Place::Host(node) => run_line(world, node, line, stdin),
                Place::Guest { vmid, .. } => run_in_guest(world, *vmid, line, stdin),
            });
        });
        output.unwrap_or(Output { code: 255, stdout: Vec::new(), stderr: Vec::new() })
    }

    /// One session: collects the command and, if it reads any, its input; then runs and answers.
    async fn session(self, mut channel: Channel<Msg>, handle: Handle) {
        let mut command: Option<String> = None;
        let mut stdin = Vec::new();
        let mut ended = false;
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Exec { command: line, .. } if command.is_none() => match String::from_utf8(line) {
                    Ok(line) => {
                        let _ = handle.channel_success(channel.id()).await;
                        command = Some(line);
                    }
                    Err(_) => {
                        let _ = handle.channel_failure(channel.id()).await;
                    }
                },
                ChannelMsg::RequestShell { .. }
                | ChannelMsg::RequestPty { .. }
                | ChannelMsg::RequestSubsystem { .. } => {
                    let _ = handle.channel_failure(channel.id()).await;
                }
                ChannelMsg::Data { data } => stdin.extend_from_slice(&data),
                ChannelMsg::Eof => ended = true,
                ChannelMsg::Close => return,
                _ => {}
            }
            if let Some(line) = command.as_ref().filter(|line| ended || !reads_input(line)) {
                return self.answer(&channel, &handle, line, &stdin).await;
            }
        }
    }

    async fn answer(&self, channel: &Channel<Msg>, handle: &Handle, line: &str, stdin: &[u8]) {
        let loss = self.site.loss(self.node(), struck(line, stdin));
        if loss != Some(Loss::Before) {
            let output = self.run(line, stdin);
            if loss.is_none() {
                let _ = channel.data_bytes(output.stdout).await;
                let _ = channel.extended_data_bytes(1, output.stderr).await;
                let _ = handle.exit_status_request(channel.id(), output.code.unsigned_abs()).await;
                let _ = channel.eof().await;
                let _ = channel.close().await;
                return;
            }
        }
        let _ = handle.disconnect(Disconnect::ByApplication, "connection lost".to_owned(), String::new()).await;
    }
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        if user == "root" && key.public_key.key_data() == self.authorized.key_data() {
            Ok(Auth::Accept)
        } else {
            Ok(Auth::reject())
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        tokio::spawn(self.clone().session(channel, session.handle()));
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let mut found = None;
        if port == 22 && matches!(self.place, Place::Host(_)) {
            self.site.act(&mut |world| found = guests::at(world, host));
        }
        match found {
            Some(vmid) => {
                reply.accept().await;
                let place = Place::Guest { node: self.node().to_owned(), vmid };
                let door = Self { place, ..self.clone() };
                // the session of the guest lives inside a channel of the host's
                tokio::spawn(Box::pin(door.serve(channel.into_stream())));
            }
            None => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }
}
