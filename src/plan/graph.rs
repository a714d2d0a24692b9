//! Steps in an order in which each comes after what it needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::step::{Step, StepId};

/// Steps that need one another in a circle, in its order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("steps need one another in a circle: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → "))]
pub struct Cycle(pub Vec<StepId>);

/// Orders steps so that each comes after what it needs; where that leaves a choice, the given order
/// is kept. Needs that are not among the steps are dropped: what is not planned is there already.
///
/// # Errors
/// With a [`Cycle`] when there is no such order.
pub fn order(steps: Vec<Step>) -> Result<Vec<Step>, Cycle> {
    let known: BTreeSet<StepId> = steps.iter().map(|step| step.id.clone()).collect();
    let mut waiting: Vec<Step> = steps;
    for step in &mut waiting {
        step.needs.retain(|need| known.contains(need));
        step.needs.sort();
        step.needs.dedup();
    }
    let mut ordered: Vec<Step> = Vec::with_capacity(waiting.len());
    let mut done: BTreeSet<StepId> = BTreeSet::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|step| step.needs.iter().all(|need| done.contains(need)));
        let Some(index) = ready else { return Err(cycle(&waiting)) };
        let step = waiting.remove(index);
        done.insert(step.id.clone());
        ordered.push(step);
    }
    Ok(ordered)
}

/// Follows unmet needs until one comes up again.
fn cycle(waiting: &[Step]) -> Cycle {
    let by_id: BTreeMap<&StepId, &Step> = waiting.iter().map(|step| (&step.id, step)).collect();
    let mut path: Vec<StepId> = Vec::new();
    let mut at = waiting.first();
    while let Some(step) = at {
        if let Some(start) = path.iter().position(|id| *id == step.id) {
            path.drain(..start);
            path.push(step.id.clone());
            break;
        }
        path.push(step.id.clone());
        at = step.needs.iter().find_map(|need| by_id.get(need).copied());
    }
    Cycle(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::change::{Risk, Via};
    use crate::model::step::Undo;

    pub(crate) fn step(id: &str, needs: &[&str]) -> Step {
        let id = format!("ct.{id}/x");
        Step {
            addr: id.split('/').next().unwrap().parse().unwrap(),
            id: StepId(id),
            title: String::new(),
            host: "hq".parse().unwrap(),
            inside: None,
            via: Via::Api,
            ops: Vec::new(),
            undo: Undo::nothing("test"),
            risk: Risk::None,
            needs: needs.iter().map(|need| StepId(format!("ct.{need}/x"))).collect(),
            exclusive: Vec::new(),
        }
    }

    fn names(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.addr.name.as_str()).collect()
    }

    #[test]
    fn needs_come_first_and_given_order_is_kept_otherwise() {
        let ordered = order(vec![step("c", &["a"]), step("b", &[]), step("a", &["gone"])]).unwrap();
        assert_eq!(names(&ordered), ["b", "a", "c"]);
    }

    #[test]
    fn circle_is_named() {
        let cycle = order(vec![step("a", &["b"]), step("b", &["c"]), step("c", &["b"])]).unwrap_err();
        assert_eq!(cycle.to_string(), "steps need one another in a circle: ct.b/x → ct.c/x → ct.b/x");
    }
}
