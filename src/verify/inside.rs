//! A script in a guest, over SSH to its host: `pct exec` for a container, the guest agent for a VM.

use std::sync::Arc;
use std::time::Duration;

use crate::blueprint::Guest;
use crate::client::InGuest;
use crate::ports::{Command, Shell};

/// How long a script may run, in seconds.
const LIMIT_S: u64 = 50;

/// What a script printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a script in a guest, as its root.
///
/// # Errors
/// With why it did not run to its end.
pub async fn run(shell: &Arc<dyn Shell>, guest: &Guest, script: String) -> Result<Printed, String> {
    run_for(shell, guest, script, LIMIT_S).await
}

/// The same, for so many seconds at most.
///
/// # Errors
/// With why it did not run to its end.
pub async fn run_for(shell: &Arc<dyn Shell>, guest: &Guest, script: String, seconds: u64) -> Result<Printed, String> {
    let command = Command::new(["sh", "-c", &script]).limit(Duration::from_secs(seconds));
    let output =
        InGuest::new(Arc::clone(shell), guest.inside()).run(&command).await.map_err(|error| error.to_string())?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    if output.code != 0 {
        // scripts end with `wait`, so this is no connection that failed
        let said = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
        return Err(format!("the script exited with {}: {said}", output.code));
    }
    Ok(Printed { stdout, stderr })
}
