//! Tasks that run right now.

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::Upid;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them.
#[must_use]
pub fn request() -> Request {
    endpoints::CLUSTER_TASKS.at(&[]).request()
}

/// Reads them: those without an end (finished ones stay in the list for a while).
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<Vec<Upid>, Invalid> {
    let mut running = Vec::new();
    for row in Row::all(data)? {
        let looks_only = row.text("type")?.is_some_and(|kind| is_console(&kind));
        if row.text("endtime")?.is_none() && !looks_only {
            running.push(row.need("upid")?.parse()?);
        }
    }
    Ok(running)
}

/// An open console is a task for as long as somebody looks at it, and works on nothing.
fn is_console(kind: &str) -> bool {
    matches!(kind, "vncproxy" | "vncshell" | "spiceproxy" | "spiceshell" | "termproxy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_without_an_end_run_and_no_consoles() {
        let upid = |id: &str| format!("UPID:pve1:00000A9D:0002E02F:6B01699F:qmcreate:{id}:infra@pve!tok:");
        let data = serde_json::json!([
            {"upid": upid("100"), "starttime": 1, "endtime": 2, "status": "OK"},
            {"upid": upid("101"), "starttime": 1, "type": "qmcreate"},
            {"upid": upid("102"), "starttime": 1, "type": "vncproxy"},
        ]);
        let running = read(&data).unwrap();
        assert_eq!(running.iter().map(Upid::id).collect::<Vec<_>>(), ["101"]);
    }
}
