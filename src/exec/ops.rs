//! One operation, carried out.
//!
//! Whatever gets lost on the way is looked for before anything is repeated: a task by its type and
//! guest among the node's tasks, an effect by the operation's own condition. Nothing is decided here
//! about what to change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::condition::{Look, look};
use super::recover;
use super::teller::{Teller, Unwritten};
use crate::client::{CallError, Session, TaskEnd, TaskWatch};
use crate::event::What;
use crate::model::step::{Condition, Op};
use crate::model::{Content, Keep, Piece, Upid};
use crate::ports::{Command, PutError, Request, SecretStore, Shell, TransportError, put};
use crate::proxmox::FailureKind;
use crate::proxmox::answer::lock_timeout;
use crate::proxmox::endpoints;

/// How long a call whose answer got lost may take to show its effect: PVE's own lock wait of 10 s
/// and what comes after it.
const SETTLE_S: u32 = 15;
/// How often a call that did not land is sent again.
const RESENDS: u32 = 2;
/// How long a task's lock timeout is worth another try.
const LOCK_PATIENCE: Duration = Duration::from_secs(120);
/// How long a command may run. `update-initramfs -u -k all` compresses one disk per kernel that is installed: 520 s were
/// seen for one of them on an emulated machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(1800);

/// The doors of the host that a step is for.
pub(super) struct Hands<'a> {
    session: &'a Session,
    /// Of the host, or of the guest that the step is in.
    shell: Option<&'a dyn Shell>,
    secrets: Option<&'a dyn SecretStore>,
    /// What calls of this list answered that is secret, by the name that it is asked for.
    kept: Mutex<BTreeMap<String, SecretString>>,
}

impl<'a> Hands<'a> {
    pub fn new(session: &'a Session, shell: Option<&'a dyn Shell>, secrets: Option<&'a dyn SecretStore>) -> Self {
        Self { session, shell, secrets, kept: Mutex::default() }
    }

    /// A content with its secrets in it.
    fn fill(&self, content: &Content) -> Result<SecretString, OpError> {
        let refused = |why: String| OpError::new(why, None, Effect::None);
        let mut filled = String::new();
        for piece in content.pieces() {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Secret(name) => {
                    let store = self.secrets.ok_or_else(|| refused(format!("nobody gives out the secret `{name}`")))?;
                    filled.push_str(store.reveal(name).map_err(refused)?.expose_secret());
                }
                Piece::PlainSecret(name) => {
                    let store = self.secrets.ok_or_else(|| refused(format!("nobody gives out the secret `{name}`")))?;
                    let value = store.reveal(name).map_err(refused)?;
                    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~+/=@%:,".contains(c);
                    if !value.expose_secret().chars().all(plain) {
                        return Err(refused(format!(
                            "secret `{name}` holds characters other than letters, digits and `-_.~+/=@%:,`, which the \
                             file that it goes into could not hold"
                        )));
                    }
                    filled.push_str(value.expose_secret());
                }
                Piece::Kept(name) => {
                    let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let value =
                        kept.get(name).ok_or_else(|| refused(format!("no call before this one gave `{name}`")))?;
                    filled.push_str(value.expose_secret());
                }
            }
        }
        Ok(filled.into())
    }
}

/// An operation that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpError {
    pub why: String,
    pub hint: Option<String>,
    pub effect: Effect,
}

/// What a failed operation may have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: it was refused, or its task failed and cleaned up.
    None,
    /// What it was about was not there.
    NothingThere,
    /// Nobody can tell.
    Unknown,
}

impl OpError {
    pub fn new(why: impl Into<String>, hint: Option<String>, effect: Effect) -> Self {
        Self { why: why.into(), hint, effect }
    }
}

impl From<CallError> for OpError {
    fn from(error: CallError) -> Self {
        let effect = match error.kind() {
            Some(FailureKind::NotFound) => Effect::NothingThere,
            _ if error.is_uncertain() => Effect::Unknown,
            _ => Effect::None,
        };
        Self::new(error.to_string(), error.hint(), effect)
    }
}

impl From<Unwritten> for OpError {
    fn from(_: Unwritten) -> Self {
        Self::new("the journal cannot be written, so nothing more is done", None, Effect::None)
    }
}

