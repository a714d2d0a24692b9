//! Rebooting hosts after `infra prepare`: guests down in order, the new system up, its checks asked again.
//!
//! Owns what a person is told meanwhile, above all when a host does not come back; how it is done is
//! `exec::reboot`'s. Entry: [`all`].

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::{Output, RunArgs};
use super::context::Context;
use super::planning::{self, Intent};
use super::signals::Signals;
use super::verb::Verb;
use super::{CommandError, Exit, error, judging, lease};
use crate::checks::{CHECKS, Verdict};
use crate::diag::Diagnostic;
use crate::event::{RunId, RunOutcome, What};
use crate::exec::reboot::{self, RebootError};
use crate::exec::{Opening, Record, journal, render};
use crate::model::HostName;
use crate::model::step::{Op, Undo};
use crate::plan::{Memory, Plan, Scope};
use crate::resources::host::file_writes;
use crate::resources::host::reboot::pending;
use crate::ui::{Writer, confirm};

/// Reboots these hosts, one after the other; the first that fails is the last.
pub(super) async fn all(
    context: &Context,
    due: &[(HostName, Vec<String>)],
    args: &RunArgs,
    limit: u64,
    writer: &mut Writer,
) -> Result<Exit, CommandError> {
    let names: Vec<&str> = due.iter().map(|(host, _)| host.as_str()).collect();
    if !args.yes && !confirm(writer, &format!("Shut down the guests of {} and reboot?", names.join(", ")), "--yes")? {
        writer.tell("Nothing was rebooted.\n");
        return Ok(Exit::Failed);
    }
    for (host, reasons) in due {
        let exit = one(context, host, reasons, args, Duration::from_secs(limit), writer).await?;
        if exit != Exit::Fine {
            return Ok(exit);
        }
    }
    Ok(Exit::Fine)
}

async fn one(
    context: &Context,
    host: &HostName,
    reasons: &[String],
    args: &RunArgs,
    limit: Duration,
    writer: &mut Writer,
) -> Result<Exit, CommandError> {
    let scope = Scope { hosts: [host.clone()].into(), ..Scope::default() };
    let intent = Intent { scope: scope.clone(), ..Intent::default() };
    let run = RunId::new(context.clock.now(), fastrand::u64(..));
    let sites = lease::sites_of(&context.blueprint, [host]);
    let mut signals = Signals::listen()?;
    let wait = Duration::from_secs(args.lock_wait);
    // The heartbeat stops while the host is away; nobody else can take its lease then.
    let taking = lease::take(context, &sites, Verb::Prepare, &run, wait, CancellationToken::new(), writer);
    let leases = signals.or_interrupted(async { taking.await.map_err(|e| error::lease(&e)) }).await?;
    let opening = Opening { run, verb: "reboot".to_owned(), operator: lease::operator() };
    let plan = nothing(context, scope.clone());
    let mut record = Record::start(&context.state, &plan, opening, Arc::clone(&context.clock), |_| {})?;
    for reason in reasons {
        record.note(What::Note { message: reason.clone() })?;
    }
    let ended = signals.or_interrupted(carry_out(context, host, limit, &mut record, writer)).await;
    let outcome = match &ended {
        Ok(Ok(_)) => RunOutcome::Converged,
        Ok(Err(_)) => RunOutcome::Failed,
        Err(_) => RunOutcome::Interrupted,
    };
    record.finish(outcome)?;
    lease::give_back(leases, &mut signals, writer).await;
    match ended? {
        Ok(left) => {
            for vmid in &left {
                writer.tell(&format!("guest {vmid} ran before and does not run now; look at its task log\n"));
            }
            let fit = report(context, host, &intent, args.output.output, writer).await?;
            Ok(if fit && left.is_empty() { Exit::Fine } else { Exit::Failed })
        }
        Err(error) => {
            let gone = matches!(error, RebootError::Away { .. });
            let text = if gone { console_help(context, host)? } else { String::new() };
            writer.tell(&format!("\n{host}: {error}\n{text}"));
            Ok(if gone { Exit::Stuck } else { Exit::Failed })
        }
    }
}

