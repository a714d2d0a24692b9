//! Starting a lab: worlds out of a scenario or out of a state directory, each host behind its own port.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::live::LiveSite;
use super::persist::{StateDir, write_private};
use super::scenario::Scenario;
use super::serve::Server;
use super::site::Site;
use super::ssh_keys::SshKeys;
use super::sshd::Sshd;
use super::world::File;
use crate::model::Fingerprint;
use crate::ports::Clock;

/// Why a lab does not start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The state directory cannot be read or written.
    #[error("{path}: {source}")]
    State {
        /// File or directory.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the state directory is not what it should be.
    #[error("{path}: {why}")]
    Format {
        /// File.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another process has the state directory.
    #[error("{path} is in use by another process")]
    Busy {
        /// Directory.
        path: String,
    },
    /// The scenario contradicts itself.
    #[error("scenario: {why}")]
    Scenario {
        /// What is wrong with it.
        why: String,
    },
    /// No port, or no certificate.
    #[error("{0}")]
    Serve(String),
}

/// How a lab is to be.
pub struct LabOptions {
    /// What it starts from; a site that the state directory holds goes on as it was.
    pub scenario: Scenario,
    /// Where it is kept; in memory only, if not given.
    pub state: Option<PathBuf>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Where the first host's API listens, exactly; other doors are on free ports of the same address.
    /// Free ports of 127.0.0.1, if not given.
    pub listen: Option<SocketAddr>,
}

impl std::fmt::Debug for LabOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LabOptions")
            .field("scenario", &self.scenario)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// How to reach a host's API.
#[derive(Debug, Clone)]
pub struct ApiAccess {
    /// Loopback.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Certificate to pin.
    pub fingerprint: Fingerprint,
    /// Such as `infra@pve!lab`.
    pub token_id: String,
    /// Its secret.
    pub token: SecretString,
}

impl ApiAccess {
    /// `https://host:port/api2/json`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}/api2/json", self.host, self.port)
    }
}

/// How to reach a host's shell.
#[derive(Debug, Clone)]
pub struct SshAccess {
    /// Loopback.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who is let in.
    pub user: String,
    /// Host key to expect, `ssh-ed25519 AAAA…`.
    pub host_key: String,
    /// File with the private key that is let in.
    pub identity: PathBuf,
}

/// One host of a running lab.
#[derive(Debug, Clone)]
pub struct LabHost {
    /// What Proxmox VE calls it.
    pub node: String,
    /// Its site.
    pub site: Arc<LiveSite>,
    /// How to reach its API.
    pub api: ApiAccess,
    /// How to reach its shell.
    pub ssh: SshAccess,
}

/// A lab that serves until it is stopped.
#[derive(Debug)]
pub struct RunningLab {
    /// Hosts by the name that the scenario gives them.
    pub hosts: BTreeMap<String, LabHost>,
    servers: Vec<Server>,
    doors: Vec<Sshd>,
    /// Keys of its SSH doors; those of a lab that is kept nowhere go with it.
    pub ssh_keys: SshKeys,
    /// Where keys and the like are kept; the lock on it lasts as long as the lab.
    pub state: Option<StateDir>,
}

/// The lab.
#[derive(Debug)]
pub struct Lab;

