//! Lists of the cluster that the lab keeps nothing for: replication jobs, metric servers, the log.

use serde_json::{Value, json};

use super::endpoint::Access::{All, Every};
use super::param::{Kind, Param, optional as o};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

const MAX: &[Param] = &[o("max", Kind::Int { min: Some(1), max: None })];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/replication", &[], All, nothing),
    Endpoint::new(Get, "/cluster/metrics/server", &[], Every("/", &["Sys.Audit"]), nothing),
    Endpoint::new(Get, "/cluster/log", &[MAX], All, log),
];

fn nothing(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(json!([]).into())
}

/// The newest first: what workers began and ended.
fn log(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &*call.world;
    let all = world.may(call.caller, "/", &["Sys.Syslog"]);
    let max = usize::try_from(call.values.int("max").unwrap_or(50)).unwrap_or(50);
    let mut lines = Vec::new();
    for task in world.tasks.iter().filter(|task| all || task.user == call.caller.user) {
        let user = match &task.token {
            Some(token) => format!("{}!{token}", task.user),
            None => task.user.clone(),
        };
        let mut line = |time: i64, pri: u8, msg: String| {
            lines.push((time, json!({
                "id": lines.len(), "uid": lines.len(), "time": time, "pri": pri, "tag": "pvedaemon", "pid": task.pid,
                "node": task.node, "user": user, "msg": msg,
            })));
        };
        line(task.started_ms / 1000, 6, format!("starting task {}", task.upid));
        if let super::super::world::TaskState::Stopped { ended_ms, exit } = &task.state {
            line(ended_ms / 1000, if exit == "OK" { 6 } else { 3 }, format!("end task {} {exit}", task.upid));
        }
    }
    lines.sort_by_key(|(time, _)| -time);
    Ok(Value::Array(lines.into_iter().take(max).map(|(_, line)| line).collect()).into())
}
