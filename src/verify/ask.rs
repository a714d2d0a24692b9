//! Asks guests: who listens in them, and what becomes of the connections that they open. Several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::inside;
use super::reachability::{Answers, Heard, Listening, Probe, read, script};
use super::sockets;
use crate::blueprint::{Blueprint, Guest};
use crate::client::Doors;
use crate::model::GuestName;
use crate::ports::Shell;

/// Guests that are asked at a time: sshd lets ten commands run over one connection (`MaxSessions`).
const AT_ONCE: usize = 6;
/// Connections of one script: its text must fit into one argument, which Linux ends at 128 KiB.
const PER_SCRIPT: usize = 500;

/// What every guest saw that has a probe.
pub async fn ask(blueprint: &Blueprint, doors: &Doors, probes: &[Probe]) -> BTreeMap<GuestName, Answers> {
    let mut targets: BTreeMap<GuestName, BTreeSet<(IpAddr, u16)>> = BTreeMap::new();
    for probe in probes {
        targets.entry(probe.from.clone()).or_default().insert((probe.address, probe.port));
    }
    let names: Vec<GuestName> = targets.keys().cloned().collect();
    let targets = Arc::new(targets);
    each(blueprint, doors, &names, move |shell, guest| {
        let targets = Arc::clone(&targets);
        async move {
            let all: Vec<(IpAddr, u16)> = targets[&guest.name].iter().copied().collect();
            let mut all_heard = Heard::default();
            for part in all.chunks(PER_SCRIPT) {
                let printed = inside::run(&shell, &guest, script(part.iter().copied())).await?;
                let heard = read(part, &printed.stdout, &printed.stderr)?;
                all_heard.seen.extend(heard.seen);
                all_heard.neighbours.extend(heard.neighbours);
            }
            Ok(all_heard)
        }
    })
    .await
}

/// TCP ports on which something listens in these guests, for others than the guest itself.
pub async fn listening(blueprint: &Blueprint, doors: &Doors, names: &[GuestName]) -> BTreeMap<GuestName, Listening> {
    each(blueprint, doors, names, async |shell: Arc<dyn Shell>, guest: Guest| {
        let printed = inside::run(&shell, &guest, sockets::SCRIPT.to_owned()).await?;
        sockets::listening(&printed.stdout)
    })
    .await
}

/// Does something with each of these guests over SSH to its host.
async fn each<T, F>(
    blueprint: &Blueprint,
    doors: &Doors,
    names: &[GuestName],
    job: impl Fn(Arc<dyn Shell>, Guest) -> F,
) -> BTreeMap<GuestName, Result<T, String>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, String>> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    let mut answers = BTreeMap::new();
    for guest in names.iter().filter_map(|name| blueprint.guests.get(name)) {
        let Some(shell) = doors.shell(&guest.host).cloned() else {
            let why = format!("there is no `ssh` to {}, over which guests are asked", guest.host);
            answers.insert(guest.name.clone(), Err(why));
            continue;
        };
        let (turns, name) = (Arc::clone(&turns), guest.name.clone());
        let doing = job(shell, guest.clone());
        asked.spawn(async move {
            let _turn = turns.acquire().await;
            (name, doing.await)
        });
    }
    answers.extend(asked.join_all().await);
    answers
}
