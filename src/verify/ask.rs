//! Asks guests: who listens in them, and what becomes of the connections that they open. Several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::names::Lookups;
use super::proof::Proof;
use super::reachability::{Answers, Heard, Listening, Probe, read, script};
use super::sites::{Client, Visit};
use super::six::Own;
use super::{inside, listeners, names, sites, six, sockets};
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

/// What guests find out about names, those that run.
pub async fn ask_names(
    blueprint: &Blueprint,
    doors: &Doors,
    up: &[GuestName],
    listening: &BTreeMap<GuestName, Listening>,
) -> Vec<Proof> {
    let mut wanted: BTreeMap<GuestName, Lookups> = BTreeMap::new();
    for guest in up.iter().filter_map(|name| blueprint.guests.get(name)) {
        let lookups = names::lookups(blueprint, guest);
        if lookups != Lookups::default() {
            wanted.insert(guest.name.clone(), lookups);
        }
    }
    let asked: Vec<GuestName> = wanted.keys().cloned().collect();
    let scripts: Arc<BTreeMap<GuestName, String>> =
        Arc::new(wanted.iter().map(|(guest, lookups)| (guest.clone(), names::script(lookups))).collect());
    let printed = each(blueprint, doors, &asked, move |shell, guest| {
        let scripts = Arc::clone(&scripts);
        async move { inside::run(&shell, &guest, scripts[&guest.name].clone()).await }
    })
    .await;
    let mut proofs = Vec::new();
    for (guest, lookups) in &wanted {
        let not_asked = Err("it was not asked".to_owned());
        let printed = printed.get(guest).unwrap_or(&not_asked).as_ref().map(|printed| printed.stdout.as_str());
        proofs.extend(names::judge(blueprint, guest, lookups, printed, |name| listening.get(name).cloned()));
    }
    proofs
}

/// What web sites answer to guests that may come to the reverse proxy.
pub async fn ask_sites(
    blueprint: &Blueprint,
    doors: &Doors,
    up: &[GuestName],
    listening: &BTreeMap<GuestName, Listening>,
) -> Vec<Proof> {
    let wanted: Arc<BTreeMap<GuestName, Vec<Visit>>> =
        Arc::new(sites::visits(blueprint).into_iter().filter(|(guest, _)| up.contains(guest)).collect());
    let asked: Vec<GuestName> = wanted.keys().cloned().collect();
    let visits = Arc::clone(&wanted);
    let printed = each(blueprint, doors, &asked, move |shell, guest| {
        let visits = Arc::clone(&visits);
        async move {
            let visits = &visits[&guest.name];
            let printed = inside::run(&shell, &guest, sites::script(visits, Client::Curl)).await?;
            if !sites::lacks_program(&printed.stdout) {
                return Ok(printed);
            }
            inside::run(&shell, &guest, sites::script(visits, Client::Openssl)).await
        }
    })
    .await;
    let mut proofs = Vec::new();
    for (guest, visits) in wanted.iter() {
        let not_asked = Err("it was not asked".to_owned());
        let printed = printed.get(guest).unwrap_or(&not_asked).as_ref().map(|printed| printed.stdout.as_str());
        proofs.extend(sites::judge(blueprint, guest, visits, printed, |name| listening.get(name).cloned()));
    }
    proofs
}

/// What becomes of connections to the IPv6 addresses that guests say they have.
pub async fn ask_six(
    blueprint: &Blueprint,
    doors: &Doors,
    up: &[GuestName],
    listening: &BTreeMap<GuestName, Listening>,
) -> Vec<Proof> {
    let told = each(blueprint, doors, up, async |shell: Arc<dyn Shell>, guest: Guest| {
        let printed = inside::run(&shell, &guest, six::SCRIPT.to_owned()).await?;
        Ok(six::read(&printed.stdout))
    })
    .await;
    let own: BTreeMap<GuestName, Own> = told.into_iter().filter_map(|(guest, own)| Some((guest, own.ok()?))).collect();
    let wanted = Arc::new(six::plan(blueprint, &own, listening));
    let asked: Vec<GuestName> = wanted.keys().cloned().collect();
    let tries = Arc::clone(&wanted);
    let printed = each(blueprint, doors, &asked, move |shell, guest| {
        let tries = Arc::clone(&tries);
        async move { inside::run(&shell, &guest, six::script(&tries[&guest.name])).await }
    })
    .await;
    let mut proofs = Vec::new();
    for (guest, tries) in wanted.iter() {
        let not_asked = Err("it was not asked".to_owned());
        let printed = printed.get(guest).unwrap_or(&not_asked).as_ref();
        let printed = printed.map(|printed| (printed.stdout.as_str(), printed.stderr.as_str()));
        proofs.extend(six::judge(guest, &own[guest], tries, printed));
    }
    proofs
}

/// Has guests listen on ports for a moment ([`listeners::LIFE_S`]); gives those on which somebody listens by it.
pub async fn listen(
    blueprint: &Blueprint,
    doors: &Doors,
    wanted: BTreeMap<GuestName, BTreeSet<u16>>,
) -> BTreeMap<GuestName, Listening> {
    let asked: Vec<GuestName> = wanted.keys().cloned().collect();
    let wanted = Arc::new(wanted);
    each(blueprint, doors, &asked, move |shell, guest| {
        let wanted = Arc::clone(&wanted);
        async move {
            let printed = inside::run(&shell, &guest, listeners::script(&wanted[&guest.name])).await?;
            listeners::read(&printed.stdout, &printed.stderr)
        }
    })
    .await
}

/// Does something with each of these guests over SSH to its host.
pub(super) async fn each<T, F>(
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
