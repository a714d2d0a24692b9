//! What moved since a plan was made.

use super::Plan;
use super::cluster::node_of;
use crate::model::Addr;

/// A resource that is not any more what it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub addr: Addr,
    /// What is different, as a sentence without a final period.
    pub what: String,
}

/// Where a guest was when the plan was made, and where it is now, if that differs.
fn moved_away(saved: &Plan, now: &Plan, addr: &Addr) -> Option<String> {
    let (before, after) = (node_of(saved, addr)?, node_of(now, addr)?);
    (before != after).then(|| format!("it was on node {before} when the plan was made, and is on {after} now"))
}

/// Holds a saved plan against one that was made just now from the same inventory.
///
/// It may be applied exactly when every resource that it changes is as it was seen then. That other
/// resources changed meanwhile is none of its business.
#[must_use]
pub fn stale(saved: &Plan, now: &Plan) -> Vec<Moved> {
    let mut moved = Vec::new();
    for (addr, digest) in &saved.preconditions {
        let what = match now.preconditions.get(addr) {
            Some(present) if present == digest => continue,
            Some(_) => {
                if let Some(what) = moved_away(saved, now, addr) {
                    moved.push(Moved { addr: addr.clone(), what });
                    continue;
                }
                let change = now.changes.iter().find(|change| change.addr == *addr);
                let fields: Vec<String> = change
                    .map(|change| change.fields.iter().map(|f| format!("{} is {}", f.path, f.from)).collect())
                    .unwrap_or_default();
                if fields.is_empty() {
                    "it is not as it was seen when the plan was made".to_owned()
                } else {
                    format!("it is not as it was seen when the plan was made; now {}", fields.join(", "))
                }
            }
            None => match now.gaps.iter().find(|gap| gap.addr == *addr) {
                Some(gap) => format!("it cannot be observed any more: {}", gap.why),
                None => "it is as the inventory says already, or is not in it any more".to_owned(),
            },
        };
        moved.push(Moved { addr: addr.clone(), what });
    }
    if moved.is_empty() && saved.infra != now.infra {
        moved.extend(saved.changes.first().map(|change| Moved {
            addr: change.addr.clone(),
            what: format!("infra {} made the plan, and this is infra {}", saved.infra, now.infra),
        }));
    }
    // What is carried out is what this program would do now, and nothing else that a file may hold.
    let steps = |plan: &Plan, addr: &Addr| plan.steps.iter().filter(|s| s.addr == *addr).cloned().collect::<Vec<_>>();
    for change in &saved.changes {
        let known = moved.iter().any(|moved| moved.addr == change.addr);
        if !known && steps(saved, &change.addr) != steps(now, &change.addr) {
            moved.push(Moved { addr: change.addr.clone(), what: "it would be done differently now".into() });
        }
    }
    for change in &now.changes {
        let same = saved.changes.iter().find(|planned| planned.addr == change.addr);
        if let Some(planned) = same
            && planned.fields != change.fields
            && !moved.iter().any(|moved| moved.addr == change.addr)
        {
            moved
                .push(Moved { addr: change.addr.clone(), what: "the inventory asks for something else by now".into() });
        }
    }
    moved
}
