//! Tries all connections of every guest: one script per guest, several guests at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::inside;
use super::reachability::{Answers, Probe, read, script};
use crate::blueprint::Blueprint;
use crate::client::Doors;
use crate::model::GuestName;

/// Guests that are asked at a time: sshd lets ten commands run over one connection (`MaxSessions`).
const AT_ONCE: usize = 6;
/// Connections of one script: its text must fit into one argument, which Linux ends at 128 KiB.
const PER_SCRIPT: usize = 500;

/// What every guest saw that has a probe.
pub async fn ask(blueprint: &Blueprint, doors: &Doors, probes: &[Probe]) -> BTreeMap<GuestName, Answers> {
    let mut targets: BTreeMap<&GuestName, BTreeSet<(IpAddr, u16)>> = BTreeMap::new();
    for probe in probes {
        targets.entry(&probe.from).or_default().insert((probe.address, probe.port));
    }
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    let mut answers = BTreeMap::new();
    for (name, targets) in targets {
        let Some(guest) = blueprint.guests.get(name).cloned() else { continue };
        let Some(shell) = doors.shell(&guest.host).cloned() else {
            let why = format!("there is no `ssh` to {}, over which guests are asked", guest.host);
            answers.insert(name.clone(), Err(why));
            continue;
        };
        let targets: Vec<(IpAddr, u16)> = targets.into_iter().collect();
        let turns = Arc::clone(&turns);
        asked.spawn(async move {
            let _turn = turns.acquire().await;
            let mut seen: Answers = Ok(BTreeMap::new());
            for part in targets.chunks(PER_SCRIPT) {
                let printed = inside::run(&shell, &guest, script(part.iter().copied())).await;
                let more = printed.and_then(|printed| read(part, &printed.stdout, &printed.stderr));
                seen = seen.and_then(|mut seen| {
                    seen.extend(more?);
                    Ok(seen)
                });
            }
            (guest.name, seen)
        });
    }
    answers.extend(asked.join_all().await);
    answers
}
