//! The GPU of a guest: whether its driver finds it, whether it is the one that was declared, and whether strangers leave
//! it to the models.

use super::facts::{Gpu, Look};
use crate::blueprint::{Blueprint, Guest, GuestShape};
use crate::verify::Verdict;
use crate::verify::proof::{Proof, ProofKind};

/// Percent of what is declared: cards report somewhat less memory than they are sold with (ECC, firmware): a T4 of 16 GiB
/// has 15,360 MiB.
const AT_LEAST: u64 = 85;
const AT_MOST: u64 = 110;

/// What follows for a guest that was asked for its GPUs.
#[must_use]
pub fn gpu(blueprint: &Blueprint, guest: &Guest, look: &Look) -> Vec<Proof> {
    let Some(told) = &look.gpus else { return Vec::new() };
    let what = "GPU and its driver";
    let prove = |of, what: &str, came| Proof::new(of, &guest.name, what, came);
    let cards = match told {
        // Before anything is deployed there is no driver.
        Err(why) if look.delivered.is_empty() => {
            return vec![prove(ProofKind::Gpu, what, (Verdict::Skipped, format!("nothing is deployed yet; {why}")))];
        }
        Err(why) => return vec![prove(ProofKind::Gpu, what, (Verdict::Fail, why.clone()))],
        Ok(cards) => cards,
    };
    let mut proofs = vec![prove(ProofKind::Gpu, what, declared(blueprint, guest, cards))];
    if let Some(came) = room(blueprint, guest, look, cards) {
        proofs.push(prove(ProofKind::GpuRoom, "memory of the GPU", came));
    }
    proofs
}

fn declared(blueprint: &Blueprint, guest: &Guest, cards: &[Gpu]) -> (Verdict, String) {
    let names = cards.iter().map(|card| card.name.as_str()).collect::<Vec<_>>().join(", ");
    let seen = format!("{names}, driver {}", cards.first().map_or("", |card| card.driver.as_str()));
    let host = blueprint.host_of(guest);
    let gpus = match &guest.shape {
        GuestShape::Vm(vm) => &vm.gpus[..],
        // One that is shared is declared nowhere.
        GuestShape::Container(_) => &[],
    };
    let wanted: Vec<u64> =
        gpus.iter().filter_map(|name| host.gpus.get(name)?.vram).map(|vram| vram.as_bytes() >> 20).collect();
    if cards.len() < gpus.len() {
        return (Verdict::Fail, format!("{} of {} are seen: {seen}", cards.len(), gpus.len()));
    }
    let fits = |wanted: &u64, card: &Gpu| {
        card.total_mib.is_none_or(|total| (AT_LEAST * wanted..=AT_MOST * wanted).contains(&(total * 100)))
    };
    match wanted.iter().find(|wanted| !cards.iter().any(|card| fits(wanted, card))) {
        Some(wanted) => {
            let sizes: Vec<String> =
                cards.iter().filter_map(|card| card.total_mib).map(|mib| format!("{mib} MiB")).collect();
            (
                Verdict::Fail,
                format!("it is another one than declared: {seen} with {}, and not {wanted} MiB", sizes.join(", ")),
            )
        }
        None => (Verdict::Pass, seen),
    }
}

/// Whether models fit beside what strangers take; nothing, where what they need is not known.
fn room(blueprint: &Blueprint, guest: &Guest, look: &Look, cards: &[Gpu]) -> Option<(Verdict, String)> {
    let total: u64 = cards.iter().map(|card| card.total_mib).sum::<Option<u64>>()?;
    let models = blueprint.models.values().filter(|model| {
        model.runs_on.iter().any(|(own, service)| {
            *own == guest.name && guest.deployments.get(service).is_some_and(|own| own.gpu.is_some())
        })
    });
    let needed: u64 = models.map(|model| model.footprint().map_or(0, |size| size.as_bytes() >> 20)).sum();
    let taken: u64 = look.strangers.iter().map(|stranger| stranger.mib).sum();
    let who: Vec<String> =
        look.strangers.iter().map(|one| format!("{} (process {}) {} MiB", one.program, one.pid, one.mib)).collect();
    Some(match (who.is_empty(), needed + taken > total) {
        (true, _) => (Verdict::Pass, format!("nobody but containers takes of its {total} MiB")),
        (false, true) => (Verdict::Fail, format!("{} of {total} MiB, of which models need {needed}", who.join(", "))),
        (false, false) => (Verdict::Warning, format!("{} of {total} MiB; models still fit", who.join(", "))),
    })
}
