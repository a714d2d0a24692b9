//! Whether services run as they were deployed, and whose fault it is if one does not.
//!
//! What fails because something that it needs fails is not told as a fault of its own: it is left out, with the cause.
//! So a fault makes one check fail, the one that is about it.

use std::collections::BTreeMap;

use super::containers::Container;
use super::expect::{Expected, Node};
use super::facts::{Disk, Look, gib};
use super::room;
use crate::blueprint::{Blueprint, Guest};
use crate::model::GuestName;
use crate::verify::Verdict;
use crate::verify::proof::{Proof, ProofKind};

/// What every guest with services told; or why it did not.
pub type Looks = BTreeMap<GuestName, Result<Look, String>>;

/// What is said of a container: nothing, if it is well.
pub type Wellness = BTreeMap<Node, Option<String>>;

/// What names containers find.
pub type Names = BTreeMap<Node, Vec<(String, Verdict, String)>>;

/// What follows for all containers, and which of them are well.
#[must_use]
pub fn judge(blueprint: &Blueprint, expected: &[Expected], looks: &Looks, names: &Names) -> (Vec<Proof>, Wellness) {
    let mut proofs = Vec::new();
    let mut wellness = Wellness::new();
    let mut seen: BTreeMap<Node, Result<(), (Verdict, String)>> = BTreeMap::new();
    for one in expected {
        let came = state(one, &looks[&one.node.guest]);
        wellness.insert(one.node.clone(), came.as_ref().err().map(|(_, why)| why.clone()));
        seen.insert(one.node.clone(), came);
    }
    for (guest, look) in looks.iter().filter_map(|(guest, look)| Some((guest, look.as_ref().ok()?))) {
        let Some(guest) = blueprint.guests.get(guest) else { continue };
        proofs.extend(look.disks.iter().map(|disk| space(guest, disk)));
        proofs.extend(room::gpu(blueprint, guest, look));
    }
    for one in expected {
        let node = &one.node;
        let came = match &seen[node] {
            Ok(()) => (Verdict::Pass, "it runs and is well".to_owned()),
            Err((Verdict::Fail, why)) => match cause(one, looks, names, &wellness, &proofs) {
                Some(cause) => (Verdict::Skipped, format!("{why}; {cause}")),
                None => (Verdict::Fail, why.clone()),
            },
            Err((verdict, why)) => (*verdict, why.clone()),
        };
        proofs.push(Proof::new(ProofKind::Service, &node.guest, node, came));
        let Some(container) = found(one, looks) else { continue };
        proofs.push(image(one, container));
        if node.part == node.service.as_str() {
            proofs.push(published(one, container));
        }
    }
    for (node, lookups) in names {
        for (name, verdict, says) in lookups {
            let what = format!("{name} from {node}");
            proofs.push(Proof::new(ProofKind::ContainerName, &node.guest, what, (*verdict, says.clone())));
        }
    }
    (proofs, wellness)
}

fn found<'a>(one: &Expected, looks: &'a Looks) -> Option<&'a Container> {
    looks.get(&one.node.guest)?.as_ref().ok()?.containers.get(&one.node.name())
}

fn state(one: &Expected, look: &Result<Look, String>) -> Result<(), (Verdict, String)> {
    let look = look.as_ref().map_err(|why| (Verdict::CouldNotRun, why.clone()))?;
    let delivered = look.delivered.iter().any(|own| own == one.node.service.as_str());
    match (&look.engine, delivered) {
        (None, _) => return Err((Verdict::CouldNotRun, "its engine was not asked".to_owned())),
        (_, false) => return Err((Verdict::Skipped, "it is not deployed yet; `infra deploy` does".to_owned())),
        (Some(Err(why)), true) => return Err((Verdict::Fail, why.clone())),
        (Some(Ok(())), true) => {}
    }
    let container = look.containers.get(&one.node.name());
    let container = container.ok_or_else(|| (Verdict::Fail, "there is no such container".to_owned()))?;
    container.ails().map_or(Ok(()), |why| Err((Verdict::Fail, why)))
}

/// What else explains why a container is not well.
fn cause(one: &Expected, looks: &Looks, names: &Names, wellness: &Wellness, proofs: &[Proof]) -> Option<String> {
    let guest = one.node.guest.as_str();
    let fails =
        |of: ProofKind| proofs.iter().find(|own| own.of == of && own.from == guest && own.verdict == Verdict::Fail);
    if let Some(full) = fails(ProofKind::Space) {
        return Some(format!("the disk of its guest is full: {}", full.says));
    }
    if let Some(driver) = fails(ProofKind::Gpu).filter(|_| one.gpu) {
        return Some(format!("the GPU of its guest is not well: {}", driver.says));
    }
    // Whoever is refused a start needs nobody for that.
    if found(one, looks).is_some_and(|container| !container.error.is_empty()) {
        return None;
    }
    if let Some((name, ..)) =
        names.get(&one.node).into_iter().flatten().find(|(_, verdict, _)| *verdict == Verdict::Fail)
    {
        return Some(format!("it does not find `{name}`"));
    }
    let ill = one.needs.iter().find(|needed| wellness.get(needed).is_some_and(Option::is_some))?;
    let place = if ill.guest == one.node.guest { String::new() } else { format!(" in {}", ill.guest) };
    Some(format!("it needs `{ill}`{place}, which is not well"))
}

fn image(one: &Expected, container: &Container) -> Proof {
    let came = match container.image == one.image {
        true => (Verdict::Pass, format!("it is {}", one.image)),
        false => {
            (Verdict::Fail, format!("it runs {}, and should run {}; `infra deploy` does", container.image, one.image))
        }
    };
    Proof::new(ProofKind::Image, &one.node.guest, format!("image of {}", one.node), came)
}

fn published(one: &Expected, container: &Container) -> Proof {
    let there = container
        .published
        .iter()
        .flat_map(|(inside, on)| on.iter().map(move |(address, port)| (inside.clone(), address.clone(), *port)));
    let there: std::collections::BTreeSet<(String, String, u16)> = there.collect();
    let shown = |(inside, address, port): &(String, String, u16)| {
        let address = if address.is_empty() { "every address" } else { address };
        format!("{inside} on port {port} of {address}")
    };
    let extra: Vec<String> = there.difference(&one.published).map(shown).collect();
    let missing: Vec<String> = one.published.difference(&there).map(shown).collect();
    let came = match (extra.is_empty(), missing.is_empty()) {
        (false, _) => (Verdict::Fail, format!("{} is published, which no flow asks for", extra.join(", "))),
        (_, false) => (Verdict::Fail, format!("{} is not published, and a flow leads there", missing.join(", "))),
        _ if there.is_empty() => (Verdict::Pass, "nothing of it is published, as no flow leads to it".to_owned()),
        _ => (
            Verdict::Pass,
            format!("{} is published, as flows ask for", there.iter().map(shown).collect::<Vec<_>>().join(", ")),
        ),
    };
    Proof::new(ProofKind::Published, &one.node.guest, format!("ports of {}", one.node), came)
}

/// Less than this is no room: ClickHouse and Ollama fail before the last byte is taken.
const LEAST_FREE: u64 = 1 << 30;

fn space(guest: &Guest, disk: &Disk) -> Proof {
    let least = LEAST_FREE.min(disk.size / 20);
    let says = format!("{} of {} are free", gib(disk.free), gib(disk.size));
    let came = if disk.free < least { (Verdict::Fail, says) } else { (Verdict::Pass, says) };
    Proof::new(ProofKind::Space, &guest.name, format!("space at {}", disk.at), came)
}
