//! Docker in a guest: what its daemon keeps, and the containers that it has.
//!
//! Owns plain data. What runs and how well follows from it when somebody looks (`lab::docker`, `lab::services`): a
//! container that is `Running` here may fail at each start because of what it needs. Nothing here knows an image's meaning.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// An installed engine and all that it keeps below its data root.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Docker {
    /// Version of the engine, such as `28.2.2`.
    pub engine: String,
    /// Version of `docker compose`; none without its plugin.
    pub compose: Option<String>,
    /// Version of containerd.
    pub containerd: String,
    /// Version of runc.
    pub runc: String,
    /// What the daemon that runs was started with; none while it does not run.
    pub daemon: Option<Daemon>,
    /// Why the daemon did not start, as it says in its journal.
    pub failed: Option<String>,
    /// The boot of the guest that the daemon runs since (its start in milliseconds): another one starts it anew.
    pub booted_ms: i64,
    /// Images by reference with tag, such as `ollama/ollama:0.18.2`.
    pub images: BTreeMap<String, Image>,
    /// Networks by name, beside `bridge`, `host` and `none`.
    pub networks: BTreeMap<String, DockerNetwork>,
    /// Named volumes by name.
    pub volumes: BTreeMap<String, DockerVolume>,
    /// What is kept below a volume's name or a directory of the guest: it outlives containers.
    pub stores: BTreeMap<String, Store>,
    /// Containers by name, such as `ollama-ollama-1`.
    pub containers: BTreeMap<String, Container>,
}

/// A daemon that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Daemon {
    /// Storage driver: `overlay2`, `vfs`.
    pub driver: String,
    /// Runtimes by name beside `runc`, with their path.
    pub runtimes: BTreeMap<String, String>,
    /// The runtime of containers that name none.
    pub default_runtime: String,
    /// Where it keeps everything.
    pub data_root: String,
    /// Whether containers live on while it is restarted.
    pub live_restore: bool,
    /// How logs are kept where nobody says: `json-file`.
    pub log_driver: String,
    /// Registries that it asks in place of Docker Hub.
    pub mirrors: Vec<String>,
}

/// An image that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// Its id, 64 hex digits.
    pub id: String,
    /// The digest that its registry knows it by, 64 hex digits.
    pub digest: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was pulled, in milliseconds.
    pub pulled_ms: i64,
}

