//! What was seen of Docker and of what it runs in a guest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::observed::Fact;
use super::{EnvironmentName, ServiceName};

/// Docker in a guest, with the stacks that were asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestDocker {
    /// Its distribution and release, such as `ubuntu noble`.
    pub system: String,
    /// Versions of packages that are installed, of those that matter.
    pub packages: BTreeMap<String, String>,
    /// Whether the engine starts with the guest.
    pub enabled: bool,
    /// The engine, if it answers.
    pub engine: Option<Engine>,
    /// Version of `docker compose`, if there is one.
    pub compose: Option<String>,
    /// What `daemon.json` holds, if there is one.
    pub daemon_file: Option<String>,
    /// Containers that bear the mark of an environment of ours; known only while the engine answers.
    pub containers: Fact<Vec<SeenContainer>>,
    /// Names of networks; known only while the engine answers.
    pub networks: Fact<BTreeSet<String>>,
    /// Files that were asked for and are there.
    pub files: BTreeMap<String, SeenFile>,
    /// What our own note in each stack says, by service.
    pub notes: BTreeMap<ServiceName, StackNote>,
    /// Stacks that were brought and not switched to, or not whole.
    pub waiting: BTreeSet<ServiceName>,
    /// Models by the service that has them, as it calls them; only of services that answer.
    pub models: BTreeMap<ServiceName, BTreeSet<String>>,
    /// Files of secrets that hold something else than they are to; those that nobody could tell are not in it.
    pub stale_secrets: BTreeMap<String, bool>,
    /// Its GPU.
    pub gpu: GuestGpu,
}

/// An engine that answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its version, such as `28.2.2`.
    pub version: String,
    /// Its storage driver.
    pub driver: String,
    /// Where it keeps everything.
    pub root: String,
    /// Names of its runtimes.
    pub runtimes: BTreeSet<String>,
    /// Whether containers live on while it is restarted.
    pub live_restore: bool,
}

/// A container with our labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenContainer {
    /// Which environment's it is.
    pub environment: EnvironmentName,
    /// Which service's.
    pub service: ServiceName,
    /// What compose calls it.
    pub name: String,
    /// The image that it was made from, as it was written.
    pub image: String,
    /// How it is.
    pub state: ContainerState,
}

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// It runs, and nobody asks it how it is.
    Running,
    /// It runs and answers.
    Healthy,
    /// It runs and was not asked often enough yet.
    Starting,
    /// It runs and does not answer.
    Unhealthy,
    /// It ends again and again.
    Restarting,
    /// It is there and does not run.
    Stopped,
}

impl ContainerState {
    /// The word for a person.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Unhealthy => "unhealthy",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
        }
    }
}

/// A file of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// SHA-256 in lower-case hex; of a file with a secret in it nobody asks.
    pub sha256: Option<String>,
    /// Permission bits in octal, such as `644`.
    pub mode: String,
    /// The number of its owner.
    pub owner: u32,
}

/// What we left beside a stack: which environment's it is, and what every file was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackNote {
    /// Which environment's it is.
    pub environment: String,
    /// SHA-256 of each file's text with names in place of secrets, by path below the stack's directory.
    pub files: BTreeMap<String, String>,
}

/// The GPU of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestGpu {
    /// Version of the kernel module that is loaded.
    pub module: Option<String>,
    /// Version of the driver as `nvidia-smi` says it; none where it finds no card.
    pub driver: Option<String>,
    /// Version of NVIDIA's container toolkit.
    pub toolkit: Option<String>,
    /// Whether Secure Boot is on, if that can be told.
    pub secure_boot: Option<bool>,
    /// Device nodes that are there, of those that ROCm needs.
    pub rocm_nodes: BTreeSet<String>,
}

/// What to look at in a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DockerQuestion {
    /// Files that may be read by path, and whether a secret is in them.
    pub files: BTreeMap<String, bool>,
    /// Services whose stacks are looked at, by name.
    pub stacks: BTreeSet<ServiceName>,
    /// Services that are asked for the models that they have.
    pub models: BTreeSet<ServiceName>,
    /// Whether there is a GPU to be looked at.
    pub gpu: bool,
}
