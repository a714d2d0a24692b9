//! From the command line to an exit code.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use super::command_line::Command;
use super::{Cli, CommandError, Exit, commands, error};
use crate::ui::{ColourChoice, Terminal, Writer, diagnostics_text};

/// Runs the program. Parses before it does anything else, so that `--version` reads no file and starts
/// no runtime.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let mut writer = Writer::for_process(cli.global.color);
    log_to_stderr(cli.global.verbose, writer.err());
    let exit = match dispatch(cli.command, cli.global.verbose, &mut writer) {
        Ok(exit) => exit,
        Err(error) => {
            tell(&error, &mut writer);
            error.exit
        }
    };
    exit.into()
}

fn dispatch(command: Command, verbose: u8, writer: &mut Writer) -> Result<Exit, CommandError> {
    match command {
        Command::Init(args) => commands::init::run(&args, writer),
        Command::Images(args) => block_on(commands::images::run(&args, writer)),
        Command::Validate(args) => commands::validate::run(&args, writer),
        Command::Render(args) => commands::render::run(&args, writer),
        Command::Prepare(args) => block_on(commands::prepare::run(&args, verbose, writer)),
        Command::Deploy(args) => block_on(commands::deploy::run(&args, verbose, writer)),
        Command::Rollback(args) => block_on(commands::rollback::run(&args, verbose, writer)),
        Command::Verify(args) => block_on(commands::verify::run(&args, writer)),
        Command::Preflight(args) => block_on(commands::preflight::run(&args, writer)),
        Command::Plan(args) => block_on(commands::plan::run(&args, writer)),
        Command::Apply(args) => block_on(commands::apply::run(&args, verbose, writer)),
        Command::Status(args) => block_on(commands::status::run(&args, writer)),
        Command::Logs(args) => block_on(commands::logs::run(&args, writer)),
        Command::Ssh(args) => block_on(commands::ssh::run(&args, writer)),
        Command::Graph(args) => block_on(commands::graph::run(&args, writer)),
        Command::Can(args) => block_on(commands::can::run(&args, writer)),
        Command::Destroy(args) => block_on(commands::destroy::run(&args, verbose, writer)),
        Command::History(args) => commands::history::run(&args, writer),
        Command::Secrets(args) => block_on(commands::secrets::run(&args, writer)),
        Command::Unlock(args) => block_on(commands::unlock::run(&args, writer)),
        Command::Lab(args) => block_on(commands::lab::run(&args, writer)),
        Command::Schema(args) => commands::schema::run(&args, writer),
        Command::Completions(args) => commands::completions::run(&args, Cli::command(), writer),
        Command::Docs(args) => commands::docs::run(&args, Cli::command()),
    }
}

/// The runtime lives only as long as a command that needs one.
fn block_on(command: impl Future<Output = Result<Exit, CommandError>>) -> Result<Exit, CommandError> {
    tokio::runtime::Runtime::new().map_err(|e| error::runtime(&e))?.block_on(command)
}

/// Help and version are answers; everything else that clap says is a wrong usage.
fn usage(error: &clap::Error) -> Exit {
    let mut writer = Writer::for_process(ColourChoice::Auto);
    let text = |terminal: Terminal| {
        let styled = error.render();
        if terminal.colour { styled.ansi().to_string() } else { styled.to_string() }
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match writer.answer(&text(writer.out())) {
            Ok(()) => Exit::Fine,
            Err(_) => Exit::Failed,
        },
        _ => {
            writer.tell(&text(writer.err()));
            Exit::Usage
        }
    }
}

fn tell(error: &CommandError, writer: &mut Writer) {
    let terminal = writer.err();
    writer.tell(&diagnostics_text(&error.diagnostics, &error.sources, &terminal));
}

fn log_to_stderr(verbose: u8, terminal: Terminal) {
    let level = match verbose {
        0 => return,
        1 => "infra=debug",
        2 => "infra=trace",
        _ => "debug,infra=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(terminal.colour)
        .init();
}
