//! The record of the hardware: read before hosts are judged, written when somebody says that all is right.

use std::collections::BTreeMap;

use super::context::Context;
use super::{CommandError, error, judging};
use crate::adapters::hardware_lock;
use crate::checks::NotRun;
use crate::cli::planning::Intent;
use crate::diag::Diagnostic;
use crate::model::HostName;
use crate::model::hardware_lock::{HARDWARE_LOCK_FORMAT, HardwareLock, LockedHost};
use crate::model::observed::Observed;
use crate::ui::{Writer, hardware_text};

/// What was recorded, if anybody did.
pub(super) fn read(context: &Context) -> Result<Option<HardwareLock>, CommandError> {
    hardware_lock::read(&context.hardware).map_err(|invalid| {
        Diagnostic::error("cli.hardware-lock", format!("`{}` cannot be used", context.hardware))
            .cause(invalid.problem)
            .hint_maybe(invalid.hint)
            .into()
    })
}

/// Records the hardware of every host in scope, and says what changed; whether all of it could be seen. What cannot
/// be seen keeps its record.
pub(super) fn write(
    context: &Context,
    observed: &Observed,
    intent: &Intent,
    writer: &mut Writer,
) -> Result<bool, CommandError> {
    let before = read(context)?;
    let was = before.clone().unwrap_or_default();
    let mut seen: BTreeMap<HostName, LockedHost> = BTreeMap::new();
    let mut all = true;
    for subject in judging::subjects(context, observed, intent) {
        match LockedHost::of(&subject) {
            Ok(now) => {
                seen.insert(subject.host.name.clone(), now);
            }
            Err(NotRun::Blind(why) | NotRun::Skipped(why)) => {
                all = false;
                writer.tell(&format!("the hardware of {} is not recorded: {why}\n", subject.host.name));
            }
        }
    }
    let mut now = HardwareLock { format: HARDWARE_LOCK_FORMAT, hosts: was.hosts.clone() };
    now.hosts.extend(seen);
    now.hosts.retain(|host, _| context.blueprint.hosts.contains_key(host));
    if now == was {
        if before.is_some() {
            writer.tell(&format!("{} is as it was\n", context.hardware));
        }
        return Ok(all);
    }
    hardware_lock::write(&context.hardware, &now).map_err(|e| error::file("written", &context.hardware, &e))?;
    writer.tell(&format!("{} is written\n", context.hardware));
    let text = hardware_text(&was, &now, &writer.err());
    writer.tell(&text);
    Ok(all)
}
