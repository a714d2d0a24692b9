//! `infra destroy`: removes what is ours.

use crate::cli::args::{HostArgs, Output, RunArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::execution::{self, Execution};
use crate::cli::planning::{self, Intent};
use crate::cli::verb::Verb;
use crate::cli::{CommandError, Exit, consent, lease};
use crate::model::Addr;
use crate::ui::{Detail, Writer, plan_text, plural};

/// Remove everything of the inventory that is ours; what holds data only if it is named
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra destroy --lab --target ct.proj-x --allow-destroy ct.proj-x")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    select: SelectArgs,
    /// Allow that this very object is destroyed with its data; may be given several times. `--yes` does
    /// not stand in for it
    #[arg(long, value_name = "ADDR")]
    allow_destroy: Vec<Addr>,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: &Args, verbose: u8, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, verbose, &context, writer).await;
    context.close().await;
    ended
}

async fn within(args: &Args, verbose: u8, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let allow = crate::cli::args::AllowArgs {
        allow_destroy: args.allow_destroy.clone(),
        allow_replace: Vec::new(),
        take_over: Vec::new(),
    };
    let intent = Intent::new(&args.select, &allow, &context.blueprint)?;
    planning::quiet(context, &intent.scope, writer).await?;
    let plan = Verb::Destroy.plan(context, &intent).await?;
    let terminal = writer.out();
    match args.run.output.output {
        Output::Human if plan.is_empty() && plan.gaps.is_empty() => {
            let hosts = plural(context.blueprint.hosts.len(), "host", "hosts");
            writer.answer(&format!("Nothing to remove: nothing of it is ours on {hosts}.\n"))?;
        }
        Output::Human => {
            writer.answer(&plan_text(&plan, context.blueprint.hosts.len(), Detail::Usual, &terminal))?;
        }
        Output::Json | Output::Jsonl => {}
    }
    if plan.is_empty() {
        lease::tidy(context, &intent.scope, Verb::Destroy, writer).await?;
        execution::answer_unchanged(&plan, Verb::Destroy, args.run.output.output, writer)?;
        // What could not be looked at may still be there.
        return Ok(if plan.gaps.is_empty() { Exit::Fine } else { Exit::Failed });
    }
    if !args.run.yes && !consent::given(&plan, Verb::Destroy, writer)? {
        writer.tell("Nothing was changed.\n");
        return Ok(Exit::Failed);
    }
    let execution = Execution {
        context,
        intent: &intent,
        verb: Verb::Destroy,
        plan: &plan,
        args: &args.run,
        rehearsal: None,
        lines: verbose > 0,
    };
    execution.run(writer).await
}
