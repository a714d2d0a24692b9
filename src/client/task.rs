//! Following a task to its end.

use std::time::Duration;

use serde_json::Value;

use super::{CallError, Session};
use crate::model::Upid;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// How long nobody may answer while a task is followed: long enough for daemons that are restarted.
const PATIENCE: Duration = Duration::from_secs(180);
/// Lines of the log that are fetched at once.
const PAGE: usize = 500;
/// Pages of the log that are read before its task is looked at again.
const PAGES: usize = 40;
/// Lines of the log that an error carries.
const TAIL: usize = 8;

/// How a task ended that did its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    /// `OK`.
    Done,
    /// `WARNINGS: n`: its work is done, and this is what it warned of.
    Warned(String),
}

/// Told of new lines of a task's log, and of why nothing is known for the moment.
pub trait TaskWatch: Send {
    /// New lines.
    fn log(&mut self, lines: Vec<String>);
    /// Nobody answers right now.
    fn silent(&mut self, why: String);
}

/// The log as far as it was read.
#[derive(Default)]
struct Log {
    seen: usize,
    last: Vec<String>,
    warnings: Vec<String>,
}

impl Log {
    fn take(&mut self, lines: &[String]) {
        self.seen += lines.len();
        self.warnings.extend(lines.iter().filter(|line| line.starts_with("WARN")).cloned());
        self.last.extend(lines.iter().filter(|line| !line.starts_with("TASK ")).cloned());
        let surplus = self.last.len().saturating_sub(TAIL);
        self.last.drain(..surplus);
    }
}

