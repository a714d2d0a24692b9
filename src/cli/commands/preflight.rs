//! `infra preflight`: whether hosts are fit for what the inventory asks of them.

use clap::ValueEnum;

use crate::checks::{CHECKS, Check};
use crate::cli::args::{AllowArgs, HostArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::planning::Intent;
use crate::cli::{CommandError, Exit, hardware, judging};
use crate::model::HostName;
use crate::ui::reports::{PreflightDocument, preflight_github, preflight_junit, preflight_sarif};
use crate::ui::{Detail, Writer, explain_text, json, preflight_text};

/// Look whether hosts are fit for what the inventory asks of them; nothing is changed
///
/// Every host is read in one round trip over SSH and through its API, and held against what is known to go wrong.
/// Each check passes, warns, fails, is skipped as it does not apply, or could not run as something could not be
/// read. Exits with 1 when one fails or a host does not answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra preflight --lab -i inventories/vrooli
         infra preflight --explain iommu-off")]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Only this host; may be given several times
    #[arg(long, value_name = "HOST")]
    limit: Vec<HostName>,
    /// Only this check; may be given several times
    #[arg(long, value_name = "ID")]
    check: Vec<String>,
    /// Print what is known about a check, and ask no host
    #[arg(long, value_name = "ID", conflicts_with_all = ["check", "limit", "full", "strict", "output", "write"])]
    explain: Option<String>,
    /// Record the GPUs and versions of the hosts next to the inventory; later runs say what changed
    #[arg(long)]
    write: bool,
    /// Show what passed and what was skipped as well
    #[arg(long)]
    full: bool,
    /// Exit with 1 when something warns or could not run, too
    #[arg(long)]
    strict: bool,
    /// Form of the answer on stdout
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    output: Form,
}

/// The form of what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person
    #[default]
    Human,
    /// One JSON document
    Json,
    /// The same on one line
    Jsonl,
    /// For code scanning
    Sarif,
    /// For test reports
    Junit,
    /// For the log of GitHub Actions
    Github,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    if let Some(id) = &args.explain {
        for check in judging::named(std::slice::from_ref(id))? {
            writer.answer(&explain_text(check, &writer.out()))?;
        }
        return Ok(Exit::Fine);
    }
    let checks = chosen(&args.check)?;
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, &checks, &context, writer).await;
    context.close().await;
    ended
}

async fn within(
    args: &Args,
    checks: &[&'static Check],
    context: &Context,
    writer: &mut Writer,
) -> Result<Exit, CommandError> {
    let select = SelectArgs { limit: args.limit.clone(), ..SelectArgs::default() };
    let intent = Intent::new(&select, &AllowArgs::default(), &context.blueprint)?;
    let observed = context.observe_in_one_go(&intent.scope).await;
    let preflight = judging::preflight(context, &observed, &intent, checks)?;
    let answer = match args.output {
        Form::Human => {
            let detail = if args.full { Detail::Full } else { Detail::Usual };
            preflight_text(&preflight, detail, &writer.out())
        }
        Form::Json => json::pretty(&PreflightDocument::from(&preflight))?,
        Form::Jsonl => json::line(&PreflightDocument::from(&preflight))?,
        Form::Sarif => json::pretty(&preflight_sarif(&preflight, &context.sources))?,
        Form::Junit => preflight_junit(&preflight),
        Form::Github => preflight_github(&preflight, &context.sources),
    };
    writer.answer(&answer)?;
    let recorded = !args.write || hardware::write(context, &observed, &intent, writer)?;
    let counts = preflight.counts();
    let strictly = args.strict && counts.warn + counts.could_not_run > 0;
    Ok(if preflight.is_unfit() || strictly || !recorded { Exit::Failed } else { Exit::Fine })
}

/// The checks that are named, in the order of the list; all where none is.
fn chosen(ids: &[String]) -> Result<Vec<&'static Check>, CommandError> {
    let named = judging::named(ids)?;
    let meant = |check: &Check| ids.is_empty() || named.iter().any(|named| named.id == check.id);
    Ok(CHECKS.iter().copied().filter(|check| meant(check)).collect())
}
