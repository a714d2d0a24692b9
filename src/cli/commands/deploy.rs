//! `infra deploy`: Docker, services and models in guests that run, and nothing else.

use std::collections::BTreeSet;

use crate::blueprint::Blueprint;
use crate::cli::args::{AllowArgs, HostArgs, Output, RunArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::execution::{self, Execution};
use crate::cli::memory::remember;
use crate::cli::planning::{self, Intent};
use crate::cli::verb::Verb;
use crate::cli::{CommandError, Exit, consent, lease};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::event::RunState;
use crate::model::{Addr, Kind};
use crate::resources::{self, Part};
use crate::ui::{Detail, Writer, plan_text};

/// Bring services and models into guests that run: one after the other, each proved healthy or put back
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra deploy --lab -i inventories/privaxai --yes
         infra deploy --tags litellm --limit plan-hq")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Only these services and their models, such as `ollama,qdrant`
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    tags: Vec<String>,
    /// Only in this guest; may be given several times
    #[arg(long, value_name = "GUEST")]
    limit: Vec<String>,
    #[command(flatten)]
    run: RunArgs,
    /// Show every field and the differences of files
    #[arg(long)]
    full: bool,
}

pub async fn run(args: &Args, verbose: u8, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, verbose, &context, writer).await;
    context.close().await;
    ended
}

/// What is meant by `--tags` and `--limit`; everything by neither.
fn targets(args: &Args, blueprint: &Blueprint) -> Result<BTreeSet<Addr>, Diagnostics> {
    let mut problems = Diagnostics::new();
    let guests: BTreeSet<&str> = blueprint
        .guests
        .values()
        .filter(|guest| !guest.deployments.is_empty())
        .map(|guest| guest.name.as_str())
        .collect();
    let services: BTreeSet<&str> =
        blueprint.guests.values().flat_map(|guest| guest.deployments.keys()).map(|own| own.as_str()).collect();
    let mut look = |typed: &[String], known: &BTreeSet<&str>, flag: &'static str, what: &str| {
        for name in typed.iter().filter(|name| !known.contains(name.as_str())) {
            let hint = did_you_mean(name, known.iter().copied())
                .unwrap_or_else(|| format!("known are {}", known.iter().copied().collect::<Vec<_>>().join(", ")));
            problems.push(
                Diagnostic::error(
                    "cli.unknown-deployment",
                    format!("{flag}: there is no {what} `{}`", name.escape_debug()),
                )
                .hint(hint),
            );
        }
    };
    look(&args.limit, &guests, "--limit", "guest with services");
    look(&args.tags, &services, "--tags", "service in any guest");
    if !problems.is_empty() {
        return Err(problems);
    }
    if args.limit.is_empty() && args.tags.is_empty() {
        return Ok(BTreeSet::new());
    }
    let meant = |addr: &Addr| {
        let mut parts = addr.name.splitn(3, '/');
        let guest = parts.next().unwrap_or_default();
        let named = |list: &[String], name: &str| list.is_empty() || list.iter().any(|own| own == name);
        named(&args.limit, guest)
            && match addr.kind {
                Kind::Service | Kind::Model => named(&args.tags, parts.next().unwrap_or_default()),
                _ => args.tags.is_empty(),
            }
    };
    let all = resources::of(Part::Services, blueprint);
    let meant: BTreeSet<Addr> = all.iter().map(|resource| resource.addr()).filter(meant).collect();
    if meant.is_empty() {
        let problem = Diagnostic::error("cli.unknown-deployment", "none of these services is in any of these guests");
        return Err(problem.into());
    }
    Ok(meant)
}

async fn within(args: &Args, verbose: u8, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let mut intent = Intent::new(&SelectArgs::default(), &AllowArgs::default(), &context.blueprint)?;
    intent.scope.part = Part::Services;
    intent.scope.targets = targets(args, &context.blueprint)?;
    planning::quiet(context, &intent.scope, writer).await?;
    let plan = Verb::Deploy.plan(context, &intent).await?;
    let output = args.run.output.output;
    if output == Output::Human {
        let detail = if args.full { Detail::Full } else { Detail::Usual };
        writer.answer(&plan_text(&plan, context.blueprint.hosts.len(), detail, &writer.out()))?;
    }
    if plan.is_empty() {
        lease::tidy(context, &intent.scope, Verb::Deploy, writer).await?;
        remember(context, &plan, &RunState::default(), Verb::Deploy, None)?;
        execution::answer_unchanged(&plan, Verb::Deploy, output, writer)?;
        return Ok(if plan.gaps.is_empty() { Exit::Fine } else { Exit::Failed });
    }
    if !args.run.yes && !consent::given(&plan, Verb::Deploy, writer)? {
        writer.tell("Nothing was changed.\n");
        return Ok(Exit::Failed);
    }
    let execution = Execution {
        context,
        intent: &intent,
        verb: Verb::Deploy,
        plan: &plan,
        args: &args.run,
        rehearsal: None,
        lines: verbose > 0,
    };
    let exit = execution.run(writer).await?;
    execution::tell_gaps(&plan, output, writer);
    Ok(if exit == Exit::Fine && !plan.gaps.is_empty() { Exit::Failed } else { exit })
}
