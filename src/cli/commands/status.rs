//! `infra status`: hosts and guests as they are.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::args::{AllowArgs, HostArgs, Output, OutputArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::planning::{self, Intent};
use crate::cli::{CommandError, Exit};
use crate::model::HostName;
use crate::ui::{Status, Writer, json, plural, status_text};

/// Show hosts and guests of the inventory as they are, one line each
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra status --lab -i inventories/vrooli --watch")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Only this host and what is on it; may be given several times
    #[arg(long, value_name = "HOST")]
    limit: Vec<HostName>,
    /// Look again every few seconds until interrupted; on a terminal in place of what was shown before
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5", require_equals = true,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Moves to the upper left corner and empties the screen (ECMA-48).
const CLEAR: &str = "\x1b[H\x1b[2J";

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = tokio::select! {
        ended = watched(args, &context, writer) => ended,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    };
    context.close().await;
    ended
}

async fn watched(args: &Args, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    loop {
        let (answer, exit) = looked(args, context, writer).await?;
        let in_place = args.watch.is_some() && args.output.output == Output::Human && writer.is_interactive();
        writer.answer(&if in_place { format!("{CLEAR}{answer}") } else { answer })?;
        match args.watch {
            None => return Ok(exit),
            Some(seconds) => context.clock.sleep(Duration::from_secs(seconds)).await,
        }
    }
}

async fn looked(args: &Args, context: &Context, writer: &mut Writer) -> Result<(String, Exit), CommandError> {
    let select = SelectArgs { limit: args.limit.clone(), ..SelectArgs::default() };
    let intent = Intent::new(&select, &AllowArgs::default(), &context.blueprint)?;
    let observed = context.observe(&intent.scope).await;
    let drifted = match planning::from_observed(context, &observed, &intent) {
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
    let seen = status.hosts.iter().any(|host| host.state != "unknown");
    Ok((answer, if seen { Exit::Fine } else { Exit::Failed }))
}