/// What of a site is kept besides its world.
#[derive(Serialize, Deserialize)]
struct Identity {
    token: String,
    hosts: BTreeMap<String, Certificate>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Certificate {
    key: String,
    certificate: String,
    #[serde(default)]
    pub(super) port: u16,
    #[serde(default)]
    ssh_port: u16,
}

fn no_server(error: impl std::fmt::Display) -> LabError {
    LabError::Serve(error.to_string())
}

impl Lab {
    /// Starts every site of the scenario, each host on a port of its own.
    ///
    /// # Errors
    /// If the scenario contradicts itself, the state directory is in use or unreadable, or there is no port.
    pub async fn start(options: LabOptions) -> Result<RunningLab, LabError> {
        let state = options.state.as_deref().map(StateDir::open).transpose()?;
        let mut hosts = BTreeMap::new();
        let (mut servers, mut doors) = (Vec::new(), Vec::new());
        let ip = options.listen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let shown = if ip.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { ip };
        let mut exact = options.listen;
        let ssh_keys = match &state {
            Some(state) => SshKeys::in_directory(&state.file("ssh")),
            None => SshKeys::temporary(),
        }
        .map_err(|error| LabError::Serve(format!("no SSH keys: {error}")))?;
        for spec in &options.scenario.sites {
            let file = state.as_ref().map(|s| s.file(&format!("identity-{}.json", spec.name)));
            let mut identity = match file.as_ref().map(fs::read_to_string) {
                Some(Ok(text)) => serde_json::from_str(&text).map_err(|error| LabError::Format {
                    path: file.as_ref().map(|f| f.display().to_string()).unwrap_or_default(),
                    why: error.to_string(),
                })?,
                _ => Identity { token: new_secret(), hosts: BTreeMap::new() },
            };
            let store = state.as_ref().map(|s| s.store(&spec.name));
            let kept = store.as_ref().map(super::persist::Store::load).transpose()?.flatten();
            let mut world = match kept {
                Some(world) => world,
                None => options.scenario.world(spec, &identity.token, options.clock.now())?,
            };
            world.pace = options.scenario.pace;
            for (url, download) in &options.scenario.downloads {
                world.downloads.entry(url.clone()).or_insert_with(|| download.clone());
            }
            let mut ready = Vec::new();
            for host in &spec.hosts {
                let known = identity.hosts.get(&host.name).cloned();
                let mut entry = known.map_or_else(|| new_certificate(&host.node, &host.address), Ok)?;
                let (acceptor, fingerprint) = acceptor(&entry)?;
                let listener = match exact.take() {
                    Some(address) => TcpListener::bind(address)
                        .await
                        .map_err(|error| LabError::Serve(format!("cannot listen on {address}: {error}")))?,
                    None => listen(ip, entry.port).await?,
                };
                entry.port = listener.local_addr().map_err(no_server)?.port();
                if let Some(node) = world.nodes.get_mut(&host.node) {
                    node.fingerprint = fingerprint.to_string();
                    let key = format!("{} root@{}\n", ssh_keys.host_key(), host.node);
                    let file = File { content: key.into_bytes(), mode: 0o644, ..File::default() };
                    node.files.insert("/etc/ssh/ssh_host_ed25519_key.pub".to_owned(), file);
                }
                ready.push((host, listener, acceptor, fingerprint, entry.port));
                identity.hosts.insert(host.name.clone(), entry);
            }
            keep_identity(file.as_deref(), &identity)?;
            let site = LiveSite::new(world, Arc::clone(&options.clock), options.scenario.faults.clone(), store)?;
            for (host, listener, acceptor, fingerprint, port) in ready {
                servers.push(Server::start(site.at(&host.node), listener, acceptor));
                let api = ApiAccess {
                    host: shown.to_string(),
                    port,
                    fingerprint,
                    token_id: spec.token_id.clone(),
                    token: SecretString::from(identity.token.clone()),
                };
                let known = identity.hosts.get(&host.name).map(|entry| entry.ssh_port).filter(|port| *port != 0);
                let as_site = Arc::clone(&site) as Arc<dyn Site>;
                let door = Sshd::start(as_site, &host.node, &ssh_keys, (ip, known)).await.map_err(no_server)?;
                let ssh = SshAccess {
                    host: shown.to_string(),
                    port: door.address().port(),
                    user: "root".to_owned(),
                    host_key: ssh_keys.host_key(),
                    identity: ssh_keys.identity().to_owned(),
                };
                if let Some(entry) = identity.hosts.get_mut(&host.name) {
                    entry.ssh_port = ssh.port;
                }
                doors.push(door);
                hosts.insert(
                    host.name.clone(),
                    LabHost { node: host.node.clone(), site: site.at(&host.node), api, ssh },
                );
            }
            keep_identity(file.as_deref(), &identity)?;
        }
        Ok(RunningLab { hosts, servers, doors, ssh_keys, state })
    }
}

impl RunningLab {
    /// Stops every server and gives the state directory back.
    pub async fn stop(self) {
        drop(self.doors);
        for server in self.servers {
            server.stop().await;
        }
    }
}

/// Token first, SSH ports later: a world must never be kept whose token is lost.
fn keep_identity(file: Option<&Path>, identity: &Identity) -> Result<(), LabError> {
    let Some(file) = file else { return Ok(()) };
    write_private(file, &serde_json::to_vec(identity).map_err(no_server)?)
}

/// The port of the last time if it is free, else any.
pub(super) async fn listen(ip: IpAddr, port: u16) -> Result<TcpListener, LabError> {
    if port != 0
        && let Ok(listener) = TcpListener::bind((ip, port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind((ip, 0)).await.map_err(no_server)
}

fn new_secret() -> String {
    let mut random = fastrand::Rng::new();
    let hex = format!("{:032x}", random.u128(..));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(super) fn new_certificate(node: &str, address: &str) -> Result<Certificate, LabError> {
    let names = vec![node.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), address.to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(no_server)?;
    Ok(Certificate { key: made.signing_key.serialize_pem(), certificate: made.cert.pem(), port: 0, ssh_port: 0 })
}

pub(super) fn acceptor(entry: &Certificate) -> Result<(TlsAcceptor, Fingerprint), LabError> {
    let certificate = CertificateDer::from_pem_slice(entry.certificate.as_bytes()).map_err(no_server)?;
    let key = PrivateKeyDer::from_pem_slice(entry.key.as_bytes()).map_err(no_server)?;
    let fingerprint = Fingerprint::new(Sha256::digest(&certificate).into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(no_server)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(no_server)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), fingerprint))
}
