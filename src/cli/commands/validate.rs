//! `infra validate`: every problem of an inventory, without asking a host.

use clap::ValueEnum;

use crate::cli::args::InventoryArgs;
use crate::cli::{CommandError, Exit, load};
use crate::isolation;
use crate::ui::{Role, Terminal, Writer, diagnostics_text, json, plural, reports};

/// Check an inventory: every problem at once, each with its place; no host is asked
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra validate -i inventories/vrooli")]
pub struct Args {
    #[command(flatten)]
    inventory: InventoryArgs,
    /// Form of the answer on stdout
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    output: Form,
}

/// The form of a list of problems.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person
    #[default]
    Human,
    /// One JSON document
    Json,
    /// For code scanning
    Sarif,
    /// For test reports
    Junit,
    /// For the log of GitHub Actions
    Github,
}

pub fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let mut read = load::read(&args.inventory)?;
    // What contradicts itself otherwise is not worth an answer about who reaches whom.
    if let Some(blueprint) = read.blueprint.as_ref().filter(|_| !read.diagnostics.has_errors()) {
        read.diagnostics.extend(isolation::problems(blueprint));
        read.diagnostics.sort_by_place();
    }
    let (problems, sources) = (&read.diagnostics, &read.sources);
    let answer = match args.output {
        Form::Human => human(&read, &writer.out()),
        Form::Json => json::pretty(&reports::diagnostics_document(problems, sources))?,
        Form::Sarif => json::pretty(&reports::sarif(problems, sources))?,
        Form::Junit => reports::junit(problems, sources),
        Form::Github => reports::github(problems, sources),
    };
    writer.answer(&answer)?;
    Ok(if read.blueprint.is_some() && !problems.has_errors() { Exit::Fine } else { Exit::Failed })
}

fn human(read: &load::Read, terminal: &Terminal) -> String {
    let mut out = diagnostics_text(&read.diagnostics, &read.sources, terminal);
    if let Some(blueprint) = read.blueprint.as_ref().filter(|_| !read.diagnostics.has_errors()) {
        let sound = terminal.paint(Role::Good, format!("{} is sound", blueprint.name));
        let hosts = plural(blueprint.hosts.len(), "host", "hosts");
        let guests = plural(blueprint.guests.len(), "guest", "guests");
        out.push_str(&format!("{sound}: {hosts}, {guests}\n"));
    }
    out
}