/// What an operation that did its work had to say.
pub(super) type Warning = Option<String>;

/// Carries out `ops[at]`.
pub(super) async fn carry_out(hands: &Hands<'_>, ops: &[Op], at: usize, teller: &Teller) -> Result<Warning, OpError> {
    match &ops[at] {
        Op::Call { request, landed } => call(hands, request, landed.as_ref(), teller, false).await,
        Op::Task { request, landed } => call(hands, request, landed.as_ref(), teller, true).await,
        Op::Exec { argv } => {
            let proof = match ops.get(at + 1) {
                Some(Op::Await { condition, .. }) => Some(condition),
                _ => None,
            };
            execute(hands, argv, proof, teller).await
        }
        Op::Obtain { request, keep } => obtain(hands, request, keep, teller).await,
        Op::PutFile { path, content, mode } => {
            let content = hands.fill(content)?;
            put_file(hands, path, &content, *mode, teller).await
        }
        Op::Await { condition, within_s, otherwise, or_warn } => {
            match wait_for(hands, condition, *within_s, teller).await {
                Look::True => Ok(None),
                Look::False(now) if *or_warn => Ok(Some(format!("{otherwise} (now: {now})"))),
                Look::Blind(error) if *or_warn => Ok(Some(format!("{otherwise} (now: {error})"))),
                Look::False(now) => Err(OpError::new(format!("{otherwise} (now: {now})"), None, Effect::None)),
                Look::Blind(error) => Err(error.into()),
            }
        }
        // A guard holds for the list that it is in, so that whoever carries the list out has it.
        Op::Guard { .. } => Err(OpError::new("a guard cannot be carried out alone", None, Effect::None)),
    }
}

async fn call(
    hands: &Hands<'_>,
    request: &Request,
    landed: Option<&Condition>,
    teller: &Teller,
    is_task: bool,
) -> Result<Warning, OpError> {
    let session = hands.session;
    let began = session.clock().now();
    let mut resends = 0;
    loop {
        let sent = session.clock().now();
        let answer = session.write(request, &mut |why| teller.waiting(why)).await;
        let error = match answer.and_then(|answer| if is_task { task_id(request, &answer) } else { Ok(None) }) {
            Ok(None) => return Ok(None),
            Ok(Some(upid)) => {
                teller.task(&upid).await?;
                match follow(hands, &upid, landed, teller).await {
                    Err(Unfollowed::Failed(error))
                        if error.is_lock_timeout() && session.since(began) < LOCK_PATIENCE =>
                    {
                        teller.waiting(format!("a lock is busy: {error}"));
                        session.clock().sleep(Duration::from_secs(3)).await;
                        continue;
                    }
                    done => return Ok(done?),
                }
            }
            Err(error) => error,
        };
        if !error.is_uncertain() {
            // a second one is refused where the first one did land after all
            let landed_late = resends > 0 && settled(hands, landed, 0, teller).await == Some(true);
            return if landed_late { Ok(None) } else { Err(error.into()) };
        }
        teller.waiting(format!("the answer got lost, looking what became of it: {error}"));
        if let Some(found) = find_task(session, request, sent, teller).await? {
            return match follow(hands, &found, landed, teller).await {
                Err(Unfollowed::Failed(_)) if settled(hands, landed, 0, teller).await == Some(true) => Ok(None),
                done => Ok(done?),
            };
        }
        match settled(hands, landed, SETTLE_S, teller).await {
            Some(true) => return Ok(None),
            Some(false) if resends < RESENDS => {}
            // without a condition, only what leaves a task behind can be known not to have happened
            None if landed.is_none()
                && resends < RESENDS
                && recover::expected(request).is_some()
                && reachable(session).await => {}
            _ => return Err(error.into()),
        }
        resends += 1;
        teller.waiting("it did not happen: sending it again".to_owned());
    }
}

