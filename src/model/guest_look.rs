//! What was seen of a program and its files in a guest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Files and programs in a guest that configurations of ours depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestLook {
    /// The day by the guest's clock, in UTC.
    pub day: jiff::civil::Date,
    /// Those that are there, of the paths that were only asked about.
    pub there: BTreeSet<String>,
    /// Files that are not as their package brought them.
    pub changed: BTreeSet<String>,
    /// Packages of which that could not be told: they are not installed, or not by `dpkg`.
    pub unverified: BTreeSet<String>,
    /// Those that are there, of the files that were looked into.
    pub files: BTreeMap<String, LookedFile>,
}

/// A file in a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedFile {
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Its first line; of a file with secrets only if it is a comment of ours.
    #[serde(default)]
    pub first_line: Option<String>,
    /// The serial of a zone, if it is one.
    #[serde(default)]
    pub serial: Option<u32>,
}

impl GuestLook {
    /// Whether a file that a package brings is still as it brought it.
    #[must_use]
    pub fn is_packaged(&self, path: &str, package: &str) -> bool {
        self.files.contains_key(path) && !self.changed.contains(path) && !self.unverified.contains(package)
    }
}

/// What to look at in a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestQuestion {
    /// Paths of which only whether they are there is asked.
    pub paths: BTreeSet<String>,
    /// Packages whose files may have been changed.
    pub packages: BTreeSet<&'static str>,
    /// Files that are looked into.
    pub files: BTreeSet<String>,
    /// Files with secrets in them: nothing but a comment of ours is read.
    pub secret_files: BTreeSet<String>,
}

impl GuestQuestion {
    /// Both questions at once.
    pub fn join(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.packages.extend(other.packages);
        self.files.extend(other.files);
        self.secret_files.extend(other.secret_files);
    }
}
