//! The lab of an inventory: started in this process, or shared with the process that runs it already.
//!
//! Its world is kept in the state directory, so that plan, apply and plan again work across calls. Who
//! runs it writes how to reach it into a file there; another process that finds the world taken reads
//! that file and becomes one more client.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::scenario;
use crate::adapters::SystemClock;
use crate::blueprint::{Access, ApiAccess, Blueprint, ControlPlane, SshAccess, Trust};
use crate::cli::CommandError;
use crate::cli::args::StateArgs;
use crate::cli::error::{file, lab};
use crate::diag::{Diagnostic, Invalid};
use crate::lab::opnsense::ServedOpnSense;
use crate::lab::tailnet::ServedTailnet;
use crate::lab::{Lab, LabError, LabHost, LabOptions, RunningLab, Scenario, broken};
use crate::model::{Fingerprint, HostName};

/// How long another process may take to say how its lab is reached.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of that file.
const CONNECTION: &str = "connection.json";

/// A lab that answers.
pub(in crate::cli) struct LabWorld {
    /// Where its world, its journals and its keys are.
    pub directory: Utf8PathBuf,
    /// How each host is reached.
    pub hosts: BTreeMap<HostName, Reach>,
    /// The secret of each host's token.
    pub tokens: BTreeMap<HostName, SecretString>,
    /// How the tailnet of the inventory is reached, if it has one.
    tailnet: Option<TailnetReach>,
    /// How the OPNsense of the inventory is reached, if it has one.
    opnsense: Option<OpnSenseReach>,
    /// There if it runs in this process.
    own: Option<Own>,
}

/// How the lab's tailnet is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TailnetReach {
    pub url: String,
    pub fingerprint: Fingerprint,
    pub key: String,
}

/// How the lab's OPNsense is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OpnSenseReach {
    pub url: String,
    pub fingerprint: Fingerprint,
    pub key: String,
    pub secret: String,
}

struct Own {
    running: RunningLab,
    tailnet: ServedTailnet,
    opnsense: ServedOpnSense,
    connection: Utf8PathBuf,
}

/// How a host of the lab is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Reach {
    pub api: ApiReach,
    pub ssh: SshReach,
}

/// Its API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct ApiReach {
    pub host: String,
    pub port: u16,
    pub fingerprint: Fingerprint,
    pub token_id: String,
}

/// Its SSH door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct SshReach {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub host_key: String,
    pub identity_file: Utf8PathBuf,
}

/// The file by which other processes find the lab; only its owner can read it, as tokens are in it.
#[derive(Serialize, Deserialize)]
struct Connection {
    hosts: BTreeMap<HostName, Reach>,
    tokens: BTreeMap<HostName, String>,
    #[serde(default)]
    tailnet: Option<TailnetReach>,
    #[serde(default)]
    opnsense: Option<OpnSenseReach>,
}

impl LabWorld {
    /// Where the lab's world of an inventory is kept.
    pub fn directory(state: &StateArgs, blueprint: &Blueprint) -> Utf8PathBuf {
        state.state_dir.join("lab").join(blueprint.name.as_str())
    }