/// A network that somebody made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerNetwork {
    /// Its id, 64 hex digits.
    pub id: String,
    /// Whether it leads nowhere.
    pub internal: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A named volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DockerVolume {
    /// When it was made, in milliseconds.
    pub created_ms: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What a service keeps: its own words by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Store {
    /// Values by key, as the service's own file in `lab::services` reads them.
    pub kept: BTreeMap<String, serde_json::Value>,
    /// Bytes on disk.
    pub bytes: u64,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Its id, 64 hex digits.
    pub id: String,
    /// The reference that it was made from.
    pub image: String,
    /// The id of that image at that time.
    pub image_id: String,
    /// The compose project, if it is of one.
    pub project: Option<String>,
    /// The service within its project, or its name.
    pub service: String,
    /// What it runs in place of the image's own entry point; nothing = the image's.
    pub entrypoint: Option<Vec<String>>,
    /// What it is told to run; nothing = the image's.
    pub command: Option<Vec<String>>,
    /// Variables that were given, by name.
    pub environment: BTreeMap<String, String>,
    /// What is mounted, in its order.
    pub mounts: Vec<Mount>,
    /// Published ports.
    pub ports: Vec<Published>,
    /// Networks that it is in, with the names that it has there; `host` for the guest's own.
    pub networks: BTreeMap<String, BTreeSet<String>>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Its health check, if it has one.
    pub check: Option<HealthCheck>,
    /// `no`, `always`, `on-failure`, `unless-stopped`.
    pub restart: String,
    /// The most memory that it may take, in bytes; 0 = any.
    pub memory: u64,
    /// Whether it asked for GPUs (`--gpus`, `driver: nvidia`).
    pub wants_gpu: bool,
    /// Whether its processes have them now: a reload of systemd can take them away.
    pub has_gpu: bool,
    /// Devices of the guest that it was given by path.
    pub devices: Vec<String>,
    /// The runtime that it is run by.
    pub runtime: String,
    /// The user that it runs as, as it was written; nothing = the image's.
    pub user: Option<String>,
    /// Whether its own file system cannot be written.
    pub read_only: bool,
    /// Containers of its project that it waits for, with what for.
    pub depends_on: BTreeMap<String, String>,
    /// When it was made, in milliseconds.
    pub created_ms: i64,
    /// What became of it.
    pub state: ContainerState,
    /// Files that are mounted into it as they were when it was started, by their path there: who replaces one on the
    /// guest's side changes nothing for a process that has read it.
    pub read: BTreeMap<String, super::File>,
    /// What it wrote beside what follows from its state: time in milliseconds and line.
    pub said: Vec<(i64, String)>,
    /// What its processes hold in memory: gone with a restart. Keys are those of the service's own file.
    pub memory_of: BTreeMap<String, serde_json::Value>,
}

/// What a container was last told to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Made and never started, with why its start failed, if it was tried.
    #[default]
    Created,
    /// Its start failed: what the engine said, and its exit code.
    Refused {
        /// What the engine said.
        why: String,
        /// 127 or 128.
        code: i32,
    },
    /// It is to run, and was started then, in milliseconds.
    Running {
        /// When.
        since_ms: i64,
    },
    /// It was stopped, or ended and is not restarted.
    Exited {
        /// Its exit code.
        code: i32,
        /// When, in milliseconds.
        at_ms: i64,
        /// Whether somebody stopped it: it is not started with the daemon then.
        by_hand: bool,
    },
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`.
    pub kind: String,
    /// A path of the guest, or the name of a volume.
    pub source: String,
    /// Where, in the container.
    pub target: String,
    /// Whether it cannot be written.
    pub read_only: bool,
}

/// A published port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Published {
    /// On which address of the guest; empty = on all.
    pub address: String,
    /// Port of the guest.
    pub here: u16,
    /// Port in the container.
    pub inside: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// `CMD` or `CMD-SHELL` and its words.
    pub test: Vec<String>,
    /// Between two looks, in milliseconds.
    pub interval_ms: i64,
    /// How long one look may take, in milliseconds.
    pub timeout_ms: i64,
    /// Looks that have to fail in a row.
    pub retries: u32,
    /// How long after the start failures do not count, in milliseconds.
    pub start_period_ms: i64,
}

impl Docker {
    /// Projects with the names of their containers.
    #[must_use]
    pub fn projects(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut projects: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, container) in &self.containers {
            if let Some(project) = &container.project {
                projects.entry(project).or_default().push(name);
            }
        }
        projects
    }

    /// Bytes that images and what is kept take on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let vfs = self.daemon.as_ref().is_some_and(|daemon| daemon.driver == "vfs");
        // vfs copies every layer whole, and once more for each container (22 GB in place of 3, tteck#875).
        let images: u64 = self.images.values().map(|image| image.bytes * if vfs { 7 } else { 1 }).sum();
        let copies: u64 = self
            .containers
            .values()
            .filter(|_| vfs)
            .filter_map(|c| self.images.get(&c.image))
            .map(|image| image.bytes)
            .sum();
        images + copies + self.stores.values().map(|store| store.bytes).sum::<u64>()
    }
}

impl Container {
    /// When it was started, while it is to run.
    #[must_use]
    pub fn since_ms(&self) -> Option<i64> {
        match self.state {
            ContainerState::Running { since_ms } => Some(since_ms),
            _ => None,
        }
    }

    /// The volume or directory of the guest behind a path in it, with the rest of the path.
    #[must_use]
    pub fn behind<'a>(&'a self, path: &'a str) -> Option<(&'a Mount, &'a str)> {
        let fits = |mount: &&Mount| {
            path.strip_prefix(mount.target.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mount = self.mounts.iter().filter(fits).max_by_key(|mount| mount.target.len())?;
        Some((mount, &path[mount.target.trim_end_matches('/').len()..]))
    }

    /// The key of the [`Store`] behind a path in it: the volume's name or the guest's directory.
    #[must_use]
    pub fn store(&self, path: &str) -> Option<String> {
        self.behind(path).map(|(mount, _)| mount.source.clone())
    }
}
