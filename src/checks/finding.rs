//! What a check found.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Addr;

/// Five different things, never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as it should be.
    Pass,
    /// It does not apply here.
    Skipped,
    /// Nobody can tell: something could not be read.
    CouldNotRun,
    /// It works, but not as well or not for long.
    Warn,
    /// It cannot work, or would do harm.
    Fail,
}

impl Verdict {
    /// Every verdict, from bad to good; those that are not about the host come last.
    pub const ALL: [Self; 5] = [Self::Fail, Self::Warn, Self::Pass, Self::CouldNotRun, Self::Skipped];

    /// The word of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::CouldNotRun => "could not run",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that a check found, about the host or about one object on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it comes to.
    pub verdict: Verdict,
    /// Which object, where a check looks at several: `gpu rtx4090 at 0000:01:00`.
    pub object: Option<String>,
    /// What is so, in one line without a period.
    pub summary: String,
    /// What it is concluded from.
    pub evidence: Vec<Evidence>,
    /// What to do about it, the best way first; empty where nothing is wrong.
    pub fixes: Vec<Fix>,
    /// Resources of the plan that it is about; with none, it is about everything on the host.
    pub concerns: Vec<Addr>,
}

/// A line of the host that something is concluded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// The file or command that said it, so that a person can look there.
    pub source: String,
    /// What it said; shortened to what matters.
    pub text: String,
}

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "fix", rename_all = "kebab-case")]
pub enum Fix {
    /// `infra prepare` does it.
    Prepare {
        /// What of it.
        mend: Mend,
    },
    /// A command to run on the host.
    Run {
        /// As one types it.
        command: String,
    },
    /// An edit of the inventory.
    Edit {
        /// Where: `hosts.hq.gpus.rtx4090.address`.
        path: String,
        /// What to write there.
        value: String,
    },
    /// Something for hands: firmware settings, a card in another slot.
    ByHand {
        /// What, in one line without a period.
        what: String,
    },
}

/// What `infra prepare` can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mend {
    /// The kernel's command line, in the place that the boot loader reads.
    KernelCommandLine,
    /// Modules that are loaded at boot.
    Modules,
    /// Which driver takes which device: `modprobe.d`.
    Modprobe,
    /// The initial RAM disk is made anew.
    Initramfs,
    /// The limit of ZFS's cache.
    ArcLimit,
    /// Kernel settings.
    Sysctl,
    /// Packages of the host.
    Packages,
    /// The dataset below which guests' datasets are made.
    ParentDataset,
    /// A reboot.
    Reboot,
}

impl Mend {
    /// What it is, to follow "`infra prepare` sees to".
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::KernelCommandLine => "the kernel's command line",
            Self::Modules => "the modules that are loaded at boot",
            Self::Modprobe => "which driver takes which device",
            Self::Initramfs => "the initial RAM disk",
            Self::ArcLimit => "the limit of ZFS's cache",
            Self::Sysctl => "kernel settings",
            Self::Packages => "the host's packages",
            Self::ParentDataset => "the dataset below which guests' datasets are made",
            Self::Reboot => "the reboot",
        }
    }
}

impl Finding {
    fn new(verdict: Verdict, summary: impl Into<String>) -> Self {
        Self {
            verdict,
            object: None,
            summary: summary.into(),
            evidence: Vec::new(),
            fixes: Vec::new(),
            concerns: Vec::new(),
        }
    }

    /// It is as it should be.
    pub fn pass(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, summary)
    }

    /// It works, but not as well or not for long.
    pub fn warn(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, summary)
    }

    /// It cannot work, or would do harm.
    pub fn fail(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, summary)
    }

    /// It does not apply to this object.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped, why)
    }

    /// Nobody can tell about this object.
    pub fn blind(why: impl Into<String>) -> Self {
        Self::new(Verdict::CouldNotRun, why)
    }

    /// About this object.
    #[must_use]
    pub fn about(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Concluded from this.
    #[must_use]
    pub fn seen(mut self, source: impl Into<String>, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence { source: source.into(), text: text.into() });
        self
    }

    /// To be mended so; a better way is named before a worse one.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    /// Only steps of this resource need it.
    #[must_use]
    pub fn concerns(mut self, addrs: impl IntoIterator<Item = Addr>) -> Self {
        self.concerns.extend(addrs);
        self
    }
}

/// What to do, in one line without a period.
impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare { mend } => write!(f, "`infra prepare` sees to {}", mend.what()),
            Self::Run { command } => write!(f, "run `{command}`"),
            Self::Edit { path, value } => write!(f, "write `{path}: {value}` into the inventory"),
            Self::ByHand { what } => f.write_str(what),
        }
    }
}

impl Fix {
    /// `infra prepare` does it.
    #[must_use]
    pub fn prepare(mend: Mend) -> Self {
        Self::Prepare { mend }
    }

    /// A command to run on the host.
    pub fn run(command: impl Into<String>) -> Self {
        Self::Run { command: command.into() }
    }

    /// An edit of the inventory.
    pub fn edit(path: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Edit { path: path.into(), value: value.into() }
    }

    /// Something for hands.
    pub fn by_hand(what: impl Into<String>) -> Self {
        Self::ByHand { what: what.into() }
    }
}
