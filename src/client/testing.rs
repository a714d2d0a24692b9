//! Doors and a clock for tests: canned answers at the transport.

use std::collections::VecDeque;
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

type ApiRule = Box<dyn Fn(&Request) -> Reply + Send + Sync>;
type ShellRule = Box<dyn Fn(&Command) -> Result<Output, TransportError> + Send + Sync>;

/// Answers by a script, or by a function of the request.
pub struct FakeApi {
    script: Mutex<VecDeque<Reply>>,
    rule: Option<ApiRule>,
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
    rule: ShellRule,
    seen: Mutex<Vec<Command>>,
}

impl FakeShell {
    /// Answers by what is run.
    pub fn rule(rule: impl Fn(&Command) -> Result<Output, TransportError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rule: Box::new(rule), seen: Mutex::default() })
    }

    /// What was given to each command to read.
    pub fn scripts(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|c| String::from_utf8(c.stdin.clone()).unwrap()).collect()
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

/// Answers a batch: `run` is asked for each of its command lines.
pub fn batch_reply(script: &Command, run: impl Fn(&str) -> Output) -> Output {
    let text = String::from_utf8(script.stdin.clone()).unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let mut reply = None;
    for line in text.lines() {
        if let Some(command) = line.strip_suffix(" </dev/null") {
            reply = Some(run(command));
        } else if let Some(words) = line.strip_prefix("printf '\\n%s %s %s\\n' ") {
            let reply = reply.as_ref().unwrap();
            let mut words = words.split(' ');
            let (nonce, index) = (words.next().unwrap(), words.next().unwrap());
            stdout += &format!("{}\n{nonce} {index} {}\n", String::from_utf8_lossy(&reply.stdout), reply.code);
            stderr += &format!("{}\n{nonce} {index}\n", String::from_utf8_lossy(&reply.stderr));
        }
    }
    output(0, &stdout, &stderr)
}
