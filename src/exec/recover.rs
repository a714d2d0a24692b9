//! Finding out what became of a call whose answer got lost.

use std::time::Duration;

use serde_json::Value;

use crate::client::Session;
use crate::model::Upid;
use crate::ports::Request;
use crate::proxmox::endpoints;
use crate::proxmox::task_type::{Expected, started_by};

/// A moment on a node's own clock, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeTime(i64);

/// When, on the node's clock, something happened that is `ago` by ours: the two may be far apart.
pub(super) async fn node_time(session: &Session, node: &str, ago: Duration) -> NodeTime {
    let answer = session.read(&endpoints::NODE_TIME.at(&[node]).request()).await;
    let now = answer
        .ok()
        .and_then(|data| data.get("time").and_then(Value::as_i64))
        .unwrap_or_else(|| session.clock().now().as_second());
    // a second for rounding, one for the way there
    NodeTime(now - i64::try_from(ago.as_secs()).unwrap_or(i64::MAX) - 2)
}

/// The task that a call would start, if the call starts one.
pub(super) fn expected(request: &Request) -> Option<Expected> {
    started_by(request)
}

/// The newest task like that which began since and is not `known`; running ones and ended ones alike.
pub(super) async fn find(
    session: &Session,
    expected: &Expected,
    since: NodeTime,
    known: impl Fn(&Upid) -> bool,
) -> Option<Upid> {
    let request = endpoints::TASKS
        .at(&[&expected.node])
        .set("source", "all")
        .set("typefilter", expected.task_type)
        .set_maybe("vmid", expected.vmid)
        .request();
    let data = session.read(&request).await.ok()?;
    data.as_array()?
        .iter()
        .filter(|task| task.get("starttime").and_then(Value::as_i64).is_some_and(|start| start >= since.0))
        .filter_map(|task| {
            let upid: Upid = task.get("upid")?.as_str()?.parse().ok()?;
            Some((task.get("starttime")?.as_i64()?, upid))
        })
        .filter(|(_, upid)| !known(upid))
        .max()
        .map(|(_, upid)| upid)
}
