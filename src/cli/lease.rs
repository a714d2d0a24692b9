//! The leases of a run: which ones, for whom, and back again; and what killed runs left of theirs.
//!
//! Owns who a run says it is. How a lease is kept on a host is `exec::lease`. Entry: [`take`].

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::signals::Signals;
use super::verb::Verb;
use super::{CommandError, error};
use crate::blueprint::Blueprint;
use crate::diag::Diagnostic;
use crate::event::RunId;
use crate::exec::lease::{Ask, LeaseError, Leases, Owner, ProcessId, Record, inspect};
use crate::model::HostName;
use crate::plan::{Plan, Scope};
use crate::ports::Shell;
use crate::ui::Writer;

/// Hosts by site.
pub(super) type Sites = BTreeMap<String, Vec<HostName>>;

/// All sites that a step of the plan works on, with every host that can hold their leases.
pub(super) fn touched(plan: &Plan, blueprint: &Blueprint) -> Sites {
    let hosts = plan.steps.iter().filter_map(|step| blueprint.hosts.get(&step.host));
    sites(blueprint, &hosts.map(|host| host.site.as_str()).collect())
}

/// The sites of these hosts, with every host that can hold their leases.
pub(super) fn sites_of<'a>(blueprint: &Blueprint, hosts: impl IntoIterator<Item = &'a HostName>) -> Sites {
    let hosts = hosts.into_iter().filter_map(|host| blueprint.hosts.get(host));
    sites(blueprint, &hosts.map(|host| host.site.as_str()).collect())
}

fn sites(blueprint: &Blueprint, names: &BTreeSet<&str>) -> Sites {
    let mut sites = Sites::new();
    for host in blueprint.hosts.values().filter(|host| names.contains(host.site.as_str())) {
        sites.entry(host.site.clone()).or_default().push(host.name.clone());
    }
    sites
}

/// Takes the lease of each of these sites.
pub(super) async fn take(
    context: &Context,
    sites: &Sites,
    verb: Verb,
    run: &RunId,
    wait: Duration,
    lost: CancellationToken,
    writer: &mut Writer,
) -> Result<Leases, LeaseError> {
    let owner = Owner {
        who: operator(),
        process: ProcessId::this(),
        run: run.to_string(),
        reason: format!("infra {}", verb.as_str()),
    };
    let ask = Ask { inventory: context.blueprint.name.clone(), owner, wait };
    let mut tell = |what: String| writer.tell(&format!("{what}\n"));
    Leases::acquire(&context.doors, sites, &ask, lost, &mut tell).await
}

/// Gives them back. Who cannot wait for that leaves them to expire.
pub(super) async fn give_back(leases: Leases, signals: &mut Signals, writer: &mut Writer) {
    tokio::select! {
        problems = leases.release() => {
            for problem in problems {
                writer.tell(&format!("{problem}\n"));
            }
        }
        () = signals.next() => writer.tell("the lease was not given back; it expires by itself within a minute\n"),
    }
}

/// Why a run ended before its time, if it was this.
pub(super) fn lost(why: &str) -> CommandError {
    Diagnostic::error("run.lease-lost", "the run stopped because its lease was lost")
        .cause(why)
        .hint("see who is at work with `infra history` there, then apply again: it goes on from what stands")
        .into()
}

/// The lease of one site as it was seen.
pub(super) struct Seen {
    pub site: String,
    /// Through this it was seen; there is none where no host of the site has SSH, and then no lease either.
    pub shell: Option<Arc<dyn Shell>>,
    /// Who holds it, if anybody does.
    pub record: Result<Option<Record>, LeaseError>,
}

/// The leases of all sites in scope, each through the first of its hosts that answers.
pub(super) async fn look(context: &Context, scope: &Scope) -> Vec<Seen> {
    let mut leases = Vec::new();
    for (site, hosts) in sites(&context.blueprint, &context.sites(scope)) {
        let mut seen = Seen { site, shell: None, record: Ok(None) };
        for shell in hosts.iter().filter_map(|host| context.doors.shell(host)) {
            seen.record = inspect(Arc::clone(shell), Arc::clone(&context.clock), &context.blueprint.name).await;
            seen.shell = Some(Arc::clone(shell));
            if !matches!(seen.record, Err(LeaseError::Transport(_))) {
                break;
            }
        }
        leases.push(seen);
    }
    leases
}

/// Gives back what a killed run still holds when nothing is left to do: no later run would take it over.
pub(super) async fn tidy(
    context: &Context,
    scope: &Scope,
    verb: Verb,
    writer: &mut Writer,
) -> Result<(), CommandError> {
    let seen = look(context, scope).await;
    // That nothing is to be done stays true when a host does not answer now.
    let held = seen.iter().filter(|seen| matches!(seen.record, Ok(Some(_)))).map(|seen| seen.site.as_str()).collect();
    let run = RunId::new(context.clock.now(), fastrand::u64(..));
    let held = sites(&context.blueprint, &held);
    match take(context, &held, verb, &run, Duration::ZERO, CancellationToken::new(), writer).await {
        Ok(leases) => {
            let notes = leases.notes().to_vec();
            for said in notes.into_iter().chain(leases.release().await) {
                writer.tell(&format!("{said}\n"));
            }
            Ok(())
        }
        // Its owner is at work, and gives it back.
        Err(LeaseError::Held { .. }) => Ok(()),
        Err(error) => Err(error::lease(&error)),
    }
}

/// Who runs this, as `user@machine`.
pub(super) fn operator() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let user = named.or_else(|| std::fs::metadata("/proc/self").ok().map(|own| format!("uid {}", own.uid())));
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = machine.trim();
    let machine = if machine.is_empty() { "unknown" } else { machine };
    format!("{}@{machine}", user.as_deref().unwrap_or("unknown"))
}
