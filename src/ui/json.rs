//! Answers as JSON: a published format, apart from the values that it is made of.
//!
//! Owns [`PlanDocument`] and [`RunDocument`], the shapes behind `--output json` and `infra schema`.
//! Fields may be added; none is renamed or removed without a new `format`.

use schemars::JsonSchema;
use serde::Serialize;

use super::RehearsalDocument;
use super::history_view::outcome_word;
use crate::event::{Event, Outcome, RunState};
use crate::model::EnvironmentName;
use crate::model::change::{Action, FieldChange, Risk, Via};
use crate::model::step::Undo;
use crate::plan::{Gap, Plan, Summary};

/// What would be done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra plan")]
pub struct PlanDocument {
    /// Version of this format.
    pub format: u32,
    /// Whose plan it is.
    pub inventory: String,
    /// How many resources have which change pending.
    pub summary: Summary,
    /// What differs; nothing that is as it should be.
    pub changes: Vec<ChangeDocument>,
    /// What is ours and no longer in the inventory; left alone. Removed with `destroy --target ADDR`.
    pub orphans: Vec<OrphanDocument>,
    /// What could not be observed, and so is not planned.
    pub gaps: Vec<GapDocument>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// What will be done, in an order that respects every `needs`.
    pub steps: Vec<StepDocument>,
    /// What a rehearsal found; only with `--rehearse`, and where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalDocument>,
}

/// All that differs on one resource.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeDocument {
    /// Which resource: kind and name, `vm.plan-hq`.
    pub addr: String,
    /// What happens to it.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// How it is reached.
    pub via: Via,
    /// The worst that it can cost.
    pub risk: Risk,
    /// Whether somebody changed what we applied.
    pub drift: bool,
    /// What differs.
    pub fields: Vec<FieldChange>,
}

/// Something of ours that the inventory does not know any more.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OrphanDocument {
    /// What it is.
    pub addr: String,
    /// Where it is.
    pub host: String,
    /// What to know about it.
    pub description: String,
}

/// Something that could not be observed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GapDocument {
    /// What is not planned because of it.
    pub addr: String,
    /// Why.
    pub why: String,
}

impl From<&Gap> for GapDocument {
    fn from(gap: &Gap) -> Self {
        Self { addr: gap.addr.to_string(), why: gap.why.clone() }
    }
}

/// One step of the plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepDocument {
    /// Its id, stable across runs.
    pub id: String,
    /// The resource that it belongs to.
    pub addr: String,
    /// What it does.
    pub title: String,
    /// Where.
    pub host: String,
    /// How.
    pub via: Via,
    /// What it can cost.
    pub risk: Risk,
    /// Steps that must have succeeded before.
    pub needs: Vec<String>,
    /// How it is taken back.
    pub undo: UndoDocument,
}

/// How a step is taken back.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum UndoDocument {
    /// By operations that are part of the plan.
    Ops,
    /// There is nothing to take back.
    Nothing {
        /// Why not.
        why: String,
    },
    /// It cannot be taken back.
    Irreversible {
        /// Why not.
        why: String,
    },
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        Self {
            format: Plan::FORMAT,
            inventory: plan.inventory.to_string(),
            summary: plan.summary(),
            changes: plan
                .changes
                .iter()
                .map(|c| ChangeDocument {
                    addr: c.addr.to_string(),
                    action: c.action,
                    reason: c.reason.clone(),
                    via: c.via,
                    risk: c.risk,
                    drift: c.drift,
                    fields: c.fields.clone(),
                })
                .collect(),
            orphans: plan
                .orphans
                .iter()
                .map(|o| OrphanDocument {
                    addr: o.addr.to_string(),
                    host: o.host.to_string(),
                    description: o.description.clone(),
                })
                .collect(),
            gaps: plan.gaps.iter().map(Into::into).collect(),
            notes: plan.notes.clone(),
            steps: plan
                .steps
                .iter()
                .map(|s| StepDocument {
                    id: s.id.to_string(),
                    addr: s.addr.to_string(),
                    title: s.title.clone(),
                    host: s.host.to_string(),
                    via: s.via,
                    risk: s.risk,
                    needs: s.needs.iter().map(ToString::to_string).collect(),
                    undo: match &s.undo {
                        Undo::Ops { .. } => UndoDocument::Ops,
                        Undo::Nothing { why } => UndoDocument::Nothing { why: why.clone() },
                        Undo::Irreversible { why } => UndoDocument::Irreversible { why: why.clone() },
                    },
                })
                .collect(),
            rehearsal: None,
        }
    }
}

/// A run, as `apply --output json` and `history --output json` show it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra run")]
pub struct RunDocument {
    /// Version of this format.
    pub format: u32,
    /// Which run; none where there was nothing to do.
    pub run: Option<String>,
    /// Of which inventory.
    pub inventory: String,
    /// `apply` or `destroy`.
    pub verb: String,
    /// Who ran it.
    pub operator: String,
    /// When it began, in UTC.
    pub started: Option<String>,
    /// When the last thing happened, in UTC.
    pub last: Option<String>,
    /// `converged`, `unconverged`, `failed`, `rolled-back`, `stuck`, `interrupted`, `unfinished`,
    /// `unchanged` where there was nothing to do, or `not-rehearsed` where a rehearsal was not clean and
    /// nothing was begun.
    pub outcome: String,
    /// Its steps in the plan's order.
    pub steps: Vec<RunStepDocument>,
    /// What a rehearsal found before; only with `apply --rehearse`, and where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalDocument>,
}

