//! `infra completions`: what a shell needs to complete this program's command line.

use clap::Command;
use clap_complete::Shell;

use crate::cli::{CommandError, Exit};
use crate::ui::Writer;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra completions bash > ~/.local/share/bash-completion/completions/infra")]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Args, mut command_line: Command, writer: &mut Writer) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command_line, "infra", &mut script);
    writer.answer(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
