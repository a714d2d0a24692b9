//! The shell of a guest, through the shell of its host.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::model::Inside;
use crate::ports::{BoxFuture, Command, Output, Shell, TransportError};

/// What one command may be given to read in a VM, in bytes (qemu-server, `PVE::CLI::qm`).
const AGENT_INPUT: usize = 1024 * 1024;

/// Runs commands in a guest as its root: what a [`Shell`] is for a host.
pub struct InGuest {
    host: Arc<dyn Shell>,
    inside: Inside,
}

impl fmt::Debug for InGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InGuest").field("inside", &self.inside).finish_non_exhaustive()
    }
}

impl InGuest {
    /// The shell of a guest that runs on the host behind `host`.
    #[must_use]
    pub fn new(host: Arc<dyn Shell>, inside: Inside) -> Self {
        Self { host, inside }
    }
}

/// What `qm guest exec` prints (qemu-server, `PVE::QemuServer::Agent::qemu_exec_status`): of a process that has not
/// ended in time its number alone.
#[derive(Deserialize)]
struct AgentAnswer {
    exited: Option<u8>,
    exitcode: Option<i32>,
    signal: Option<i32>,
    #[serde(rename = "out-data", default)]
    stdout: String,
    #[serde(rename = "err-data", default)]
    stderr: String,
    #[serde(rename = "out-truncated", default)]
    truncated: Option<serde_json::Value>,
}

impl Shell for InGuest {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let seconds = command.limit.as_secs().max(1);
            let input = !command.stdin.is_empty();
            let argv = self.inside.argv(&command.argv, seconds, input);
            // a little longer than the agent is asked for, so that its answer is not cut off
            let limit = command.limit + std::time::Duration::from_secs(10);
            let is_vm = matches!(self.inside, Inside::Vm { .. });
            if is_vm && command.stdin.len() > AGENT_INPUT {
                let why =
                    format!("{} bytes are more than the guest agent is given at once (1 MiB)", command.stdin.len());
                return Err(TransportError::NotSent { peer: self.inside.to_string(), why });
            }
            let output = self.host.run(&Command::new(argv).stdin(command.stdin.clone()).limit(limit)).await?;
            answered(self.inside, output)
        })
    }

    fn anew(&self) -> Option<Arc<dyn Shell>> {
        Some(Arc::new(Self { host: self.host.anew()?, inside: self.inside }))
    }
}

/// What a command in a guest came to, from what [`Inside::argv`] printed on the host.
///
/// # Errors
/// If it did not run, or nobody can tell how it ended.
pub fn answered(inside: Inside, output: Output) -> Result<Output, TransportError> {
    match inside {
        Inside::Container { .. } => attached(inside, output),
        Inside::Vm { .. } => agent_answer(inside, output),
    }
}

/// `pct exec` passes on the exit code of the command, and has 255 of its own where there is nothing to attach to.
fn attached(inside: Inside, output: Output) -> Result<Output, TransportError> {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.code == 255 && said.contains("not running!") {
        return Err(TransportError::NotSent { peer: inside.to_string(), why: said.trim().to_owned() });
    }
    Ok(output)
}

