//! `/nodes/N/tasks`: workers, their state and their logs.

use serde_json::{Map, Value, json};

use super::super::world::{Task, TaskState};
use super::endpoint::Access::All;
use super::param::{Kind, Param, optional as o};
use super::{Answer, Call, Endpoint, Refusal, split_list};
use crate::model::Upid;
use crate::ports::Method::{Delete, Get};

const FROM_0: Kind = Kind::Int { min: Some(0), max: None };
const ANY_INT: Kind = Kind::Int { min: None, max: None };
const LIST: &[Param] = &[
    o("errors", Kind::Bool),
    o("limit", FROM_0),
    o("since", ANY_INT),
    o("source", Kind::Enum(&["archive", "active", "all"])),
    o("start", FROM_0),
    o("statusfilter", Kind::Text),
    o("typefilter", Kind::Text),
    o("until", ANY_INT),
    o("userfilter", Kind::Text),
    o("vmid", Kind::Vmid),
];
const LOG: &[Param] = &[o("download", Kind::Bool), o("limit", FROM_0), o("start", FROM_0)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/tasks", &[LIST], All, list),
    Endpoint::new(Get, "/nodes/{node}/tasks/{upid}/status", &[], All, status),
    Endpoint::new(Get, "/nodes/{node}/tasks/{upid}/log", &[LOG], All, log),
    Endpoint::new(Delete, "/nodes/{node}/tasks/{upid}", &[], All, stop),
];

/// A worker as a list shows it.
#[must_use]
pub fn listed(task: &Task) -> Map<String, Value> {
    let mut row = Map::from_iter([
        ("upid".to_owned(), json!(task.upid)),
        ("node".to_owned(), json!(task.node)),
        ("pid".to_owned(), json!(task.pid)),
        ("pstart".to_owned(), json!(task.pstart)),
        ("starttime".to_owned(), json!(task.started_ms / 1000)),
        ("type".to_owned(), json!(task.kind)),
        ("id".to_owned(), json!(task.id)),
        ("user".to_owned(), json!(task.user)),
    ]);
    if let Some(token) = &task.token {
        row.insert("tokenid".into(), json!(token));
    }
    if let TaskState::Stopped { ended_ms, exit } = &task.state {
        row.insert("endtime".into(), json!(ended_ms / 1000));
        row.insert("status".into(), json!(exit));
    }
    row
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let values = &call.values;
    let auditor = call.world.may(call.caller, &format!("/nodes/{node}"), &["Sys.Audit"]);
    let source = values.get("source").unwrap_or("archive");
    let vmid = values.get("vmid");
    let matching: Vec<&Task> = call
        .world
        .tasks
        .iter()
        .rev()
        .filter(|task| task.node == node)
        .filter(|task| auditor || task.user == call.caller.user)
        .filter(|task| match source {
            "active" => task.is_running(),
            "archive" => !task.is_running(),
            _ => true,
        })
        .filter(|task| vmid.is_none_or(|vmid| task.id == vmid))
        .filter(|task| !values.flag("errors") || task.exit().is_some_and(|exit| exit != "OK"))
        .filter(|task| values.get("typefilter").is_none_or(|kind| task.kind == kind))
        .filter(|task| values.get("statusfilter").is_none_or(|list| split_list(list).any(|s| s == state(task))))
        .filter(|task| values.get("userfilter").is_none_or(|user| contains(task, user)))
        .filter(|task| values.int("since").is_none_or(|since| task.started_ms / 1000 >= since))
        .filter(|task| values.int("until").is_none_or(|until| task.started_ms / 1000 <= until))
        .collect();
    let start = usize::try_from(values.int("start").unwrap_or(0)).unwrap_or(0);
    let limit = usize::try_from(values.int("limit").unwrap_or(50)).unwrap_or(50);
    let rows = matching.iter().skip(start).take(limit).map(|task| Value::Object(listed(task))).collect();
    Ok(Answer { total: Some(matching.len()), ..Value::Array(rows).into() })
}

/// The word that `statusfilter` takes.
fn state(task: &Task) -> &'static str {
    match task.exit() {
        None => "unknown",
        Some("OK") => "ok",
        Some(exit) if exit.starts_with("WARNINGS: ") => "warning",
        Some("unexpected status") => "unknown",
        Some(_) => "error",
    }
}

/// Whether the user or the token of a task has this text in it, whatever its case.
fn contains(task: &Task, text: &str) -> bool {
    let id = task.token.as_ref().map_or_else(|| task.user.clone(), |token| format!("{}!{token}", task.user));
    id.to_lowercase().contains(&text.to_lowercase())
}

fn find<'a>(call: &'a Call<'_>) -> Result<&'a Task, Refusal> {
    let text = call.var("upid");
    if text.parse::<Upid>().is_err() {
        return Err(Refusal::param("upid", "unable to parse worker upid"));
    }
    let task = call.world.task(text);
    let owner = task.map(|t| t.user.clone()).unwrap_or_default();
    let same_token = task.is_some_and(|t| call.caller.token.is_none() || t.token == call.caller.token);
    if task.is_some() && !(owner == call.caller.user && same_token) {
        call.need(&format!("/nodes/{}", call.var("node")), &["Sys.Audit"])?;
    }
    task.ok_or_else(|| Refusal::param("upid", "no such task"))
}

fn status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let task = find(call)?;
    let mut row = listed(task);
    row.shift_remove("endtime");
    match task.exit() {
        None => row.insert("status".into(), json!("running")),
        Some(exit) => {
            row.insert("exitstatus".into(), json!(exit));
            row.insert("status".into(), json!("stopped"))
        }
    };
    Ok(Value::Object(row).into())
}

fn log(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let task = find(call)?;
    let mut lines = task.lines();
    if lines.is_empty() {
        lines.push("no content".to_owned());
    }
    let start = usize::try_from(call.values.int("start").unwrap_or(0)).unwrap_or(0);
    let limit = match call.values.int("limit") {
        Some(0) => usize::MAX,
        limit => usize::try_from(limit.unwrap_or(50)).unwrap_or(50),
    };
    let rows = lines.iter().enumerate().skip(start).take(limit);
    let rows = rows.map(|(index, text)| json!({"n": index + 1, "t": text})).collect();
    Ok(Answer { total: Some(lines.len()), ..Value::Array(rows).into() })
}

fn stop(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let task = find(call)?;
    if task.user != call.caller.user {
        call.need(&format!("/nodes/{}", call.var("node")), &["Sys.Modify"])?;
    }
    let upid = task.upid.clone();
    super::work::kill(call.world, &upid);
    Ok(().into())
}