/// Sends a call and keeps something of its answer.
async fn obtain(hands: &Hands<'_>, request: &Request, keep: &Keep, teller: &Teller) -> Result<Warning, OpError> {
    let mut sends = 0;
    let answer = loop {
        sends += 1;
        match hands.session.write(request, &mut |why| teller.waiting(why)).await {
            Err(error) if error.is_uncertain() && sends <= RESENDS => {
                teller.waiting(format!("the answer got lost, asking anew: {error}"));
            }
            answer => break answer?,
        }
    };
    let Some(value) = answer.get(&keep.key).and_then(Value::as_str) else {
        // the answer itself may be secret, so nothing of it is said
        let why = format!("{} {} answered without a `{}`", request.method, request.path, keep.key);
        return Err(OpError::new(why, None, Effect::None));
    };
    let mut kept = hands.kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.insert(keep.name.clone(), value.to_owned().into());
    Ok(None)
}

/// The task's id; nothing where the work was done before the answer came.
fn task_id(request: &Request, answer: &Value) -> Result<Option<Upid>, CallError> {
    let why = match answer {
        Value::Null => return Ok(None),
        Value::String(text) => match text.parse() {
            Ok(upid) => return Ok(Some(upid)),
            Err(invalid) => {
                let invalid: crate::diag::Invalid = invalid;
                invalid.problem
            }
        },
        other => format!("`{other}` is not the id of a task"),
    };
    Err(CallError::Unreadable { request: format!("{} {}", request.method, request.path), why })
}

/// Whether the host answers again, so that "no such task" means something.
async fn reachable(session: &Session) -> bool {
    session.read(&endpoints::VERSION.at(&[]).request()).await.is_ok()
}

/// Looks for the task for a while; it may only be about to be started.
async fn find_task(
    session: &Session,
    request: &Request,
    sent: jiff::Timestamp,
    teller: &Teller,
) -> Result<Option<Upid>, OpError> {
    let Some(expected) = recover::expected(request) else { return Ok(None) };
    let since = recover::node_time(session, &expected.node, session.since(sent)).await;
    for pause in [0, 1, 2, 4, 5] {
        session.clock().sleep(Duration::from_secs(pause)).await;
        if let Some(upid) = recover::find(session, &expected, since, |upid| teller.knows(upid)).await {
            teller.task(&upid).await?;
            return Ok(Some(upid));
        }
    }
    Ok(None)
}

/// Whether the effect is there; `None` if nobody can tell.
async fn settled(hands: &Hands<'_>, landed: Option<&Condition>, within_s: u32, teller: &Teller) -> Option<bool> {
    match wait_for(hands, landed?, within_s, teller).await {
        Look::True => Some(true),
        Look::False(_) if reachable(hands.session).await => Some(false),
        Look::False(_) | Look::Blind(_) => None,
    }
}

/// Why a task was not seen to end well.
enum Unfollowed {
    /// It failed.
    Failed(CallError),
    /// Nobody knows how it goes.
    Lost(String),
}

impl From<Unfollowed> for OpError {
    fn from(unfollowed: Unfollowed) -> Self {
        match unfollowed {
            Unfollowed::Failed(error) => error.into(),
            Unfollowed::Lost(why) => Self::new(why, Some("look at the task on the host".into()), Effect::Unknown),
        }
    }
}

async fn follow(
    hands: &Hands<'_>,
    upid: &Upid,
    landed: Option<&Condition>,
    teller: &Teller,
) -> Result<Warning, Unfollowed> {
    struct Watch<'a>(&'a Teller);
    impl TaskWatch for Watch<'_> {
        fn log(&mut self, lines: Vec<String>) {
            self.0.mention(What::TaskLog { step: self.0.step(), lines });
        }
        fn silent(&mut self, why: String) {
            self.0.waiting(why);
        }
    }
    match hands.session.follow(upid, &mut Watch(teller)).await {
        Ok(TaskEnd::Done) => Ok(None),
        Ok(TaskEnd::Warned(message)) => Ok(Some(message)),
        Err(error @ CallError::Task { .. }) => Err(Unfollowed::Failed(error)),
        Err(error) => match settled(hands, landed, 0, teller).await {
            Some(true) => Ok(None),
            _ => Err(Unfollowed::Lost(format!("task {upid} cannot be followed any more and may still run: {error}"))),
        },
    }
}

