//! Observing and planning, as several verbs do it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::args::{AllowArgs, SelectArgs};
use super::context::Context;
use super::descriptions;
use super::{CommandError, Exit, secrets};
use crate::blueprint::Blueprint;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::event::RunId;
use crate::exec::journal;
use crate::isolation;
use crate::model::observed::Observed;
use crate::model::{Addr, HostName};
use crate::plan::{self, Plan, Request, Scope};
use crate::resources::{self, Allowed};
use crate::ui::Writer;

/// Between two looks at running tasks.
const QUIET_PAUSE: Duration = Duration::from_secs(2);
/// Half an hour: a large image takes its time.
const QUIET_LOOKS: u32 = 900;
/// A quarter of an hour: three times as long as a guard holds.
const REVERT_LOOKS: u32 = 450;

/// Which part of an inventory is planned, and what may be lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Intent {
    pub scope: Scope,
    pub allowed: Allowed,
    /// The run that is taken back.
    pub run: Option<RunId>,
}

impl Intent {
    /// Holds flags against the inventory.
    pub fn new(select: &SelectArgs, allow: &AllowArgs, blueprint: &Blueprint) -> Result<Self, CommandError> {
        let mut problems = Diagnostics::new();
        for host in select.limit.iter().filter(|host| !blueprint.hosts.contains_key(host)) {
            let known: Vec<&str> = blueprint.hosts.keys().map(HostName::as_str).collect();
            let hint = did_you_mean(host.as_str(), known.iter().copied());
            problems.push(
                Diagnostic::error("cli.unknown-host", format!("there is no host `{host}` in this inventory"))
                    .hint(hint.unwrap_or_else(|| format!("known are {}", known.join(", ")))),
            );
        }
        let named = |addrs: &[Addr]| addrs.iter().cloned().collect();
        let allowed = Allowed {
            destroy: named(&allow.allow_destroy),
            replace: named(&allow.allow_replace),
            take_over: named(&allow.take_over),
        };
        for (flag, addr) in allowed.pointless() {
            let for_what = match flag {
                "--allow-destroy" => "guests and datasets, which hold data",
                "--allow-replace" => "guests (`vm.NAME`, `ct.NAME`)",
                _ => "what is shared with others: `tailnet_policy.NAME`",
            };
            problems.push(
                Diagnostic::error("cli.pointless-licence", format!("`{flag}` means nothing for {addr}"))
                    .cause(format!("it is for {for_what}")),
            );
        }
        if problems.has_errors() {
            return Err(problems.into());
        }
        Ok(Self {
            scope: Scope {
                targets: select.target.iter().cloned().collect(),
                hosts: select.limit.iter().cloned().collect(),
                ..Scope::default()
            },
            allowed,
            run: None,
        })
    }
}

impl Intent {
    /// With what is put into guests, or without.
    pub fn deploying(mut self, deploys: bool) -> Self {
        if deploys {
            self.scope.part = resources::Part::Everything;
        }
        self
    }
}

/// Reads what is there and plans what makes it be as the inventory says.
pub(super) async fn plan(context: &Context, intent: &Intent) -> Result<Plan, CommandError> {
    Ok(look_and_plan(context, intent).await?.1)
}

/// Reads what is there and plans its removal.
pub(super) async fn teardown(context: &Context, intent: &Intent) -> Result<Plan, CommandError> {
    let observed = context.observe(&intent.scope).await;
    reachable(context, &observed, &intent.scope)?;
    let plan = build(context, &observed, intent, plan::teardown)?;
    descriptions::checked(context, &observed, plan).await
}

/// As [`plan`], with what it was made from.
pub(super) async fn look_and_plan(context: &Context, intent: &Intent) -> Result<(Observed, Plan), CommandError> {
    let observed = context.observe(&intent.scope).await;
    reachable(context, &observed, &intent.scope)?;
    let mut plan = build(context, &observed, intent, plan::build)?;
    plan.notes.extend(isolation::open_now(&context.blueprint, &observed));
    secrets::hold(context, &mut plan)?;
    let plan = descriptions::checked(context, &observed, plan).await?;
    Ok((observed, plan))
}

/// Reads what is there and plans what takes back the run that is meant.
pub(super) async fn take_back(context: &Context, intent: &Intent) -> Result<Plan, CommandError> {
    let run = intent.run.clone().unwrap_or_else(|| RunId(String::new()));
    let inventory = &context.blueprint.name;
    let done = journal::plan(&context.state, inventory, &run)?;
    let state = crate::event::fold(&journal::events(&context.state, inventory, &run)?);
    let observed = context.observe(&intent.scope).await;
    reachable(context, &observed, &intent.scope)?;
    build(context, &observed, intent, |request| plan::take_back(request, &plan::Earlier { plan: &done, state: &state }))
}

