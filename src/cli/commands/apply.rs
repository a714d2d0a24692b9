//! `infra apply`: makes the hosts be what the inventory says, and proves that they are.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::args::{AllowArgs, CheckArgs, HostArgs, Output, RunArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::execution::{self, Execution};
use crate::cli::memory::remember;
use crate::cli::planning::{self, Intent};
use crate::cli::verb::Verb;
use crate::cli::{CommandError, Exit, consent, error, judging, lease, rehearsing};
use crate::diag::Diagnostic;
use crate::event::RunState;
use crate::model::Kind;
use crate::model::change::{Action, Change};
use crate::plan::{self, Plan};
use crate::rehearsal::{Report, Verdict};
use crate::resources::Allowed;
use crate::ui::json::{self, RunDocument};
use crate::ui::{Detail, RehearsalDocument, Writer, plan_text, rehearsal_text};

/// Make the hosts be what the inventory says, and prove that they are
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra apply --lab -i inventories/vrooli --yes
         infra apply p.json --rehearse")]
pub struct Args {
    /// Carry out this saved plan, if it still fits
    #[arg(value_name = "PLAN", conflicts_with_all = ["target", "limit", "allow_destroy", "allow_replace", "take_over"])]
    plan: Option<Utf8PathBuf>,
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    select: SelectArgs,
    /// Put services and models into the guests as well, as `infra deploy` does into those that run
    #[arg(long, conflicts_with = "plan")]
    deploy: bool,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    checks: CheckArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Carry the plan out on a twin of the hosts first, and on the hosts only if all of it worked there
    #[arg(long)]
    rehearse: bool,
    /// Show every field and the differences of texts
    #[arg(long)]
    full: bool,
}

pub async fn run(args: &Args, verbose: u8, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, verbose, &context, writer).await;
    context.close().await;
    ended
}

/// What a saved plan does is what was allowed when it was made, each for what becomes of it.
fn allowed_by(plan: &Plan) -> Allowed {
    let of = |wanted: &dyn Fn(&Change) -> bool| {
        plan.changes.iter().filter(|change| wanted(change)).map(|change| change.addr.clone()).collect()
    };
    Allowed {
        destroy: of(&|change| change.action == Action::Destroy),
        replace: of(&|change| change.action == Action::Replace),
        take_over: of(&|change| change.addr.kind == Kind::TailnetPolicy),
    }
}

async fn within(args: &Args, verbose: u8, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let saved = args.plan.as_deref().map(|path| read(path, context)).transpose()?;
    let intent = match &saved {
        None => Intent::new(&args.select, &args.allow, &context.blueprint)?.deploying(args.deploy),
        // What a saved plan destroys or replaces was allowed when it was made, and it is of that part only.
        Some(plan) => Intent { scope: plan.scope.clone(), allowed: allowed_by(plan), run: None },
    };
    planning::quiet(context, &intent.scope, writer).await?;
    let (observed, now) = planning::look_and_plan(context, &intent).await?;
    let mut plan = match saved {
        None => now,
        Some(saved) => {
            execution::refuse_stale(&saved, &now)?;
            saved
        }
    };
    judging::hold(context, &observed, &intent, &mut plan, &args.checks)?;
    let output = args.run.output.output;
    if output == Output::Human {
        let detail = if args.full { Detail::Full } else { Detail::Usual };
        writer.answer(&plan_text(&plan, context.blueprint.hosts.len(), detail, &writer.out()))?;
    }
    if plan.is_empty() {
        lease::tidy(context, &intent.scope, Verb::Apply, writer).await?;
        remember(context, &plan, &RunState::default(), Verb::Apply, None)?;
        execution::answer_unchanged(&plan, Verb::Apply, output, writer)?;
        return Ok(if plan.gaps.is_empty() { Exit::Fine } else { Exit::Failed });
    }
    let rehearsal = match args.rehearse {
        true => Some(rehearsing::run(context, &intent, &observed, &plan, args.run.parallelism)?),
        false => None,
    };
    if let Some(report) = &rehearsal
        && !rehearsed(report, &plan, output, writer)?
    {
        return Ok(Exit::Failed);
    }
    if !args.run.yes && !consent::given(&plan, Verb::Apply, writer)? {
        writer.tell("Nothing was changed.\n");
        return Ok(Exit::Failed);
    }
    let execution = Execution {
        context,
        intent: &intent,
        verb: Verb::Apply,
        plan: &plan,
        args: &args.run,
        rehearsal: rehearsal.as_ref(),
        lines: verbose > 0,
    };
    let exit = execution.run(writer).await?;
    execution::tell_gaps(&plan, output, writer);
    Ok(if exit == Exit::Fine && !plan.gaps.is_empty() { Exit::Failed } else { exit })
}

/// Shows a rehearsal; whether it was clean.
fn rehearsed(report: &Report, plan: &Plan, output: Output, writer: &mut Writer) -> Result<bool, CommandError> {
    let clean = report.verdict() == Verdict::Clean;
    let document = || RunDocument::not_rehearsed(&plan.inventory, lease::operator(), report.into());
    match output {
        Output::Human => writer.answer(&format!("\n{}\n", rehearsal_text(report, &writer.out())))?,
        Output::Json if !clean => writer.answer(&json::pretty(&document())?)?,
        Output::Jsonl if !clean => writer.answer(&json::line(&document())?)?,
        // With what came of the run.
        Output::Json => {}
        Output::Jsonl => {
            writer.answer(&json::line(&serde_json::json!({ "rehearsal": RehearsalDocument::from(report) }))?)?
        }
    }
    if !clean {
        writer.tell("Nothing was changed: the rehearsal was not clean.\n");
    }
    Ok(clean)
}

/// Reads a saved plan and holds it against its format, this inventory and itself.
fn read(path: &Utf8Path, context: &Context) -> Result<Plan, CommandError> {
    let refuse = |why: String| {
        CommandError::from(
            Diagnostic::error("plan.file", format!("`{path}` is not a plan that can be applied"))
                .cause(why)
                .hint("make one with `infra plan --out FILE`"),
        )
    };
    let text = std::fs::read_to_string(path).map_err(|e| error::file("read", path, &e))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| refuse(format!("it is not JSON: {e}")))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(Plan::FORMAT.into()) {
        let has = format.map_or("no format".to_owned(), |format| format!("format {format}"));
        return Err(refuse(format!("it has {has}; this program reads format {}", Plan::FORMAT)));
    }
    // Before it is read in full: what another version wrote may not even have the same shape.
    let (made_by, this) = (value.get("infra").and_then(serde_json::Value::as_str), env!("CARGO_PKG_VERSION"));
    if made_by != Some(this) {
        let made_by = made_by.unwrap_or("an unknown version");
        return Err(refuse(format!(
            "infra {made_by} made it, and this is infra {this}, which may take other steps for the same change"
        )));
    }
    let plan: Plan = serde_json::from_value(value).map_err(|e| refuse(e.to_string()))?;
    if plan.inventory != context.blueprint.name {
        return Err(refuse(format!(
            "it is of `{}`, and this inventory is `{}`",
            plan.inventory, context.blueprint.name
        )));
    }
    let contradictions = plan::lint(&plan);
    if contradictions.has_errors() { Err(contradictions.into()) } else { Ok(plan) }
}