fn agent_answer(inside: Inside, output: Output) -> Result<Output, TransportError> {
    let peer = inside.to_string();
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = || {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if text.is_empty() { format!("`qm guest exec` exited with {}", output.code) } else { text }
    };
    let Ok(answer) = serde_json::from_str::<AgentAnswer>(&printed) else {
        // refused before anything was asked of the agent: not running, no agent, no such VM
        let nothing = ["not running", "No QEMU guest agent", "does not exist"];
        let why = said();
        return Err(match nothing.iter().any(|text| why.contains(text)) {
            true => TransportError::NotSent { peer, why },
            false => TransportError::Uncertain { peer, why },
        });
    };
    if answer.exited != Some(1) {
        let why = "the command was not done in time and may still run".to_owned();
        return Err(TransportError::Uncertain { peer, why });
    }
    if answer.truncated.is_some_and(|cut| cut != false && cut != 0) {
        let why = "the guest agent cut off what the command printed".to_owned();
        return Err(TransportError::Uncertain { peer, why });
    }
    let code = answer.exitcode.or(answer.signal.map(|signal| 128 + signal)).unwrap_or(255);
    Ok(Output { code, stdout: answer.stdout.into_bytes(), stderr: answer.stderr.into_bytes() })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Host {
        asked: Mutex<Vec<Command>>,
        answer: Output,
    }

    impl Shell for Host {
        fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
            self.asked.lock().unwrap().push(command.clone());
            let answer = self.answer.clone();
            Box::pin(async move { Ok(answer) })
        }
    }

    async fn run(
        inside: Inside,
        command: Command,
        code: i32,
        stdout: &str,
        stderr: &str,
    ) -> (Vec<String>, Result<Output, TransportError>) {
        let answer = Output { code, stdout: stdout.into(), stderr: stderr.into() };
        let host = Arc::new(Host { asked: Mutex::default(), answer });
        let came = InGuest::new(Arc::clone(&host) as Arc<dyn Shell>, inside).run(&command).await;
        let asked = host.asked.lock().unwrap().first().map(|asked| asked.argv.clone()).unwrap_or_default();
        (asked, came)
    }

    fn container() -> Inside {
        Inside::Container { vmid: 104.try_into().unwrap() }
    }

    fn vm() -> Inside {
        Inside::Vm { vmid: 100.try_into().unwrap() }
    }

    #[tokio::test]
    async fn a_container_passes_words_and_exit_code_on() {
        let (asked, came) = run(container(), Command::new(["test", "a b"]), 3, "out", "err").await;
        assert_eq!(asked, ["pct", "exec", "104", "--", "test", "a b"]);
        assert_eq!(came, Ok(Output { code: 3, stdout: "out".into(), stderr: "err".into() }));
        let (_, came) = run(container(), Command::new(["true"]), 255, "", "container '104' not running!\n").await;
        assert!(matches!(came, Err(TransportError::NotSent { .. })), "{came:?}");
    }

    #[tokio::test]
    async fn a_vm_answers_with_the_exit_code_that_the_agent_tells() {
        let told = r#"{ "exited" : 1, "exitcode" : 3, "out-data" : "out", "err-data" : "err" }"#;
        let (asked, came) = run(vm(), Command::new(["dd"]).stdin("x"), 0, told, "").await;
        assert_eq!(asked, ["qm", "guest", "exec", "100", "--timeout", "60", "--pass-stdin", "1", "--", "dd"]);
        assert_eq!(came, Ok(Output { code: 3, stdout: "out".into(), stderr: "err".into() }));
        let (_, came) = run(vm(), Command::new(["x"]), 0, r#"{"exited":1,"signal":9}"#, "").await;
        assert_eq!(came.unwrap().code, 137);
    }

    #[tokio::test]
    async fn what_the_agent_did_not_finish_or_never_heard_is_told_apart() {
        let (_, came) = run(vm(), Command::new(["x"]), 0, r#"{"pid":77}"#, "timeout reached, returning pid\n").await;
        assert!(matches!(came, Err(TransportError::Uncertain { .. })), "{came:?}");
        for said in ["QEMU guest agent is not running\n", "VM 100 is not running\n", "No QEMU guest agent configured\n"]
        {
            let (_, came) = run(vm(), Command::new(["x"]), 255, "", said).await;
            assert!(matches!(came, Err(TransportError::NotSent { .. })), "{came:?}");
        }
        let (_, came) = run(vm(), Command::new(["x"]), 255, "", "got timeout\n").await;
        assert!(matches!(came, Err(TransportError::Uncertain { .. })), "{came:?}");
        let (asked, came) = run(vm(), Command::new(["x"]).stdin(vec![0; AGENT_INPUT + 1]), 0, "", "").await;
        assert!(asked.is_empty() && matches!(came, Err(TransportError::NotSent { .. })), "{came:?}");
    }
}
