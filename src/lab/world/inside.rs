//! A guest's own system beside its files: packages, units of systemd, the driver of its GPU.
//!
//! Owns plain data. What programs make of it is in `lab::guest_packages`, `lab::guest_units`, `lab::guest_gpu`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The system in a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inside {
    /// What its disk was installed from, by the name of its image or template; empty, if nobody knows.
    pub system: String,
    /// Whether `apt-get update` has run.
    pub updated: bool,
    /// Versions of packages that were installed, beside those that every system has.
    pub packages: BTreeMap<String, String>,
    /// What `apt-get update` found: repositories by the host and path of their address.
    pub repositories: BTreeSet<String>,
    /// What systemd was told.
    pub units: GuestUnits,
    /// The NVIDIA driver.
    pub driver: GpuDriver,
    /// Names of the lab's faults that hold in this guest, see `lab::guest_faults`.
    pub faults: BTreeSet<String>,
    /// Bytes that something else takes of its disk.
    pub ballast: u64,
}

/// What systemd of a guest was told; unit files are files like any other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestUnits {
    /// The boot that this is of (the start of the guest, in milliseconds): another one begins anew.
    pub booted_ms: i64,
    /// Units that are started with the guest.
    pub enabled: BTreeSet<String>,
    /// Services that were started and have not been stopped, with their state.
    pub services: BTreeMap<String, UnitRun>,
    /// Timers that are active, and when they elapse, in milliseconds.
    pub timers: BTreeMap<String, Option<i64>>,
    /// The journal: time in milliseconds, unit, line.
    pub journal: Vec<(i64, String, String)>,
}

/// A service that was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitRun {
    /// When, in milliseconds.
    pub started_ms: i64,
    /// When its process ends, in milliseconds; never, if none.
    pub ends_ms: Option<i64>,
    /// What its process ends with.
    pub code: i32,
    /// Whether `systemd-run` made it: it has no file.
    pub transient: bool,
    /// Whether it is forgotten once it has ended, even if it failed (`--collect`).
    pub collect: bool,
    /// Whether it stays active once its process has ended (`RemainAfterExit=yes`).
    pub remains: bool,
    /// Its description.
    pub description: String,
}

/// The NVIDIA driver in a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuDriver {
    /// Version of the kernel module that is loaded, and since which boot (the guest's start in milliseconds).
    pub loaded: Option<(String, i64)>,
    /// Whether a key of its own is enrolled, so that Secure Boot lets a module that was built here be loaded.
    pub key_enrolled: bool,
}
