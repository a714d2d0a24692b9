//! Workers: what PVE does in the background.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Volume;

/// One worker, running or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its UPID.
    pub upid: String,
    /// Where it runs.
    pub node: String,
    /// Process id.
    pub pid: u32,
    /// Start of the process in clock ticks.
    pub pstart: u64,
    /// When it started, in milliseconds.
    pub started_ms: i64,
    /// Its type, such as `qmcreate`.
    pub kind: String,
    /// What it works on, such as a vmid; may be empty.
    pub id: String,
    /// Who started it, without token.
    pub user: String,
    /// With which token.
    pub token: Option<String>,
    /// What it said so far, without the final line.
    pub log: Vec<String>,
    /// Running or ended.
    pub state: TaskState,
}

/// How far a worker is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Takes effect when its time has come.
    Running {
        /// When it ends, in milliseconds.
        due_ms: i64,
        /// What it will have done by then.
        work: Work,
        /// The failure that a fault has in store for it.
        #[serde(default)]
        doom: Option<String>,
    },
    /// Over.
    Stopped {
        /// When it ended, in milliseconds.
        ended_ms: i64,
        /// `OK`, `WARNINGS: n`, or what went wrong.
        exit: String,
    },
}

fn one_minute() -> i64 {
    60
}

/// What a worker does, as data, so that it survives being saved and can be looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Makes a guest out of the parameters of its creation.
    Create {
        /// The guest.
        vmid: u32,
        /// Checked parameters of the request.
        params: BTreeMap<String, String>,
    },
    /// Removes a guest with its volumes.
    Destroy {
        /// The guest.
        vmid: u32,
        /// Remove it from backup jobs, too; ACLs, pool and firewall go in any case.
        purge: bool,
        /// Stop a running container first.
        force: bool,
    },
    /// Changes a VM's configuration (`POST …/config`).
    Configure {
        /// The guest.
        vmid: u32,
        /// Checked parameters of the request.
        params: BTreeMap<String, String>,
    },
    /// Starts a guest.
    Start {
        /// The guest.
        vmid: u32,
    },
    /// Ends a guest's process at once.
    Stop {
        /// The guest.
        vmid: u32,
    },
    /// Asks the system inside to shut down.
    Shutdown {
        /// The guest.
        vmid: u32,
        /// End it anyhow when time is up.
        force: bool,
        /// How long it may take, in seconds.
        #[serde(default = "one_minute")]
        timeout: i64,
    },
    /// Shuts down and starts again, putting pending changes into effect.
    Reboot {
        /// The guest.
        vmid: u32,
    },
    /// Resets the machine; pending changes stay pending.
    Reset {
        /// The guest.
        vmid: u32,
    },
    /// Lets a VM's CPUs stand still, or keeps its state on a storage and ends its process.
    Suspend {
        /// The guest.
        vmid: u32,
        /// Storage for the state; none to leave it in memory.
        to: Option<String>,
    },
    /// Lets a paused VM go on, or starts one whose state was kept.
    Resume {
        /// The guest.
        vmid: u32,
    },
    /// Grows a volume.
    Resize {
        /// The guest.
        vmid: u32,
        /// Key of the volume, such as `scsi0`.
        disk: String,
        /// New size, or growth when it starts with `+`.
        size: String,
    },
    /// Makes a snapshot of a guest.
    Snapshot {
        /// The guest.
        vmid: u32,
        /// Its name.
        name: String,
        /// What is said about it.
        description: String,
    },
    /// Goes back to a snapshot.
    Rollback {
        /// The guest.
        vmid: u32,
        /// Its name.
        name: String,
        /// Start the guest afterwards.
        start: bool,
    },
    /// Removes a snapshot.
    DeleteSnapshot {
        /// The guest.
        vmid: u32,
        /// Its name.
        name: String,
        /// Carry on when a volume's snapshot cannot be removed.
        force: bool,
    },
    /// Moves a guest to another node.
    Migrate {
        /// The guest.
        vmid: u32,
        /// Where to.
        target: String,
        /// Start it there, as it ran.
        restart: bool,
    },
    /// Turns a guest into a template.
    Template {
        /// The guest.
        vmid: u32,
        /// Only this volume of it.
        #[serde(default)]
        disk: Option<String>,
    },
    /// Makes a guest out of another.
    Clone {
        /// The guest.
        vmid: u32,
        /// The new one.
        newid: u32,
        /// Checked parameters of the request.
        params: BTreeMap<String, String>,
    },
    /// Moves a volume of a guest to another storage.
    Move {
        /// The guest.
        vmid: u32,
        /// Key of the volume, such as `scsi0`.
        key: String,
        /// The storage.
        storage: String,
        /// Format there, if the storage has it.
        format: Option<String>,
        /// Remove the source, which otherwise stays as an unused volume.
        delete: bool,
    },
    /// Hands a volume of a guest over to another one.
    Reassign {
        /// The guest.
        vmid: u32,
        /// Key of the volume there, such as `scsi0`.
        key: String,
        /// The other guest.
        target: u32,
        /// Key that the volume gets there.
        target_key: String,
    },
    /// Fetches a file into a storage.
    Download {
        /// Storage.
        storage: String,
        /// Name within it, such as `iso/x.iso`.
        volume: String,
        /// Where it comes from.
        url: String,
        /// What it must hash to: algorithm and hex digest.
        checksum: Option<(String, String)>,
    },
    /// Frees a volume.
    FreeVolume {
        /// Storage.
        storage: String,
        /// Name within it.
        volume: String,
    },
    /// Backs guests up.
    Backup {
        /// The guests.
        vmids: Vec<u32>,
        /// All that are there: those that the caller may not back up are passed over.
        all: bool,
        /// Checked parameters of the request.
        params: BTreeMap<String, String>,
    },
    /// Fails without having done anything.
    Fail {
        /// Its exit status.
        text: String,
    },
    /// Frees several volumes.
    FreeVolumes {
        /// Storage.
        storage: String,
        /// Names within it.
        volumes: Vec<String>,
    },
    /// Puts a file that was sent into a storage.
    Upload {
        /// Storage.
        storage: String,
        /// Name within it, such as `iso/x.iso`.
        volume: String,
        /// Where the server put what was sent.
        from: String,
        /// What it becomes.
        entry: Box<Volume>,
        /// What it must hash to: algorithm, expected and real hex digest.
        checksum: Option<(String, String, String)>,
    },
    /// Puts a node's staged network configuration into effect.
    ReloadNetwork,
    /// Only takes its time.
    Nothing,
}

impl Task {
    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.state, TaskState::Running { .. })
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn exit(&self) -> Option<&str> {
        match &self.state {
            TaskState::Stopped { exit, .. } => Some(exit),
            TaskState::Running { .. } => None,
        }
    }

    /// Its log with the final line, as `GET …/log` and the log file have it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.log.clone();
        match self.exit() {
            None => {}
            Some("OK") => lines.push("TASK OK".to_owned()),
            Some(exit) if exit.starts_with("WARNINGS: ") => lines.push(format!("TASK {exit}")),
            // A worker that was killed had no time to write a last line.
            Some("unexpected status") => {}
            Some(exit) => lines.push(format!("TASK ERROR: {exit}")),
        }
        lines
    }
}
