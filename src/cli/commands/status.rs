//! `infra status`: hosts and guests as they are.

use std::collections::BTreeSet;

use crate::cli::args::{AllowArgs, HostArgs, Output, OutputArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::planning::{self, Intent};
use crate::cli::{CommandError, Exit};
use crate::model::HostName;
use crate::ui::{Status, Writer, json, plural, status_text};

/// Show hosts and guests of the inventory as they are, one line each
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra status --lab -i inventories/vrooli")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Only this host and what is on it; may be given several times
    #[arg(long, value_name = "HOST")]
    limit: Vec<HostName>,
    #[command(flatten)]
    output: OutputArgs,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let select = SelectArgs { limit: args.limit.clone(), ..SelectArgs::default() };
    let intent = Intent::new(&select, &AllowArgs::default(), &context.blueprint)?;
    let observed = context.observe(&intent.scope).await;
    let drifted = match planning::from_observed(&context, &observed, &intent) {
        Ok(plan) => plan.changes.into_iter().filter(|change| change.drift).map(|change| change.addr).collect(),
        Err(error) => {
            let count = plural(error.diagnostics.error_count(), "problem stands", "problems stand");
            writer.tell(&format!("{count} in the way of a plan, so drift is not known; `infra plan` shows more\n"));
            BTreeSet::new()
        }
    };
    for (host, there) in &observed.hosts {
        if let Some((guard, _)) = there.entrance.pending() {
            writer.tell(&format!("{host} is about to take back a change that nobody confirmed ({guard})\n"));
        }
    }
    let mut status = Status::of(&context.blueprint, &observed, &drifted);
    if !args.limit.is_empty() {
        let guests = context.blueprint.guests.values().filter(|guest| args.limit.contains(&guest.host));
        let guests: BTreeSet<&str> = guests.map(|guest| guest.name.as_str()).collect();
        status.guests.retain(|guest| guests.contains(guest.name.as_str()));
        status.hosts.retain(|host| args.limit.iter().any(|limit| limit.as_str() == host.name));
    }
    let answer = match args.output.output {
        Output::Human => status_text(&status, &writer.out()),
        Output::Json => json::pretty(&status)?,
        Output::Jsonl => json::line(&status)?,
    };
    writer.answer(&answer)?;
    context.close().await;
    let seen = status.hosts.iter().any(|host| host.state != "unknown");
    Ok(if seen { Exit::Fine } else { Exit::Failed })
}
