//! `infra rollback`: puts the files of hosts back as they were before a run of `infra prepare`.

use crate::cli::args::{AllowArgs, HostArgs, Output, RunArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::execution::{self, Execution};
use crate::cli::planning::Intent;
use crate::cli::verb::Verb;
use crate::cli::{CommandError, Exit, consent, lease};
use crate::diag::{Diagnostic, did_you_mean};
use crate::event::{RunId, RunState};
use crate::exec::journal;
use crate::resources::Part;
use crate::ui::{Detail, Writer, plan_text};

/// Put the files of hosts back, byte for byte, as they were before a run of `infra prepare`
///
/// The loader and the initial RAM disk are made anew from them. Runs of `infra apply` are not taken back yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra rollback --lab -i inventories/vrooli --yes")]
pub struct Args {
    /// The run, as `infra history` lists it; the last one of `prepare` unless given
    #[arg(value_name = "RUN")]
    of: Option<String>,
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    select: SelectArgs,
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

async fn within(args: &Args, verbose: u8, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let run = meant(args.of.as_deref(), &journal::history(&context.state, &context.blueprint.name)?)?;
    let mut intent = Intent::new(&args.select, &AllowArgs::default(), &context.blueprint)?;
    intent.run = Some(run.clone());
    intent.scope.part = Part::Hosts;
    let plan = Verb::Rollback.plan(context, &intent).await?;
    let output = args.run.output.output;
    if output == Output::Human && plan.is_empty() && plan.gaps.is_empty() {
        writer.answer(&format!("Nothing to take back: every file is as it was before run {run}.\n"))?;
    } else if output == Output::Human {
        let detail = if args.full { Detail::Full } else { Detail::Usual };
        writer.answer(&plan_text(&plan, context.blueprint.hosts.len(), detail, &writer.out()))?;
    }
    if plan.is_empty() {
        lease::tidy(context, &intent.scope, Verb::Rollback, writer).await?;
        execution::answer_unchanged(&plan, Verb::Rollback, output, writer)?;
        return Ok(if plan.gaps.is_empty() { Exit::Fine } else { Exit::Failed });
    }
    if !args.run.yes && !consent::given(&plan, Verb::Rollback, writer)? {
        writer.tell("Nothing was changed.\n");
        return Ok(Exit::Failed);
    }
    let execution = Execution {
        context,
        intent: &intent,
        verb: Verb::Rollback,
        plan: &plan,
        args: &args.run,
        rehearsal: None,
        lines: verbose > 0,
    };
    let exit = execution.run(writer).await?;
    if exit == Exit::Fine {
        let running = plan.steps.iter().any(|step| {
            let host = context.blueprint.hosts.get(&step.host);
            host.is_some() && step.exclusive.iter().any(|name| name.ends_with("/boot"))
        });
        if running {
            writer.tell("What the running kernel was started with stays until the next boot.\n");
        }
    }
    Ok(if exit == Exit::Fine && !plan.gaps.is_empty() { Exit::Failed } else { exit })
}

/// The run that is to be taken back.
fn meant(named: Option<&str>, history: &[(RunId, RunState)]) -> Result<RunId, CommandError> {
    let prepares = || history.iter().filter(|(_, state)| state.verb == Verb::Prepare.as_str());
    let Some(named) = named else {
        return match prepares().next_back() {
            Some((run, _)) => Ok(run.clone()),
            None => Err(Diagnostic::error("rollback.no-run", "no run of `infra prepare` is known here")
                .hint("journals are in the state directory of the machine that ran it: `--state-dir`")
                .into()),
        };
    };
    if let Some((run, state)) = history.iter().find(|(run, _)| run.0 == named) {
        if state.verb == Verb::Prepare.as_str() {
            return Ok(run.clone());
        }
        return Err(Diagnostic::error("rollback.verb", format!("run `{named}` is one of `infra {}`", state.verb))
            .cause("only runs of `infra prepare` can be taken back yet")
            .hint("`infra history` lists runs with their verbs")
            .into());
    }
    let known: Vec<&str> = prepares().map(|(run, _)| run.0.as_str()).collect();
    Err(Diagnostic::error("cli.unknown-run", format!("there is no run `{named}`"))
        .hint(did_you_mean(named, known.iter().copied()).unwrap_or_else(|| "`infra history` lists them".to_owned()))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_of_prepare_is_meant_and_no_other_verb() {
        let run =
            |id: &str, verb: &str| (RunId(id.to_owned()), RunState { verb: verb.to_owned(), ..RunState::default() });
        let history = [run("1", "prepare"), run("2", "prepare"), run("3", "apply"), run("4", "rollback")];
        assert_eq!(meant(None, &history).unwrap().0, "2");
        assert_eq!(meant(Some("1"), &history).unwrap().0, "1");
        assert!(meant(Some("3"), &history).is_err());
        assert!(meant(Some("9"), &history).is_err());
        assert!(meant(None, &history[2..]).is_err());
    }
}
