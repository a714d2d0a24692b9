//! Time that passes only when nobody has anything left to do.
//!
//! Whoever sleeps waits for [`TwinClock::advance`], which moves to the next moment at which somebody wakes. Called
//! whenever a single-threaded runtime is about to park, it makes hours pass in no time, and what sleeps side by
//! side takes as long as the longest of it: the clock tells how long a real run would take.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ports::{BoxFuture, Clock};

/// A clock that is moved by hand.
#[derive(Debug)]
pub struct TwinClock {
    start: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    passed: Duration,
    /// Who sleeps, by the moment at which they wake and the order in which they fell asleep.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
}

impl TwinClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { start, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much time has passed.
    #[must_use]
    pub fn passed(&self) -> Duration {
        self.state().passed
    }

    /// Moves to the next moment at which somebody wakes, and wakes them; false if nobody sleeps.
    pub fn advance(&self) -> bool {
        let mut state = self.state();
        let Some((&(moment, _), _)) = state.sleepers.first_key_value() else { return false };
        state.passed = state.passed.max(moment);
        let later = state.sleepers.split_off(&(moment, u64::MAX));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
        true
    }
}

impl Clock for TwinClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.passed()).unwrap_or(SignedDuration::MAX);
        self.start.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        let until = self.passed().saturating_add(duration);
        Box::pin(Sleep { clock: self, until, place: None })
    }
}

struct Sleep<'a> {
    clock: &'a TwinClock,
    until: Duration,
    place: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.passed >= self.until {
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or_else(|| {
            state.next += 1;
            state.next
        });
        state.sleepers.insert((self.until, place), context.waker().clone());
        drop(state);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.clock.state().sleepers.remove(&(self.until, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(clock: &Arc<TwinClock>, future: impl Future<Output = T>) -> T {
        let park = Arc::clone(clock);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.on_thread_park(move || {
            park.advance();
        });
        builder.build().unwrap().block_on(future)
    }

    #[test]
    fn what_sleeps_side_by_side_takes_as_long_as_the_longest() {
        let clock = TwinClock::new(Timestamp::UNIX_EPOCH);
        let nap = |seconds| {
            let clock = Arc::clone(&clock);
            tokio::spawn(async move { clock.sleep(Duration::from_secs(seconds)).await })
        };
        run(&clock, async {
            let (long, short) = (nap(3600), nap(5));
            short.await.unwrap();
            assert_eq!(clock.passed(), Duration::from_secs(5));
            clock.sleep(Duration::from_secs(10)).await;
            assert_eq!(clock.now().as_second(), 15);
            long.await.unwrap();
        });
        assert_eq!(clock.passed(), Duration::from_secs(3600));
    }

    #[test]
    fn who_gives_up_sleeping_does_not_move_time() {
        let clock = TwinClock::new(Timestamp::UNIX_EPOCH);
        run(&clock, async {
            tokio::select! {
                biased;
                () = clock.sleep(Duration::from_secs(100)) => unreachable!("the other one is shorter"),
                () = clock.sleep(Duration::from_secs(1)) => {}
            }
            clock.sleep(Duration::from_secs(1)).await;
        });
        assert_eq!(clock.passed(), Duration::from_secs(2));
        assert!(!clock.advance());
    }
}
