//! `infra plan`: what would change and why.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::args::{AllowArgs, CheckArgs, DEFAULT_PARALLELISM, HostArgs, Output, OutputArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::planning::{self, Intent};
use crate::cli::{CommandError, Exit, error, judging, rehearsing};
use crate::plan::Plan;
use crate::rehearsal::Verdict;
use crate::ui::json::{self, PlanDocument};
use crate::ui::{Detail, Writer, plan_text, rehearsal_text};

/// Show what would change on the hosts and why; nothing is changed
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra plan --lab -i inventories/vrooli --detailed-exitcode
         infra plan -i inventories/vrooli --rehearse")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    select: SelectArgs,
    /// Put services and models into the guests as well, as `infra deploy` does into those that run
    #[arg(long)]
    deploy: bool,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    checks: CheckArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Show every field and the differences of texts
    #[arg(long)]
    full: bool,
    /// Save the plan; `infra apply FILE` carries it out as long as it fits
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// Carry the plan out on a twin of the hosts, made of what was read from them, and show what would fail
    /// and how long it takes; exit with 1 unless all of it works and a second plan is empty
    #[arg(long)]
    rehearse: bool,
    /// Exit with 2 when changes are pending
    #[arg(long)]
    detailed_exitcode: bool,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let intent = Intent::new(&args.select, &args.allow, &context.blueprint)?.deploying(args.deploy);
    let (observed, mut plan) = planning::look_and_plan(&context, &intent).await?;
    judging::hold(&context, &observed, &intent, &mut plan, &args.checks)?;
    if let Some(path) = &args.out {
        save(&plan, path)?;
    }
    let detail = if args.full { Detail::Full } else { Detail::Usual };
    let report = match args.rehearse && !plan.is_empty() {
        true => Some(rehearsing::run(&context, &intent, &observed, &plan, DEFAULT_PARALLELISM)?),
        false => None,
    };
    let document = || PlanDocument { rehearsal: report.as_ref().map(Into::into), ..PlanDocument::from(&plan) };
    let answer = match args.output.output {
        Output::Human => {
            let text = plan_text(&plan, context.blueprint.hosts.len(), detail, &writer.out());
            let rehearsed = report.as_ref().map(|report| format!("\n{}", rehearsal_text(report, &writer.out())));
            text + &rehearsed.unwrap_or_default()
        }
        Output::Json => json::pretty(&document())?,
        Output::Jsonl => json::line(&document())?,
    };
    writer.answer(&answer)?;
    context.close().await;
    if report.is_some_and(|report| report.verdict() != Verdict::Clean) {
        return Ok(Exit::Failed);
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Exit::Pending } else { Exit::Fine })
}

/// Saves a plan for nobody else to read: it holds what guests are set up with.
fn save(plan: &Plan, path: &Utf8Path) -> Result<(), CommandError> {
    let text = json::pretty(plan)?;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| error::file("written", path, &e))
}