/// Guests down, host away, host back, guests up; gives those that are missing in the end.
async fn carry_out(
    context: &Context,
    host: &HostName,
    limit: Duration,
    record: &mut Record<'_>,
    writer: &mut Writer,
) -> Result<Result<Vec<crate::model::Vmid>, RebootError>, CommandError> {
    let (Some(shell), Some(session)) = (context.doors.shell(host), context.doors.own(host)) else {
        return Err(Diagnostic::error("reboot.no-door", format!("host `{host}` has no SSH access")).into());
    };
    let observed = context.observe(&Scope { hosts: [host.clone()].into(), ..Scope::default() }).await;
    let files = &observed.hosts[host].machine.guest_files;
    let Some(files) = files.value().filter(|_| files.is_complete()) else {
        return Ok(Err(RebootError::Guests(files.why().unwrap_or("not known").to_owned())));
    };
    let mut problem = None;
    let mut tell = |text: String| {
        writer.tell(&format!("{host}: {text}\n"));
        problem = problem.take().or(record.note(What::Note { message: text }).err());
    };
    let shell = &**shell;
    let done = async {
        let before = reboot::running(shell, files).await?;
        reboot::stop_guests(shell, &before, &mut tell).await?;
        tell("rebooting".to_owned());
        reboot::reboot(shell, session, limit, &mut tell).await?;
        tell("the new system is up".to_owned());
        reboot::start_guests(shell, session, &before, &mut tell).await
    };
    let done = done.await;
    match problem {
        Some(problem) => Err(problem.into()),
        None => Ok(done),
    }
}

/// Whether all is as it should be after the reboot: nothing needs another one, and no check fails.
async fn report(
    context: &Context,
    host: &HostName,
    intent: &Intent,
    output: Output,
    writer: &mut Writer,
) -> Result<bool, CommandError> {
    let observed = context.observe(&intent.scope).await;
    let mut text = String::new();
    let reasons = context.blueprint.hosts.get(host).map(|host| pending(&context.blueprint, host, &observed));
    let reasons = reasons.unwrap_or_default();
    for reason in &reasons {
        text.push_str(&format!("  still so after the reboot: {reason}\n"));
    }
    let plan = planning::from_observed(context, &observed, intent);
    let plan = plan.as_ref().map_err(|_| "the inventory cannot be planned; `infra plan` says why");
    let reports = judging::hosts(context, &observed, intent, plan, &[], CHECKS)?;
    let mut fails = 0;
    for judged in reports.iter().flat_map(|report| report.of(Verdict::Fail)) {
        fails += 1;
        text.push_str(&format!("  fail  {}: {}\n", judged.check.id, judged.finding.summary));
    }
    let count = |verdict| reports.iter().flat_map(|report| report.of(verdict)).count();
    let summary = format!(
        "Rebooted {host}: {} checks pass, {} warn, {fails} fail, {} could not run.\n",
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::CouldNotRun)
    );
    let text = summary + &text;
    if output == Output::Human {
        writer.answer(&text)?
    } else {
        writer.tell(&text)
    }
    Ok(reasons.is_empty() && fails == 0)
}

/// What to do at the console of a host that did not come back: what was changed on it last, and the way back.
fn console_help(context: &Context, host: &HostName) -> Result<String, CommandError> {
    let inventory = &context.blueprint.name;
    let mut text = String::from(
        "\nAt its console, choose the previous kernel in the boot menu (GRUB: \"Advanced options\"), or press `e` on \
         the entry and take the new parameters out of the line that begins with `linux` or `options`.\n",
    );
    for (run, state) in journal::history(&context.state, inventory)?.into_iter().rev() {
        if state.verb != Verb::Prepare.as_str() {
            continue;
        }
        let plan = journal::plan(&context.state, inventory, &run)?;
        let steps: Vec<_> =
            plan.steps.iter().rev().filter(|step| step.host == *host && !file_writes(step).is_empty()).collect();
        if steps.is_empty() {
            continue;
        }
        text.push_str(&format!("\nRun {run} changed these files of {host}; once it is up, this takes it back:\n"));
        for step in steps {
            for write in file_writes(step) {
                text.push_str(&format!("    # {}\n", write.path));
            }
            let Undo::Ops { ops } = &step.undo else { continue };
            let ops: Vec<Op> = ops.iter().filter(|op| !matches!(op, Op::Await { .. })).cloned().collect();
            for line in render(&ops, None) {
                text.push_str(&format!("    {line}\n"));
            }
        }
        text.push_str(&format!("  or from here: infra rollback {run}\n"));
        break;
    }
    Ok(text)
}

/// A plan of nothing: the journal of a reboot holds what happened, and no steps.
fn nothing(context: &Context, scope: Scope) -> Plan {
    Plan {
        format: Plan::FORMAT,
        infra: env!("CARGO_PKG_VERSION").to_owned(),
        inventory: context.blueprint.name.clone(),
        scope,
        changes: Vec::new(),
        steps: Vec::new(),
        preconditions: std::collections::BTreeMap::new(),
        orphans: Vec::new(),
        gaps: Vec::new(),
        notes: Vec::new(),
        memory: Memory::new(),
    }
}
