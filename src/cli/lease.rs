//! Leases as the verbs that change something take them, and what killed runs left of theirs.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::execution::Verb;
use super::{CommandError, error};
use crate::event::RunId;
use crate::exec::Stop;
use crate::exec::lease::{Ask, LeaseError, Leases, Owner, ProcessId, inspect};
use crate::model::HostName;
use crate::ui::Writer;

/// Takes the lease of every site of the inventory.
pub(super) async fn take(
    context: &Context,
    verb: Verb,
    run: &RunId,
    wait: Duration,
    stop: &Stop,
    writer: &mut Writer,
) -> Result<Leases, LeaseError> {
    let mut sites: BTreeMap<String, Vec<HostName>> = BTreeMap::new();
    for host in context.blueprint.hosts.values() {
        sites.entry(host.site.clone()).or_default().push(host.name.clone());
    }
    let owner = Owner {
        who: operator(),
        process: ProcessId::this(),
        run: run.to_string(),
        reason: format!("infra {}", verb.as_str()),
    };
    let ask = Ask { inventory: context.blueprint.name.clone(), owner, wait };
    let mut tell = |what: String| writer.tell(&format!("{what}\n"));
    Leases::acquire(&context.doors, &sites, &ask, stop.soon.clone(), &mut tell).await
}

/// Gives back what a killed run still holds when nothing is left to do: no later run would take it over.
pub(super) async fn tidy(context: &Context, verb: Verb, writer: &mut Writer) -> Result<(), CommandError> {
    let mut left = false;
    for host in context.blueprint.hosts.keys() {
        let Some(shell) = context.doors.shell(host) else { continue };
        let record = inspect(Arc::clone(shell), Arc::clone(&context.clock), &context.blueprint.name).await;
        // That nothing is to be done stays true when a host does not answer now.
        left |= matches!(record, Ok(Some(_)));
    }
    if !left {
        return Ok(());
    }
    let run = RunId::new(context.clock.now(), fastrand::u64(..));
    match take(context, verb, &run, Duration::ZERO, &Stop::default(), writer).await {
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