impl Session {
    /// Follows a task to its end, however long it takes, through restarts of the daemons.
    ///
    /// # Errors
    /// With [`CallError::Task`] when it failed, and with the last failure when nobody answered for
    /// three minutes; the task may then still run.
    pub async fn follow(&self, upid: &Upid, watch: &mut dyn TaskWatch) -> Result<TaskEnd, CallError> {
        let status = endpoints::TASK_STATUS.at(&[upid.node(), upid.as_str()]).request();
        let mut log = Log::default();
        let mut pause = Duration::from_millis(200);
        let mut heard = self.clock().now();
        loop {
            self.clock().sleep(pause).await;
            pause = pause.mul_f64(1.4).min(Duration::from_secs(2));
            let answer = match self.read(&status).await {
                Ok(answer) => answer,
                Err(error) if error.is_unreachable() && self.since(heard) < PATIENCE => {
                    watch.silent(error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            };
            heard = self.clock().now();
            self.drain(upid, &mut log, watch).await;
            match answer.get("status").and_then(Value::as_str) {
                Some("running") => {}
                Some("stopped") => return end(upid, answer.get("exitstatus").and_then(Value::as_str), log),
                _ => {
                    return Err(CallError::Unreadable {
                        request: format!("{} {}", status.method, status.path),
                        why: "the answer does not say whether the task runs or has stopped".to_owned(),
                    });
                }
            }
        }
    }

    /// Reads what the log has more. That it cannot be read is no reason to stop following.
    async fn drain(&self, upid: &Upid, log: &mut Log, watch: &mut dyn TaskWatch) {
        for _ in 0..PAGES {
            let Ok(answer) = self.once(&page(upid, log.seen)).await else { return };
            // Lines are numbered from 1; what was seen already is not progress.
            let lines: Vec<String> = answer
                .as_array()
                .into_iter()
                .flatten()
                .filter(|line| line.get("n").and_then(Value::as_u64).is_some_and(|n| n > log.seen as u64))
                .filter_map(|line| line.get("t").and_then(Value::as_str).map(str::to_owned))
                .collect();
            // An empty log reads as this one line (9.2.11).
            if lines.is_empty() || (log.seen == 0 && lines == ["no content"]) {
                return;
            }
            log.take(&lines);
            let full = lines.len() >= PAGE;
            watch.log(lines);
            if !full {
                return;
            }
        }
    }
}

fn page(upid: &Upid, start: usize) -> Request {
    endpoints::TASK_LOG.at(&[upid.node(), upid.as_str()]).set("start", start).set("limit", PAGE).request()
}

fn end(upid: &Upid, exitstatus: Option<&str>, log: Log) -> Result<TaskEnd, CallError> {
    match exitstatus {
        Some("OK") => Ok(TaskEnd::Done),
        Some(status) if status.starts_with("WARNINGS:") => {
            Ok(TaskEnd::Warned(if log.warnings.is_empty() { status.to_owned() } else { log.warnings.join("; ") }))
        }
        // A worker that was killed leaves no status behind.
        other => Err(CallError::Task {
            upid: upid.clone(),
            exitstatus: other.unwrap_or("unexpected status").to_owned(),
            log_tail: log.last,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::testing::{FakeApi, FakeClock, Reply};
    use crate::ports::{Api, Clock};

    #[derive(Default)]
    struct Seen {
        lines: Vec<String>,
        silent: usize,
    }

    impl TaskWatch for Seen {
        fn log(&mut self, lines: Vec<String>) {
            self.lines.extend(lines);
        }
        fn silent(&mut self, _: String) {
            self.silent += 1;
        }
    }

    async fn follow(replies: Vec<Reply>) -> (Result<TaskEnd, CallError>, Seen) {
        let api = FakeApi::script(replies);
        let session = Session::new(Arc::clone(&api) as Arc<dyn Api>, FakeClock::new() as Arc<dyn Clock>, 1);
        let upid = "UPID:pve1:00000145:0001EC48:6B01672F:qmcreate:100:infra@pve!tok:".parse().unwrap();
        let mut seen = Seen::default();
        let end = session.follow(&upid, &mut seen).await;
        (end, seen)
    }

    fn running() -> Reply {
        Reply::data(r#"{"status":"running"}"#)
    }

    fn stopped(exitstatus: &str) -> Reply {
        Reply::data(&format!(r#"{{"status":"stopped","exitstatus":"{exitstatus}"}}"#))
    }

    /// Lines of a log, the first of them with that number.
    fn lines(first: u64, lines: &[&str]) -> Reply {
        let rows: Vec<Value> = lines.iter().zip(first..).map(|(t, n)| serde_json::json!({"n": n, "t": t})).collect();
        Reply::data(&Value::from(rows).to_string())
    }

    #[tokio::test]
    async fn each_line_of_the_log_is_told_once() {
        let (end, seen) = follow(vec![
            running(),
            lines(1, &["no content"]),
            running(),
            lines(1, &["a"]),
            stopped("OK"),
            lines(2, &["b", "TASK OK"]),
        ])
        .await;
        assert_eq!(end, Ok(TaskEnd::Done));
        assert_eq!(seen.lines, ["a", "b", "TASK OK"]);
    }

    #[tokio::test]
    async fn warnings_are_a_success_that_says_so() {
        let log = lines(1, &["WARN: no efidisk configured!", "TASK WARNINGS: 1"]);
        let (end, _) = follow(vec![stopped("WARNINGS: 1"), log]).await;
        assert_eq!(end, Ok(TaskEnd::Warned("WARN: no efidisk configured!".into())));
    }

    #[tokio::test]
    async fn a_daemon_that_restarts_midway_does_not_lose_the_task() {
        let mut replies = vec![running(), lines(1, &["a"])];
        replies.extend(std::iter::repeat_n(Reply::status(596, "Broken pipe"), 12));
        replies.extend([stopped("OK"), lines(2, &["TASK OK"])]);
        let (end, seen) = follow(replies).await;
        assert_eq!(end, Ok(TaskEnd::Done));
        assert!(seen.silent > 0);
    }

    #[tokio::test]
    async fn a_failed_task_says_why_with_the_end_of_its_log() {
        let (end, _) =
            follow(vec![stopped("VM 100 already running"), lines(1, &["x", "TASK ERROR: VM 100 already running"])])
                .await;
        let Err(CallError::Task { exitstatus, log_tail, .. }) = end else { panic!("{end:?}") };
        assert_eq!((exitstatus.as_str(), &log_tail[..]), ("VM 100 already running", &["x".to_owned()][..]));
        let (end, _) = follow(vec![Reply::data(r#"{"status":"stopped"}"#), lines(1, &[])]).await;
        assert!(end.unwrap_err().to_string().contains("unexpected status"));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_say_how_the_task_is_ends_the_following() {
        for strange in ["{}", "null", "[]", r#"{"status":"paused"}"#, r#"{"status":["stopped"]}"#] {
            let replies = std::iter::repeat_with(|| [Reply::data(strange), lines(1, &[])]).take(9).flatten();
            let (end, _) = follow(replies.collect()).await;
            let Err(CallError::Unreadable { request, .. }) = end else { panic!("{end:?}") };
            assert!(request.ends_with("/status"), "{request}");
        }
    }

    #[tokio::test]
    async fn a_log_that_never_moves_on_or_never_ends_is_not_read_for_ever() {
        let page: Vec<String> = (0..PAGE).map(|n| n.to_string()).collect();
        let page: Vec<&str> = page.iter().map(String::as_str).collect();
        let (end, seen) = follow(vec![stopped("OK"), lines(1, &page), lines(1, &page)]).await;
        assert_eq!((end, seen.lines.len()), (Ok(TaskEnd::Done), PAGE));
        let endless = (0..2 * PAGES as u64).map(|n| lines(n * PAGE as u64 + 1, &page));
        let (end, seen) = follow(std::iter::once(stopped("OK")).chain(endless).collect()).await;
        assert_eq!((end, seen.lines.len()), (Ok(TaskEnd::Done), PAGE * PAGES));
    }
}
