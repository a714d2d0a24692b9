//! Flags that several verbs share, and the list of verbs.

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::commands;
use crate::exec;
use crate::model::{Addr, HostName};
use crate::ui::ColourChoice;

/// Take bare Proxmox VE hosts to a private, isolated AI server
///
/// What should be is written in an inventory. `infra plan` shows what would change on the hosts and why,
/// `infra apply` makes it so and proves that it is. With `--lab` both work on a simulated host inside
/// this program.
#[derive(Debug, Parser)]
#[command(name = "infra", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = EXITS, after_long_help = EXITS)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXITS: &str = "\
Exit codes: 0 fine, nothing pending; 1 failed or refused; 2 changes pending, with --detailed-exitcode \
only; 3 failed and rolled back; 4 rollback incomplete; 64 wrong usage; 130 interrupted.

Example: infra apply --lab -i inventories/vrooli --yes";

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

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Validate(commands::validate::Args),
    Plan(commands::plan::Args),
    Apply(commands::apply::Args),
    Status(commands::status::Args),
    Destroy(commands::destroy::Args),
    History(commands::history::Args),
    Lab(commands::lab::Args),
    Schema(commands::schema::Args),
    Completions(commands::completions::Args),
    Docs(commands::docs::Args),
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
    /// Work on a simulated host in this program, made of the inventory's hardware or of a scenario file;
    /// its world is kept in the state directory
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
}

/// How a plan is carried out.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    /// Do not ask. Does not cover losing data: that is allowed by name with `--allow-destroy`
    #[arg(short, long)]
    pub yes: bool,
    /// How many steps run at once
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallelism: u8,
    /// What happens to what was done when a step fails
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub on_failure: OnFailure,
    /// How many seconds to wait for somebody else's run to end
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub lock_wait: u64,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What happens to what was done when a step fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OnFailure {
    /// It is taken back
    #[default]
    Rollback,
    /// It stands; applying again goes on from there
    Keep,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_a_summary_and_an_example() {
        fn look(command: &clap::Command, path: &str) {
            for verb in command.get_subcommands() {
                let path = format!("{path} {}", verb.get_name());
                assert!(verb.get_about().is_some(), "`{path}` has no summary");
                if verb.has_subcommands() {
                    look(verb, &path);
                } else {
                    let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                    assert!(help.contains(&format!("Example: {}", path.trim())), "`{path}` has no example");
                }
            }
        }
        look(&Cli::command(), "infra");
    }
}
