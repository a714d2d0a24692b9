//! ZFS pools.

use serde::{Deserialize, Serialize};

/// A ZFS pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Bytes in all.
    pub size: u64,
    /// Bytes in use.
    pub allocated: u64,
    /// Bytes that are free.
    pub free: u64,
    /// How broken up the free space is, in percent; `None` where ZFS does not know.
    pub fragmentation: Option<u32>,
    /// How full it is, in percent.
    pub capacity: u32,
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `SUSPENDED`, …
    pub health: String,
    /// Why it is not as it should be (`status:`), in ZFS's words.
    pub status: Option<String>,
    /// `errors:` where it is anything but that there are none.
    pub errors: Option<String>,
    /// Devices that are not online or have counted errors: `sdb FAULTED 3 0 12`.
    pub bad_devices: Vec<String>,
    /// What was checked last.
    pub scan: Scan,
}

/// The last or running check of all data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// None ever ended: the pool is new, or nobody scrubs it.
    #[default]
    Never,
    /// One runs.
    Running,
    /// A scrub ended.
    Scrubbed {
        /// When, in seconds since 1970, taken as UTC: ZFS prints the host's local time.
        at: i64,
        /// How many errors it could not repair.
        errors: u64,
    },
    /// A resilver ended: when the last scrub was is not told any more.
    Resilvered {
        /// When, as above.
        at: i64,
    },
    /// Something else, in ZFS's words.
    Other {
        /// What it said.
        text: String,
    },
}