/// As [`teardown`], after `done` was carried out: an orphan that it removed is not known any more, and so is
/// no target to look for.
pub(super) async fn teardown_left(context: &Context, intent: &Intent, done: &Plan) -> Result<Plan, CommandError> {
    let observed = context.observe(&intent.scope).await;
    reachable(context, &observed, &intent.scope)?;
    let mut known: BTreeSet<Addr> = resources::all(&context.blueprint).iter().map(|one| one.addr()).collect();
    known.extend(resources::orphans(&context.blueprint, &observed).into_iter().map(|orphan| orphan.addr));
    let gone = |addr: &Addr| !known.contains(addr) && done.changes.iter().any(|change| change.addr == *addr);
    let mut left = intent.clone();
    left.scope.targets.retain(|addr| !gone(addr));
    if left.scope.targets.is_empty() && !intent.scope.targets.is_empty() {
        // Without targets it would be about everything.
        let (changes, steps) = (Vec::new(), Vec::new());
        return Ok(Plan { changes, steps, ..done.clone() });
    }
    build(context, &observed, &left, plan::teardown)
}

/// Plans from what was read already.
pub(super) fn from_observed(context: &Context, observed: &Observed, intent: &Intent) -> Result<Plan, CommandError> {
    build(context, observed, intent, plan::build)
}

fn build(
    context: &Context,
    observed: &Observed,
    intent: &Intent,
    maker: impl Fn(&Request<'_>) -> Result<Plan, Diagnostics>,
) -> Result<Plan, CommandError> {
    let memory = journal::recall(&context.state, &context.blueprint.name)?;
    let unfinished = journal::unfinished(&context.state, &context.blueprint.name)?;
    let request = Request {
        blueprint: &context.blueprint,
        observed,
        memory: &memory,
        scope: &intent.scope,
        allowed: &intent.allowed,
        unfinished: &unfinished,
    };
    maker(&request).map_err(|diagnostics| CommandError::in_files(diagnostics, context.sources.clone()))
}

/// Waits until no task works on a guest or an image of the inventory: planning over it would be guessing. This is how
/// a run that was killed while Proxmox worked on is taken up again.
pub(super) async fn quiet(context: &Context, scope: &Scope, writer: &mut Writer) -> Result<(), CommandError> {
    reverted(context, scope, writer).await?;
    let mut told = BTreeSet::new();
    for _ in 0..QUIET_LOOKS {
        let busy = context.working(scope).await;
        if busy.is_empty() {
            return Ok(());
        }
        for upid in busy {
            if told.insert(upid.clone()) {
                let of = if upid.id().is_empty() { String::new() } else { format!(" of {}", upid.id()) };
                writer.tell(&format!("waiting for {}{of} on {}\n", upid.task_type(), upid.node()));
            }
        }
        context.clock.sleep(QUIET_PAUSE).await;
    }
    let names: Vec<String> = told.iter().map(ToString::to_string).collect();
    Err(Diagnostic::error("plan.busy", "a task still works on what this inventory says after half an hour")
        .cause(names.join(", "))
        .hint("look at it in the task list of the Proxmox UI, and apply again when it has ended")
        .into())
}

/// Waits until no host is about to take back what an earlier run did not confirm: it would be taken for what is there.
pub(super) async fn reverted(context: &Context, scope: &Scope, writer: &mut Writer) -> Result<(), CommandError> {
    let mut told = false;
    for _ in 0..REVERT_LOOKS {
        let pending = context.reverting(scope).await;
        if pending.is_empty() {
            if told {
                writer.tell("it was taken back\n");
            }
            return Ok(());
        }
        if !told {
            writer.tell(&format!(
                "waiting until a change of an earlier run that nobody confirmed is taken back ({})\n",
                pending.join(", ")
            ));
            told = true;
        }
        context.clock.sleep(QUIET_PAUSE).await;
    }
    let problem = Diagnostic::error("plan.revert-pending", "a host does not get to take back what nobody confirmed");
    let names = context.reverting(scope).await.join(", ");
    Err(problem
        .cause(names)
        .hint("see `systemctl status 'infra-guard-*'` there; without quorum nothing below /etc/pve can be written")
        .into())
}

/// Refuses when no host at all could be asked: an empty plan would look like "nothing to do".
fn reachable(context: &Context, observed: &Observed, scope: &Scope) -> Result<(), CommandError> {
    let sites = context.sites(scope);
    let silent: Vec<(&str, &str)> = sites
        .iter()
        .filter_map(|&site| {
            let fact = &observed.sites.get(site)?.version;
            fact.value().is_none().then(|| (site, fact.why().unwrap_or("it was not asked")))
        })
        .collect();
    if silent.len() < sites.len() {
        return Ok(());
    }
    let problems: Diagnostics = silent
        .into_iter()
        .map(|(site, why)| Diagnostic::error("host.unreachable", format!("{site} cannot be asked")).cause(why))
        .collect();
    Err(CommandError::from(problems).with_exit(Exit::Failed))
}