async fn execute(
    hands: &Hands<'_>,
    argv: &[String],
    proof: Option<&Condition>,
    teller: &Teller,
) -> Result<Warning, OpError> {
    let shell = need_shell(hands)?;
    let command = Command::new(argv.iter().cloned()).limit(COMMAND_LIMIT);
    let began = hands.session.clock().now();
    let mut sends = 0;
    loop {
        sends += 1;
        match shell.run(&command).await {
            // exit codes of PVE's commands lie both ways: the condition after it has the last word
            Ok(output) if output.code == 0 => return Ok(None),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let why = format!("`{}` exited with {}: {said}", argv[0], output.code);
                if lock_timeout(&said) && hands.session.since(began) < LOCK_PATIENCE {
                    teller.waiting(format!("a lock is busy: {why}"));
                    hands.session.clock().sleep(Duration::from_secs(3)).await;
                    continue;
                }
                return match settled(hands, proof, 0, teller).await {
                    Some(true) => Ok(Some(why)),
                    _ => Err(OpError::new(why, None, Effect::None)),
                };
            }
            Err(TransportError::NotSent { why, .. }) if sends <= RESENDS => {
                teller.waiting(format!("not reached: {why}"));
                hands.session.clock().sleep(Duration::from_secs(1)).await;
            }
            Err(TransportError::Uncertain { why, .. }) => {
                teller.waiting(format!("the connection broke, looking what became of it: {why}"));
                match settled(hands, proof, SETTLE_S, teller).await {
                    Some(true) => return Ok(None),
                    Some(false) if sends <= RESENDS => teller.waiting("it did not happen: running it again".to_owned()),
                    _ => {
                        return Err(
                            CallError::Transport(TransportError::Uncertain { peer: argv[0].clone(), why }).into()
                        );
                    }
                }
            }
            Err(error) => return Err(CallError::Transport(error).into()),
        }
    }
}

/// Whether an operation that ended unknown did happen, looked at once; `None` if nobody can tell.
pub(super) async fn happened(hands: &Hands<'_>, ops: &[Op], at: usize, teller: &Teller) -> Option<bool> {
    let condition = match (&ops[at], ops.get(at + 1)) {
        (Op::Call { landed, .. } | Op::Task { landed, .. }, _) => landed.as_ref(),
        (Op::Exec { .. }, Some(Op::Await { condition, .. })) => Some(condition),
        _ => None,
    };
    settled(hands, condition, 0, teller).await
}

async fn put_file(
    hands: &Hands<'_>,
    path: &str,
    content: &SecretString,
    mode: u32,
    teller: &Teller,
) -> Result<Warning, OpError> {
    let shell = need_shell(hands)?;
    let mut sends = 0;
    loop {
        sends += 1;
        match put(shell, path, content.expose_secret().as_bytes(), mode).await {
            Ok(()) => return Ok(None),
            // the same file again is the same file
            Err(PutError::Transport(TransportError::NotSent { why, .. } | TransportError::Uncertain { why, .. }))
                if sends <= RESENDS =>
            {
                teller.waiting(format!("the connection broke: {why}"));
                hands.session.clock().sleep(Duration::from_secs(1)).await;
            }
            Err(PutError::Transport(error)) => return Err(CallError::Transport(error).into()),
            Err(error) => return Err(OpError::new(error.to_string(), None, Effect::None)),
        }
    }
}

fn need_shell<'a>(hands: &Hands<'a>) -> Result<&'a dyn Shell, OpError> {
    hands.shell.ok_or_else(|| {
        let hint = "declare `ssh` for this host in the inventory".to_owned();
        OpError::new("this needs SSH access to the host", Some(hint), Effect::None)
    })
}

/// Looks until it is so or the time is up; with no time, once.
async fn wait_for(hands: &Hands<'_>, condition: &Condition, within_s: u32, teller: &Teller) -> Look {
    let began = hands.session.clock().now();
    let limit = Duration::from_secs(within_s.into());
    let mut pause = Duration::from_millis(500);
    let mut said = String::new();
    loop {
        match look(condition, hands.session, hands.shell).await {
            Look::False(why) if hands.session.since(began) < limit => {
                if why != said {
                    teller.waiting(why.clone());
                    said = why;
                }
            }
            done => return done,
        }
        let left = limit.saturating_sub(hands.session.since(began));
        hands.session.clock().sleep(pause.min(left)).await;
        pause = pause.mul_f64(1.5).min(Duration::from_secs(5));
    }
}
