//! A script in a guest, over SSH to its host: `pct exec` for a container, the guest agent for a VM.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::blueprint::{Guest, GuestShape};
use crate::ports::{Command, Shell};

/// How long a script may run, in seconds; the agent waits as long.
const LIMIT_S: u64 = 50;

/// What a script printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// What `qm guest exec` prints (qemu-server, `agent/exec-status`).
#[derive(Deserialize)]
struct AgentAnswer {
    exited: Option<u8>,
    #[serde(rename = "out-data", default)]
    stdout: String,
    #[serde(rename = "err-data", default)]
    stderr: String,
}

/// Runs a script in a guest, as its root.
///
/// # Errors
/// With why it did not run to its end.
pub async fn run(shell: &Arc<dyn Shell>, guest: &Guest, script: String) -> Result<Printed, String> {
    let vmid = guest.vmid.to_string();
    let limit = LIMIT_S.to_string();
    let is_vm = matches!(guest.shape, GuestShape::Vm(_));
    let how: Vec<&str> = match guest.shape {
        GuestShape::Vm(_) => vec!["qm", "guest", "exec", &vmid, "--timeout", &limit, "--", "sh", "-c", &script],
        GuestShape::Container(_) => vec!["pct", "exec", &vmid, "--", "sh", "-c", &script],
    };
    let command = Command::new(how).limit(Duration::from_secs(LIMIT_S + 10));
    let output = shell.run(&command).await.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let refused = |code: i32| {
        let said = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
        format!("`{}` exited with {code}: {said}", if is_vm { "qm guest exec" } else { "pct exec" })
    };
    if !is_vm {
        // pct passes the script's own code on: 0, as the script ends with `wait`.
        return if output.code == 0 { Ok(Printed { stdout, stderr }) } else { Err(refused(output.code)) };
    }
    match serde_json::from_str::<AgentAnswer>(&stdout) {
        Ok(answer) if answer.exited == Some(1) => Ok(Printed { stdout: answer.stdout, stderr: answer.stderr }),
        Ok(_) => Err(format!("it was not done within {LIMIT_S} s")),
        Err(_) => Err(refused(output.code)),
    }
}
