//! Flags that several verbs share.

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, ValueEnum};

use crate::exec;
use crate::model::{Addr, HostName};
use crate::ui::ColourChoice;

/// Flags of every verb.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// When to write in colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, help_heading = "Everywhere")]
    pub color: ColourChoice,
    /// Log to stderr what goes to hosts; twice for reads too, three times for connections
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Everywhere")]
    pub verbose: u8,
}

/// Which inventory.
#[derive(Debug, Clone, Args)]
pub(super) struct InventoryArgs {
    /// File or directory of the inventory; a later one overrides an earlier one key by key. Default:
    /// $INFRA_INVENTORY, else the only one under ./inventories
    #[arg(short, long, value_name = "PATH")]
    pub inventory: Vec<Utf8PathBuf>,
}

/// Where this program keeps what it must remember.
#[derive(Debug, Clone, Args)]
pub(super) struct StateArgs {
    /// Directory for journals, secrets and the lab's world
    #[arg(long, value_name = "DIR", env = "INFRA_STATE_DIR", hide_env_values = true, default_value = ".infra")]
    pub state_dir: Utf8PathBuf,
}

/// How hosts are reached.
#[derive(Debug, Clone, Args)]
pub(super) struct HostArgs {
    #[command(flatten)]
    pub inventory: InventoryArgs,
    #[command(flatten)]
    pub state: StateArgs,
    /// Work on a simulated host in this program, made of the inventory's hardware or of a scenario file, or on
    /// one that is broken in a known way (`broken/NAME`, several joined with `+`; `broken` lists them); its
    /// world is kept in the state directory
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true)]
    pub lab: Option<Option<Utf8PathBuf>>,
}

/// Which part of the inventory.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SelectArgs {
    /// Only this resource and what it needs, such as `ct.proj-x`; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub target: Vec<Addr>,
    /// Only what is on this host; may be given several times
    #[arg(long, value_name = "HOST")]
    pub limit: Vec<HostName>,
}

/// What may be lost.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct AllowArgs {
    /// Allow that this very object is destroyed with its data; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub allow_destroy: Vec<Addr>,
    /// Allow that this very object is removed and made anew; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub allow_replace: Vec<Addr>,
    /// Write over what somebody else changed in our section of this very object; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub take_over: Vec<Addr>,
}

/// Which checks are not heeded.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct CheckArgs {
    /// Go on although this very check fails, and note it in the plan; may be given several times
    #[arg(long, value_name = "ID")]
    pub ignore_check: Vec<String>,
}

/// How many steps run at once unless it is said.
pub(super) const DEFAULT_PARALLELISM: u8 = 4;

/// How a plan is carried out.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    /// Do not ask. Does not cover losing data: that is allowed by name with `--allow-destroy`
    #[arg(short, long)]
    pub yes: bool,
    /// How many steps run at once
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PARALLELISM, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallelism: u8,
    /// What happens to what was done when a step fails: keep unless given, and rollback with `deploy`
    #[arg(long, value_enum, value_name = "WHAT")]
    pub on_failure: Option<OnFailure>,
    /// How many seconds to wait for somebody else's run to end
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub lock_wait: u64,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What happens to what was done when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnFailure {
    /// It stands; applying again goes on from there
    Keep,
    /// It is taken back, the last step first
    Rollback,
}

impl From<OnFailure> for exec::OnFailure {
    fn from(on_failure: OnFailure) -> Self {
        match on_failure {
            OnFailure::Rollback => Self::Rollback,
            OnFailure::Keep => Self::Keep,
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For a person
    #[default]
    Human,
    /// One JSON document
    Json,
    /// JSON, one object per line
    Jsonl,
}

/// How an answer is written.
#[derive(Debug, Clone, Args)]
pub(super) struct OutputArgs {
    /// Form of the answer on stdout
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub output: Output,
}
