//! `infra unlock`: takes a lease away from a run that does not give it back.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::args::HostArgs;
use crate::cli::context::Context;
use crate::cli::lease::{self, Seen};
use crate::cli::{CommandError, Exit};
use crate::diag::{Diagnostic, Diagnostics};
use crate::exec::lease::{LeaseError, Record, unlock};
use crate::plan::Scope;
use crate::ui::{Writer, confirm, moment};

/// Show who holds the lease of each site, and take it away
///
/// A lease expires by itself a minute after its owner was last heard of, and one of a process of this machine
/// that is gone is taken over at once: this is for the rest. A run that still goes on stops as soon as it
/// notices.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra unlock --lab -i inventories/vrooli")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, &context, writer).await;
    context.close().await;
    ended
}

async fn within(args: &Args, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let mut held = Vec::new();
    let mut problems = Diagnostics::new();
    for Seen { site, shell, record } in lease::look(context, &Scope::default()).await {
        match (shell, record) {
            (None, _) => writer.answer(&format!("{site}: no host of it has SSH, so it has no lease\n"))?,
            (Some(_), Err(error)) => problems.push(cannot("seen", &site, &error)),
            (Some(_), Ok(None)) => writer.answer(&format!("{site}: nobody holds the lease\n"))?,
            (Some(shell), Ok(Some(record))) => {
                writer.answer(&line(&site, &record))?;
                held.push((site, shell));
            }
        }
    }
    if !held.is_empty() && !args.yes {
        let question = if held.len() == 1 { "Take it away?" } else { "Take all of them away?" };
        if !confirm(writer, question, "--yes")? {
            writer.tell("Nothing was changed.\n");
            return Ok(Exit::Failed);
        }
    }
    for (site, shell) in held {
        match unlock(shell, Arc::clone(&context.clock), &context.blueprint.name).await {
            Ok(()) => writer.answer(&format!("{site}: the lease is free\n"))?,
            Err(error) => problems.push(cannot("taken away", &site, &error)),
        }
    }
    if problems.is_empty() { Ok(Exit::Fine) } else { Err(problems.into()) }
}

fn cannot(what: &str, site: &str, error: &LeaseError) -> Diagnostic {
    Diagnostic::error("run.lease", format!("the lease of {site} cannot be {what}"))
        .cause(error.to_string())
        .hint_maybe(error.hint())
}

/// One line about a lease that somebody holds.
fn line(site: &str, record: &Record) -> String {
    let heard = moment(Timestamp::from_second(record.heard).ok(), &TimeZone::system());
    let gone = match &record.owner.process {
        Some(process) if process.is_gone() => "; that process is gone",
        _ => "",
    };
    format!("{site}: held by {}, run {}, last heard of at {heard}{gone}\n", record.owner, record.owner.run)
}
