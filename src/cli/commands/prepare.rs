//! `infra prepare`: makes the hosts themselves fit for what the inventory asks of them.

use crate::blueprint::Blueprint;
use crate::cli::args::{AllowArgs, HostArgs, Output, RunArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::execution::{self, Execution};
use crate::cli::memory::remember;
use crate::cli::planning::{self, Intent};
use crate::cli::verb::Verb;
use crate::cli::{CommandError, Exit, consent, lease, reboot};
use crate::event::RunState;
use crate::model::HostName;
use crate::model::observed::Observed;
use crate::plan::{Plan, Scope};
use crate::resources::Part;
use crate::resources::host::reboot::pending;
use crate::ui::{Detail, Writer, plan_text};

/// Make the hosts themselves fit: kernel command line, modules, drivers, ZFS's cache, settings, packages
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra prepare --lab -i inventories/vrooli --yes
         infra prepare -i inventories/vrooli --limit hq --reboot")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Show every field and the differences of files
    #[arg(long)]
    full: bool,
    /// Only show what would change; nothing is changed
    #[arg(long, conflicts_with = "reboot")]
    dry_run: bool,
    /// Reboot hosts that need it: their guests are shut down in order, and started again by the host
    #[arg(long)]
    reboot: bool,
    /// How many seconds a host may take to come back
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(30..=7200))]
    reboot_limit: u64,
    /// Exit with 2 when changes are pending; with `--dry-run` only
    #[arg(long, requires = "dry_run")]
    detailed_exitcode: bool,
}

pub async fn run(args: &Args, verbose: u8, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, verbose, &context, writer).await;
    context.close().await;
    ended
}

async fn within(args: &Args, verbose: u8, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let mut intent = Intent::new(&args.select, &AllowArgs::default(), &context.blueprint)?;
    intent.scope.part = Part::Hosts;
    if !args.dry_run {
        planning::reverted(context, &intent.scope, writer).await?;
    }
    let plan = Verb::Prepare.plan(context, &intent).await?;
    let output = args.run.output.output;
    if output == Output::Human {
        let detail = if args.full { Detail::Full } else { Detail::Usual };
        writer.answer(&plan_text(&plan, context.blueprint.hosts.len(), detail, &writer.out()))?;
    }
    if args.dry_run {
        match output {
            Output::Human => {}
            Output::Json => writer.answer(&crate::ui::json::pretty(&crate::ui::json::PlanDocument::from(&plan))?)?,
            Output::Jsonl => writer.answer(&crate::ui::json::line(&crate::ui::json::PlanDocument::from(&plan))?)?,
        }
        return Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Pending } else { Exit::Fine });
    }
    let exit = match plan.is_empty() {
        true => unchanged(&plan, context, &intent, output, writer).await?,
        false => match carry_out(args, verbose, context, &intent, &plan, writer).await? {
            Some(exit) => exit,
            None => return Ok(Exit::Failed),
        },
    };
    if exit != Exit::Fine {
        return Ok(exit);
    }
    after(args, context, &intent.scope, writer).await
}

async fn unchanged(
    plan: &Plan,
    context: &Context,
    intent: &Intent,
    output: Output,
    writer: &mut Writer,
) -> Result<Exit, CommandError> {
    lease::tidy(context, &intent.scope, Verb::Prepare, writer).await?;
    remember(context, plan, &RunState::default(), Verb::Prepare, None)?;
    execution::answer_unchanged(plan, Verb::Prepare, output, writer)?;
    Ok(if plan.gaps.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// Asks, and carries the plan out; nothing if the answer was no.
async fn carry_out(
    args: &Args,
    verbose: u8,
    context: &Context,
    intent: &Intent,
    plan: &Plan,
    writer: &mut Writer,
) -> Result<Option<Exit>, CommandError> {
    if !args.run.yes && !consent::given(plan, Verb::Prepare, writer)? {
        writer.tell("Nothing was changed.\n");
        return Ok(None);
    }
    let execution =
        Execution { context, intent, verb: Verb::Prepare, plan, args: &args.run, rehearsal: None, lines: verbose > 0 };
    let exit = execution.run(writer).await?;
    execution::tell_gaps(plan, args.run.output.output, writer);
    Ok(Some(if exit == Exit::Fine && !plan.gaps.is_empty() { Exit::Failed } else { exit }))
}

/// Hosts in scope that need a reboot, with the reasons.
fn due(blueprint: &Blueprint, scope: &Scope, observed: &Observed) -> Vec<(HostName, Vec<String>)> {
    let hosts = blueprint.hosts.values().filter(|host| scope.hosts.is_empty() || scope.hosts.contains(&host.name));
    let reasons = hosts.map(|host| (host.name.clone(), pending(blueprint, host, observed)));
    reasons.filter(|(_, reasons)| !reasons.is_empty()).collect()
}

/// Says which hosts need a reboot and why, and reboots them if that was asked for.
async fn after(args: &Args, context: &Context, scope: &Scope, writer: &mut Writer) -> Result<Exit, CommandError> {
    let observed = context.observe(scope).await;
    let due = due(&context.blueprint, scope, &observed);
    for (host, reasons) in &due {
        let text = reasons.iter().map(|reason| format!("  {reason}\n")).collect::<String>();
        let text = format!("\nHost {host} needs a reboot:\n{text}");
        if args.run.output.output == Output::Human { writer.answer(&text)? } else { writer.tell(&text) }
    }
    if due.is_empty() {
        if args.reboot {
            writer.tell("No host needs a reboot.\n");
        }
        return Ok(Exit::Fine);
    }
    if !args.reboot {
        let limit = due.iter().map(|(host, _)| format!(" --limit {host}")).collect::<String>();
        writer.tell(&format!("`infra prepare --reboot{limit}` does it: guests are shut down in order first.\n"));
        return Ok(Exit::Fine);
    }
    reboot::all(context, &due, &args.run, args.reboot_limit, writer).await
}
