//! The whole command line: flags of every verb, and the verbs.

use clap::{Parser, Subcommand};

use super::args::Global;
use super::commands;

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

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Init(commands::init::Args),
    Validate(commands::validate::Args),
    Render(commands::render::Args),
    Preflight(commands::preflight::Args),
    Verify(commands::verify::Args),
    Prepare(commands::prepare::Args),
    Plan(commands::plan::Args),
    Apply(commands::apply::Args),
    Deploy(commands::deploy::Args),
    Rollback(commands::rollback::Args),
    Status(commands::status::Args),
    Logs(commands::logs::Args),
    Ssh(commands::ssh::Args),
    Graph(commands::graph::Args),
    Can(commands::can::Args),
    Destroy(commands::destroy::Args),
    History(commands::history::Args),
    Secrets(commands::secrets::Args),
    Unlock(commands::unlock::Args),
    Images(commands::images::Args),
    Lab(commands::lab::Args),
    Schema(commands::schema::Args),
    Completions(commands::completions::Args),
    Docs(commands::docs::Args),
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