    /// Starts the lab with the inventory's hardware or a scenario's, or joins the one that runs already.
    pub async fn enter(
        blueprint: &Blueprint,
        state: &StateArgs,
        scenario_file: Option<&Utf8Path>,
    ) -> Result<Self, CommandError> {
        let mut directory = Self::directory(state, blueprint);
        let scenario = match scenario_file {
            None => scenario(blueprint),
            Some(path) => match broken(path)? {
                None => read_scenario(path)?,
                Some(names) => {
                    // A world of its own: the ordinary one stays in order.
                    directory = directory.with_file_name(format!("{}@{}", blueprint.name, names.join("+")));
                    Scenario { broken: names, ..scenario(blueprint) }
                }
            },
        };
        let start = Instant::now();
        loop {
            match Self::start(&directory, scenario.clone(), None).await {
                Err(LabError::Busy { path }) if start.elapsed() > PATIENCE => {
                    return Err(lab(&LabError::Busy { path }));
                }
                Err(LabError::Busy { .. }) => {
                    if let Some(world) = Self::join(&directory) {
                        return world.with_hosts_of(blueprint);
                    }
                    // Its owner is about to say how it is reached, or about to go.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(lab(&error)),
                Ok(world) => return world.with_hosts_of(blueprint),
            }
        }
    }

    /// Starts the lab in this process, its first host's API at `listen` if given.
    pub async fn start(directory: &Utf8Path, scenario: Scenario, listen: Option<SocketAddr>) -> Result<Self, LabError> {
        let options = LabOptions {
            scenario,
            state: Some(directory.as_std_path().to_owned()),
            clock: Arc::new(SystemClock),
            listen,
        };
        let running = Lab::start(options).await?;
        let state = |path: &Utf8Path| {
            let path = path.to_string();
            move |source| LabError::State { path, source }
        };
        let absolute = directory.canonicalize_utf8().map_err(state(directory))?;
        let connection = absolute.join(CONNECTION);
        let mut world = Self {
            directory: directory.to_owned(),
            hosts: BTreeMap::new(),
            tokens: BTreeMap::new(),
            tailnet: None,
            opnsense: None,
            own: None,
        };
        for (name, host) in &running.hosts {
            let name: HostName =
                name.parse().map_err(|invalid: Invalid| LabError::Scenario { why: invalid.to_string() })?;
            world.hosts.insert(name.clone(), Reach::of(host).map_err(state(&absolute))?);
            world.tokens.insert(name, host.api.token.clone());
        }
        let tokens =
            world.tokens.iter().map(|(name, token)| (name.clone(), token.expose_secret().to_owned())).collect();
        let kept = absolute.join("tailnet.json");
        let ip = listen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let tailnet = ServedTailnet::start(Some(kept.as_std_path()), ip, Arc::new(SystemClock)).await?;
        for host in running.hosts.values() {
            host.site.change(|world| world.uplink = tailnet.uplink())?;
        }
        let reach = TailnetReach { url: tailnet.url.clone(), fingerprint: tailnet.fingerprint, key: tailnet.token() };
        world.tailnet = Some(reach.clone());
        let kept = absolute.join("opnsense.json");
        let opnsense = ServedOpnSense::start(Some(kept.as_std_path()), ip).await?;
        let there = opnsense.state();
        let router = OpnSenseReach {
            url: opnsense.url.clone(),
            fingerprint: opnsense.fingerprint,
            key: there.key,
            secret: there.secret,
        };
        world.opnsense = Some(router.clone());
        let (tailnet_reach, router) = (Some(reach), Some(router));
        let written = Connection { hosts: world.hosts.clone(), tokens, tailnet: tailnet_reach, opnsense: router };
        written.write(&connection).map_err(state(&connection))?;
        world.own = Some(Own { running, tailnet, opnsense, connection });
        Ok(world)
    }

    /// Joins a lab that another process runs, if that answers.
    fn join(directory: &Utf8Path) -> Option<Self> {
        let connection = Connection::read(&directory.join(CONNECTION))?;
        let answers = |reach: &Reach| TcpStream::connect((reach.api.host.as_str(), reach.api.port)).is_ok();
        if !connection.hosts.values().all(answers) {
            return None;
        }
        let tokens = connection.tokens.into_iter().map(|(name, token)| (name, token.into())).collect();
        Some(Self {
            directory: directory.to_owned(),
            hosts: connection.hosts,
            tokens,
            tailnet: connection.tailnet,
            opnsense: connection.opnsense,
            own: None,
        })
    }

    /// Refuses a lab in which a host of the inventory is missing.
    fn with_hosts_of(self, blueprint: &Blueprint) -> Result<Self, CommandError> {
        let missing: Vec<&str> =
            blueprint.hosts.keys().filter(|name| !self.hosts.contains_key(*name)).map(HostName::as_str).collect();
        if missing.is_empty() {
            return Ok(self);
        }
        Err(Diagnostic::error("lab.hosts", format!("the lab has no host {}", missing.join(", ")))
            .cause(format!("its world was made from other hardware and is kept in `{}`", self.directory))
            .hint("remove that directory to begin with a new world")
            .into())
    }

    /// Replaces how hosts are reached, and nothing else.
    pub fn overlay(&self, blueprint: &mut Blueprint) {
        // The lab speaks as Tailscale does, whoever runs the inventory's own control plane.
        if let (Some(tailnet), Some(reach)) = (&mut blueprint.tailnet, &self.tailnet) {
            tailnet.name = "-".to_owned();
            tailnet.url.clone_from(&reach.url);
            tailnet.control = ControlPlane::Tailscale;
            tailnet.trust = Some(Trust::Fingerprint(reach.fingerprint));
        }
        if let (Some(router), Some(reach)) = (&mut blueprint.dns.opnsense, &self.opnsense) {
            router.url.clone_from(&reach.url);
            router.trust = Some(Trust::Fingerprint(reach.fingerprint));
        }
        for (name, host) in &mut blueprint.hosts {
            let Some(reach) = self.hosts.get(name) else { continue };
            let ssh = host.access.ssh.as_ref().map(|_| SshAccess {
                host: reach.ssh.host.clone(),
                port: reach.ssh.port,
                user: reach.ssh.user.clone(),
                host_key: Some(reach.ssh.host_key.clone()),
                identity: Some(reach.ssh.identity_file.clone()),
                jump: None,
            });
            host.access = Access {
                api: ApiAccess {
                    host: reach.api.host.clone(),
                    port: reach.api.port,
                    token_id: reach.api.token_id.clone(),
                    token: host.access.api.token.clone(),
                    trust: Trust::Fingerprint(reach.api.fingerprint),
                },
                ssh,
            };
        }
    }

    /// How its tailnet is reached.
    pub(super) fn tailnet(&self) -> Option<&TailnetReach> {
        self.tailnet.as_ref()
    }

    /// What opens its tailnet.
    pub fn tailnet_key(&self) -> Option<SecretString> {
        self.tailnet.as_ref().map(|tailnet| tailnet.key.clone().into())
    }

    /// How its OPNsense is reached.
    pub(super) fn opnsense(&self) -> Option<&OpnSenseReach> {
        self.opnsense.as_ref()
    }

    /// What opens its OPNsense.
    pub fn opnsense_key(&self) -> Option<(SecretString, SecretString)> {
        self.opnsense.as_ref().map(|router| (router.key.clone().into(), router.secret.clone().into()))
    }

    /// Stops it if it runs in this process.
    pub async fn leave(self) {
        if let Some(own) = self.own {
            // Gone before the world is given back, so that nobody finds a door that is closing.
            let _ = std::fs::remove_file(&own.connection);
            own.tailnet.stop().await;
            own.opnsense.stop().await;
            own.running.stop().await;
        }
    }
}

impl Reach {
    fn of(host: &LabHost) -> std::io::Result<Self> {
        let identity = std::path::absolute(&host.ssh.identity)?;
        Ok(Self {
            api: ApiReach {
                host: host.api.host.clone(),
                port: host.api.port,
                fingerprint: host.api.fingerprint,
                token_id: host.api.token_id.clone(),
            },
            ssh: SshReach {
                host: host.ssh.host.clone(),
                port: host.ssh.port,
                user: host.ssh.user.clone(),
                host_key: host.ssh.host_key.clone(),
                identity_file: Utf8PathBuf::from_path_buf(identity).map_err(|_| std::io::ErrorKind::InvalidFilename)?,
            },
        })
    }
}

impl Connection {
    fn read(path: &Utf8Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }

    fn write(&self, path: &Utf8Path) -> std::io::Result<()> {
        write_private(path, &serde_json::to_string_pretty(self)?)
    }
}

/// Replaces a file by one that only its owner can read.
pub(super) fn write_private(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let temporary = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&temporary, path)
}

/// Defects that a scenario names: `broken/A+B`.
fn broken(path: &Utf8Path) -> Result<Option<Vec<String>>, CommandError> {
    let named = broken::named(path.as_str()).filter(|_| !path.exists()).transpose();
    named.map_err(|why| {
        Diagnostic::error("lab.broken", format!("there is no scenario `{path}`"))
            .cause(why)
            .hint("several are joined: `--lab=broken/iommu-firmware+intel`")
            .into()
    })
}

/// Reads a scenario file; where there is none of that name, one of this program's own may have it.
pub(in crate::cli) fn read_scenario(path: &Utf8Path) -> Result<Scenario, CommandError> {
    if let Some(own) = Scenario::named(path.as_str()).filter(|_| !path.exists()) {
        return Ok(own);
    }
    let text = std::fs::read_to_string(path).map_err(|error| file("read", path, &error))?;
    Scenario::from_json(&text).map_err(|error| lab(&error))
}
