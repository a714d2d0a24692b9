//! What a check is.

use super::{Finding, Mend, Subject};
use crate::model::observed::Fact;

/// One rule about a host.
#[derive(Debug)]
pub struct Check {
    /// Its id, in kebab case; the file's name with dashes.
    pub id: &'static str,
    /// What it is about.
    pub area: Area,
    /// The worst that it says.
    pub severity: Severity,
    /// What must hold, in one line without a period: `the IOMMU is active`.
    pub title: &'static str,
    /// Facts that it is judged from, in the words of the report: `/sys/class/iommu`.
    pub needs: &'static [&'static str],
    /// What happens where it does not hold, how it is told, and on which versions; Markdown.
    pub why: &'static str,
    /// What to do; Markdown.
    pub fix: &'static str,
    /// What of it `infra prepare` can do.
    pub mend: Option<Mend>,
    /// Where this is known from: a file of Proxmox's sources, a page of its documentation, an issue.
    pub sources: &'static [&'static str],
    /// The rule. It gives at least one finding; where nothing is wrong, one that says what was seen.
    pub judge: fn(&Subject<'_>) -> Result<Vec<Finding>, NotRun>,
}

/// What a check is about: the chapters of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// Version, packages, kernel, boot chain.
    System,
    /// IOMMU, GPUs and what it takes to pass them through.
    Passthrough,
    /// What containers that run Docker need.
    Containers,
    /// Memory, storages, pools, datasets.
    Storage,
    /// Bridges, addresses, names.
    Network,
    /// API, token, cluster, locks, earlier runs.
    Access,
}

impl Area {
    /// Every area, in the order of the catalogue.
    pub const ALL: [Self; 6] =
        [Self::System, Self::Passthrough, Self::Containers, Self::Storage, Self::Network, Self::Access];

    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Passthrough => "GPU passthrough",
            Self::Containers => "Containers",
            Self::Storage => "Memory and storage",
            Self::Network => "Network",
            Self::Access => "Access and guests",
        }
    }
}

/// The worst that a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but not as well or not for long.
    Warn,
    /// What the inventory asks for cannot work, or would do harm.
    Fail,
}

/// Why a check was not judged. The two are never the same: one is about the inventory, the other about sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRun {
    /// It does not apply: the inventory asks for nothing that it is about.
    Skipped(String),
    /// Something that it is judged from could not be read.
    Blind(String),
}

impl NotRun {
    /// It does not apply, because.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }

    /// It could not be judged, because.
    pub fn blind(why: impl Into<String>) -> Self {
        Self::Blind(why.into())
    }
}

/// All of a fact, for a rule that concludes something from what is *not* in it.
pub(super) fn all<T>(fact: &Fact<T>) -> Result<&T, NotRun> {
    match fact {
        Fact::Complete { value } => Ok(value),
        Fact::Partial { why, .. } | Fact::Unavailable { why } => Err(NotRun::blind(why)),
    }
}

/// What there is of a fact, for a rule that only concludes something from what *is* in it.
pub(super) fn some<T>(fact: &Fact<T>) -> Result<&T, NotRun> {
    fact.value().ok_or_else(|| NotRun::blind(fact.why().unwrap_or_default()))
}
