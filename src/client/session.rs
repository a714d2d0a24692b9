//! Calls to one host, with the retries that are safe.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use super::CallError;
use crate::ports::{Api, Clock, Method, Request, Response};
use crate::proxmox::answer;

/// Requests in flight to one host. pveproxy has three workers of one process each: more than a few
/// requests at once only wait there (pve-manager `PVE/Service/pveproxy.pm`).
const IN_FLIGHT: usize = 8;
/// How often a read is sent at most.
const READS: u32 = 5;
/// After this long no further attempt of a read begins, however few there were.
const READ_PATIENCE: Duration = Duration::from_secs(25);
/// How often a write that was never sent is tried at most.
const WRITES: u32 = 5;
/// How long a busy lock is waited for: pmxcfs lets a lock expire after 120 s (pve-cluster `Cluster.pm`).
const LOCK_PATIENCE: Duration = Duration::from_secs(120);

/// Told while a call waits before it is sent again.
pub type Wait<'a> = dyn FnMut(String) + Send + 'a;

/// Calls to one host.
#[derive(Clone)]
pub struct Session {
    api: Arc<dyn Api>,
    clock: Arc<dyn Clock>,
    dice: Arc<Mutex<fastrand::Rng>>,
    slots: Arc<Semaphore>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// A session over one door; `seed` makes its jitter repeatable.
    #[must_use]
    pub fn new(api: Arc<dyn Api>, clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            api,
            clock,
            dice: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
        }
    }

    /// The same session through another door; what is in flight counts for both.
    #[must_use]
    pub(super) fn through(&self, api: Arc<dyn Api>) -> Self {
        Self { api, ..self.clone() }
    }

    /// The same session, with what is below `root` going to another door.
    #[must_use]
    pub(super) fn forked(&self, root: &'static str, other: Arc<dyn Api>) -> Self {
        let host = Arc::clone(&self.api);
        self.through(Arc::new(super::fork::Fork { host, other, root }))
    }

    /// A session over a new connection to the same door, if there can be one.
    #[must_use]
    pub fn anew(&self) -> Option<Self> {
        Some(self.through(self.api.anew()?))
    }

    /// Reads, and reads again while nobody answers (595, 596, 599, a dropped connection).
    ///
    /// # Errors
    /// With the last failure; refusals are final at once.
    ///
    /// # Panics
    /// In debug builds, when the request is not a GET.
    pub async fn read(&self, request: &Request) -> Result<Value, CallError> {
        debug_assert_eq!(request.method, Method::Get, "only a GET may be repeated");
        self.patiently(&request.path, || self.once(request)).await
    }

    /// Gets a file that lies beside the API, and gets it again while nobody answers.
    ///
    /// # Errors
    /// With the last failure; an answer of any status is none.
    pub async fn document(&self, path: &str) -> Result<Response, CallError> {
        self.patiently(path, || async {
            let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
            Ok(self.api.document(path).await?)
        })
        .await
    }

    /// Tries again while nobody answers.
    async fn patiently<T, F: Future<Output = Result<T, CallError>>>(
        &self,
        path: &str,
        ask: impl Fn() -> F,
    ) -> Result<T, CallError> {
        let began = self.clock.now();
        let mut attempt = 1;
        loop {
            match ask().await {
                Err(error) if error.is_unreachable() && attempt < READS && self.since(began) < READ_PATIENCE => {
                    tracing::debug!(request = %path, %error, attempt, "reads again");
                    self.pause(Duration::from_millis(200), attempt).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// Writes. It is sent again only where nothing can have happened: when it was never sent, and when
    /// PVE could not get a lock. [`CallError::is_uncertain`] tells whether it may have been carried out.
    ///
    /// # Errors
    /// With the failure.
    pub async fn write(&self, request: &Request, wait: &mut Wait<'_>) -> Result<Value, CallError> {
        let began = self.clock.now();
        let mut attempt = 1;
        loop {
            let error = match self.once(request).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if error.is_lock_timeout() && self.since(began) < LOCK_PATIENCE {
                wait(format!("a lock is busy: {error}"));
                self.pause(Duration::from_secs(2), 1).await;
            } else if error.is_not_sent() && attempt < WRITES && self.since(began) < READ_PATIENCE {
                wait(format!("not reached: {error}"));
                self.pause(Duration::from_millis(200), attempt).await;
                attempt += 1;
            } else {
                return Err(error);
            }
        }
    }

    /// Sends exactly once.
    ///
    /// # Errors
    /// With the failure.
    pub async fn once(&self, request: &Request) -> Result<Value, CallError> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let response = self.api.send(request).await?;
        Ok(answer::read(request, &response)?)
    }

    /// The clock that the session waits by.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// How long ago `then` was; zero if the clock was set back.
    #[must_use]
    pub fn since(&self, then: jiff::Timestamp) -> Duration {
        Duration::try_from(self.clock.now().duration_since(then)).unwrap_or_default()
    }

    /// Sleeps `base` doubled per attempt after the first, give or take half of it.
    async fn pause(&self, base: Duration, attempt: u32) {
        let factor = self.dice.lock().unwrap_or_else(PoisonError::into_inner).f64() + 0.5;
        let doubled = base.saturating_mul(1 << (attempt - 1).min(6));
        self.clock.sleep(doubled.mul_f64(factor)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{FakeApi, FakeClock, Reply, get, post};

    fn session(api: &Arc<FakeApi>) -> (Session, Arc<FakeClock>) {
        let clock = FakeClock::new();
        (Session::new(Arc::clone(api) as Arc<dyn Api>, Arc::clone(&clock) as Arc<dyn Clock>, 7), clock)
    }

    #[tokio::test]
    async fn a_read_is_repeated_while_nobody_answers() {
        let api = FakeApi::script([Reply::Uncertain, Reply::status(596, ""), Reply::NotSent, Reply::data("7")]);
        let (session, clock) = session(&api);
        assert_eq!(session.read(&get("/version")).await, Ok(Value::from(7)));
        assert_eq!(api.count(), 4);
        assert!(clock.slept() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn a_read_gives_up_and_a_refusal_is_final() {
        let api = FakeApi::script(std::iter::repeat_n(Reply::status(595, "Connection refused"), 9));
        assert!(session(&api).0.read(&get("/version")).await.unwrap_err().is_unreachable());
        assert_eq!(api.count(), READS as usize);
        let api = FakeApi::script([Reply::status(401, "Authentication failed!")]);
        assert!(session(&api).0.read(&get("/version")).await.is_err());
        assert_eq!(api.count(), 1);
    }

    #[tokio::test]
    async fn a_write_whose_answer_is_lost_is_not_repeated() {
        for lost in [Reply::Uncertain, Reply::status(596, "Broken pipe"), Reply::status(599, "Too many redirections")] {
            let api = FakeApi::script([lost, Reply::data("null")]);
            let error = session(&api).0.write(&post("/pools"), &mut |_| {}).await.unwrap_err();
            assert!(error.is_uncertain());
            assert_eq!(api.count(), 1);
        }
    }

    #[tokio::test]
    async fn a_write_that_never_left_is_repeated() {
        let api = FakeApi::script([Reply::NotSent, Reply::status(595, "Connection refused"), Reply::data("null")]);
        assert_eq!(session(&api).0.write(&post("/pools"), &mut |_| {}).await, Ok(Value::Null));
        assert_eq!(api.count(), 3);
    }

    #[tokio::test]
    async fn a_busy_lock_is_waited_for_but_not_for_ever() {
        let busy = || Reply::status(500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout");
        let api = FakeApi::script([busy(), busy(), Reply::data("null")]);
        let mut said = Vec::new();
        assert!(session(&api).0.write(&post("/pools"), &mut |why| said.push(why)).await.is_ok());
        assert_eq!(said.len(), 2);
        let api = FakeApi::script(std::iter::repeat_n(busy(), 500));
        let (session, clock) = session(&api);
        assert!(session.write(&post("/pools"), &mut |_| {}).await.unwrap_err().is_lock_timeout());
        assert!(clock.slept() < LOCK_PATIENCE + Duration::from_secs(4));
    }
}
