//! What is asked before anything is changed.

use super::CommandError;
use super::verb::Verb;
use crate::model::change::Risk;
use crate::plan::Plan;
use crate::ui::{Writer, confirm, join_and, type_name};

/// Asks whether to go on. What loses data, and every `destroy`, is asked by name.
pub(super) fn given(plan: &Plan, verb: Verb, writer: &Writer) -> Result<bool, CommandError> {
    let lost: Vec<String> =
        plan.changes.iter().filter(|c| c.risk == Risk::DataLoss).map(|c| c.addr.to_string()).collect();
    let name = plan.inventory.as_str();
    Ok(match verb {
        _ if !lost.is_empty() => {
            let question = format!("The data of {} is lost for good.", join_and(lost));
            type_name(writer, &question, name, "--yes")?
        }
        Verb::Destroy => type_name(writer, "All this is removed.", name, "--yes")?,
        Verb::Apply | Verb::Deploy | Verb::Prepare => confirm(writer, "Apply this?", "--yes")?,
        Verb::Rollback => confirm(writer, "Take this back?", "--yes")?,
    })
}