/// A step of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunStepDocument {
    /// Its id.
    pub id: String,
    /// The resource that it belongs to.
    pub addr: String,
    /// What it does.
    pub title: String,
    /// Where.
    pub host: String,
    /// `done`, `warning`, `skipped`, `failed`, `unfinished` or `not-begun`.
    pub outcome: String,
    /// Why it failed or was skipped, or what the host warned of.
    pub why: Option<String>,
    /// Whether it was taken back.
    pub taken_back: bool,
}

impl From<&RunState> for RunDocument {
    fn from(run: &RunState) -> Self {
        Self {
            format: Self::FORMAT,
            run: run.run.as_ref().map(ToString::to_string),
            inventory: run.inventory.clone(),
            verb: run.verb.clone(),
            operator: run.operator.clone(),
            started: run.started.map(|at| at.to_string()),
            last: run.last.map(|at| at.to_string()),
            outcome: outcome_word(run.outcome).to_owned(),
            steps: run
                .outline
                .iter()
                .map(|outline| {
                    let step = run.steps.get(&outline.id);
                    let (outcome, why) = match step.map(|step| &step.outcome) {
                        None => ("not-begun", None),
                        Some(None) => ("unfinished", None),
                        Some(Some(Outcome::Done)) => ("done", None),
                        Some(Some(Outcome::Warning { message })) => ("warning", Some(message)),
                        Some(Some(Outcome::Skipped { why })) => ("skipped", Some(why)),
                        Some(Some(Outcome::Failed { why, .. })) => ("failed", Some(why)),
                    };
                    let undo = step.and_then(|step| step.undo.as_ref());
                    RunStepDocument {
                        id: outline.id.to_string(),
                        addr: outline.addr.to_string(),
                        title: outline.title.clone(),
                        host: outline.host.to_string(),
                        outcome: outcome.to_owned(),
                        why: why.cloned(),
                        taken_back: matches!(undo, Some(Some(Outcome::Done | Outcome::Warning { .. }))),
                    }
                })
                .collect(),
            rehearsal: None,
        }
    }
}

impl RunDocument {
    /// The version of this format.
    pub const FORMAT: u32 = 1;

    /// What is answered when there was nothing to do: no run was begun.
    #[must_use]
    pub fn unchanged(inventory: &EnvironmentName, verb: &str, operator: String) -> Self {
        Self {
            format: Self::FORMAT,
            run: None,
            inventory: inventory.to_string(),
            verb: verb.to_owned(),
            operator,
            started: None,
            last: None,
            outcome: "unchanged".to_owned(),
            steps: Vec::new(),
            rehearsal: None,
        }
    }

    /// What is answered when a rehearsal was not clean: no run was begun.
    #[must_use]
    pub fn not_rehearsed(inventory: &EnvironmentName, operator: String, rehearsal: RehearsalDocument) -> Self {
        let outcome = "not-rehearsed".to_owned();
        Self { outcome, rehearsal: Some(rehearsal), ..Self::unchanged(inventory, "apply", operator) }
    }
}

/// The JSON Schema of [`RunDocument`].
#[must_use]
pub fn run_schema() -> schemars::Schema {
    schemars::schema_for!(RunDocument)
}

/// The JSON Schema of [`PlanDocument`].
#[must_use]
pub fn plan_schema() -> schemars::Schema {
    schemars::schema_for!(PlanDocument)
}

/// A value over several lines, with a line break at the end.
///
/// # Errors
/// When the value has no form in JSON.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n")
}

/// A value on one line, with a line break at the end: `jsonl`.
///
/// # Errors
/// When the value has no form in JSON.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(|text| text + "\n")
}

/// An event on one line: the form of the journal.
///
/// # Errors
/// When the event has no form in JSON.
pub fn event_line(event: &Event) -> serde_json::Result<String> {
    line(event)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::sample;
    use super::*;

    #[test]
    fn the_document_has_the_promised_keys_and_hides_what_is_sensitive() {
        let value = serde_json::to_value(PlanDocument::from(&sample::plan())).unwrap();
        assert_eq!(value["summary"]["create"], 1);
        assert_eq!(value["summary"]["drift"], 1);
        assert_snapshot!(serde_json::to_string_pretty(&value["changes"][0]).unwrap(), @r#"
        {
          "addr": "ct.proj-x",
          "action": "create",
          "reason": "does not exist",
          "via": "api+ssh",
          "risk": "none",
          "drift": false,
          "fields": [
            {
              "path": "vmid",
              "from": null,
              "to": "104",
              "drift": false,
              "needs_restart": false
            },
            {
              "path": "mp0",
              "from": null,
              "to": "/rpool/containers/proj-x,mp=/workspace",
              "drift": false,
              "needs_restart": false
            },
            {
              "path": "token",
              "from": null,
              "to": {
                "sensitive": true
              },
              "drift": false,
              "needs_restart": false
            }
          ]
        }
        "#);
        assert_snapshot!(serde_json::to_string_pretty(&value["changes"][1]).unwrap(), @r#"
        {
          "addr": "vm.plan-hq",
          "action": "restart",
          "reason": "memory differs",
          "via": "api",
          "risk": "downtime",
          "drift": true,
          "fields": [
            {
              "path": "memory",
              "from": "16 GiB",
              "to": "32 GiB",
              "drift": true,
              "needs_restart": true
            }
          ]
        }
        "#);
    }

    #[test]
    fn the_schema_requires_what_the_document_always_has() {
        let schema = plan_schema().to_value();
        let document = serde_json::to_value(PlanDocument::from(&sample::plan())).unwrap();
        let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(|k| k.as_str()).collect();
        let keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(required, keys);
    }

    #[test]
    fn events_are_single_lines() {
        for event in sample::events() {
            let line = event_line(&event).unwrap();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        }
    }
}
