//! `infra validate`: every problem of an inventory, without asking a host.

use crate::cli::args::InventoryArgs;
use crate::cli::{CommandError, Exit, load};
use crate::ui::{Role, Writer, plural, problem_text};

/// Check an inventory: every problem at once, each with its place; no host is asked
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra validate -i inventories/vrooli")]
pub struct Args {
    #[command(flatten)]
    inventory: InventoryArgs,
}

pub fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let read = load::read(&args.inventory)?;
    let terminal = writer.out();
    let mut out = String::new();
    for diagnostic in &read.diagnostics {
        if let Some(label) = &diagnostic.primary {
            let place = read.sources.place(label.span);
            out.push_str(&format!("{}:{}:{}\n", place.file, place.line, place.column));
        }
        out.push_str(&problem_text(diagnostic, &terminal));
    }
    let warnings = plural(read.diagnostics.warning_count(), "warning", "warnings");
    let exit = match &read.blueprint {
        Some(blueprint) if !read.diagnostics.has_errors() => {
            let fine = terminal.paint(Role::Good, format!("{} is sound", blueprint.name));
            let hosts = plural(blueprint.hosts.len(), "host", "hosts");
            let guests = plural(blueprint.guests.len(), "guest", "guests");
            out.push_str(&format!("{fine}: {hosts}, {guests}, {warnings}\n"));
            Exit::Fine
        }
        _ => {
            let errors = plural(read.diagnostics.error_count(), "error", "errors");
            out.push_str(&format!("{}, {warnings}\n", terminal.paint(Role::Bad, errors)));
            Exit::Failed
        }
    };
    writer.answer(&out)?;
    Ok(exit)
}
