//! Doors and a clock for tests: canned answers at the transport.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::ports::{Api, BoxFuture, Clock, Command, Method, Output, Request, Response, Shell, TransportError};

/// What a fake API does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers.
    Answer(u16, String, String),
    /// Never gets it.
    NotSent,
    /// Drops the connection after it got it.
    Uncertain,
    /// Does not let us in.
    Refused,
}

impl Reply {
    /// 200 with this JSON as `data`.
    pub fn data(json: &str) -> Self {
        Self::Answer(200, "OK".into(), format!(r#"{{"data":{json}}}"#))
    }

    /// A refusal whose text is in the reason phrase alone.
    pub fn status(status: u16, reason: &str) -> Self {
        Self::Answer(status, reason.into(), String::new())
    }

    fn result(self) -> Result<Response, TransportError> {
        let peer = || "pve1:8006".to_owned();
        match self {
            Self::Answer(status, reason, body) => Ok(Response { status, reason, body: body.into_bytes() }),
            Self::NotSent => Err(TransportError::NotSent { peer: peer(), why: "connection refused".into() }),
            Self::Uncertain => Err(TransportError::Uncertain { peer: peer(), why: "connection closed".into() }),
            Self::Refused => Err(TransportError::Refused {
                peer: peer(),
                why: "the certificate is another one".into(),
                hint: "check the fingerprint".into(),
            }),
        }
    }
}

/// Answers by a script, or by a function of the request.
pub struct FakeApi {
    script: Mutex<VecDeque<Reply>>,
    rule: Option<Box<dyn Fn(&Request) -> Reply + Send + Sync>>,
    seen: Mutex<Vec<Request>>,
}

impl FakeApi {
    /// Answers in this order, whatever is asked.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(replies.into_iter().collect()), rule: None, seen: Mutex::default() })
    }

    /// Answers by what is asked.
    pub fn rule(rule: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Mutex::default(), rule: Some(Box::new(rule)), seen: Mutex::default() })
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Which requests came, as `GET /version`.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|r| format!("{} {}", r.method, r.path)).collect()
    }
}

impl Api for FakeApi {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            self.seen.lock().unwrap().push(request.clone());
            tokio::task::yield_now().await;
            match &self.rule {
                Some(rule) => rule(request).result(),
                None => self.script.lock().unwrap().pop_front().expect("the script has an answer left").result(),
            }
        })
    }
}

/// Runs commands by a function of argument vector and input.
pub struct FakeShell {
    rule: Box<dyn Fn(&Command) -> Result<Output, TransportError> + Send + Sync>,
    seen: Mutex<Vec<Command>>,
}

impl FakeShell {
    /// Answers by what is run.
    pub fn rule(rule: impl Fn(&Command) -> Result<Output, TransportError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rule: Box::new(rule), seen: Mutex::default() })
    }

    /// What was run, as command lines.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(Command::line).collect()
    }
}

impl Shell for FakeShell {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            self.seen.lock().unwrap().push(command.clone());
            tokio::task::yield_now().await;
            (self.rule)(command)
        })
    }
}

/// What a command left behind.
pub fn output(code: i32, stdout: &str, stderr: &str) -> Output {
    Output { code, stdout: stdout.into(), stderr: stderr.into() }
}

/// A clock on which sleeping takes no time but moves the hands.
pub struct FakeClock {
    start: jiff::Timestamp,
    slept: Mutex<Duration>,
}

impl FakeClock {
    /// Starts on 21 November 2026.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: "2026-11-21T11:45:00Z".parse().unwrap(), slept: Mutex::default() })
    }

    /// How long it was slept in all.
    pub fn slept(&self) -> Duration {
        *self.slept.lock().unwrap()
    }

    /// Moves the hands.
    pub fn advance(&self, by: Duration) {
        *self.slept.lock().unwrap() += by;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> jiff::Timestamp {
        self.start + self.slept()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.advance(duration);
            tokio::task::yield_now().await;
        })
    }
}

/// A GET of `path`.
pub fn get(path: &str) -> Request {
    Request { method: Method::Get, path: path.into(), params: Vec::new() }
}

/// A POST to `path`.
pub fn post(path: &str) -> Request {
    Request { method: Method::Post, path: path.into(), params: Vec::new() }
}

/// Canned answers by `METHOD /path`.
pub fn table(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(key, json)| ((*key).to_owned(), (*json).to_owned())).collect()
}
