//! What is done when a guarded change did not get through: the host takes it back, and we wait until it has.

use std::time::Duration;

use super::arm::{Armed, shell};
use super::{connect, unit};
use crate::client::Doors;
use crate::exec::ops::{Effect, OpError};
use crate::exec::teller::Teller;
use crate::model::guard::GuardState;
use crate::ports::{Command, TransportError};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);
/// How much longer than the timer is waited for: the script runs, and the firewall follows its files only every
/// ten seconds.
const GRACE_S: i64 = 60;
/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(15);

impl Armed {
    /// Asks the host to take the change back now, and otherwise waits until it does. What went wrong gets told
    /// with what came of that; whether the host is as it was before.
    pub async fn give_up(&self, doors: &Doors, failed: OpError, teller: &Teller) -> (OpError, bool) {
        let host = &self.host;
        teller.waiting(format!("{}; {host} is asked to take the change back", failed.why));
        // The old connection may stand although no new one can be made; if it does not, the timer does it.
        if let Ok(shell) = shell(doors, host) {
            let service = unit::service_name(&self.guard);
            let now = Command::new(["systemctl", "start", "--no-block", &service]).limit(LIMIT);
            if let Err(error) = shell.run(&now).await {
                teller.waiting(format!("{host} cannot be asked ({error}): it does so by itself"));
            }
        }
        let deadline = i64::from(self.guard.seconds) + GRACE_S;
        loop {
            let state = self.look(doors).await;
            let entered = connect::enter(doors, host).await;
            if let (Ok(GuardState::Reverted), Ok(())) = (&state, &entered) {
                if let Ok(shell) = shell(doors, host) {
                    // What is left has no effect, and the next guard removes it.
                    let _ = self.tidy(shell, doors).await;
                }
                let why = format!("{}; {host} has taken the change back and can be reached again", failed.why);
                return (OpError { why, effect: Effect::None, ..failed }, true);
            }
            if state == Ok(GuardState::Confirmed) {
                // Only the answer to that got lost: the host takes nothing back any more.
                let why =
                    format!("{}; {host} was told that all is well all the same, and the change stands", failed.why);
                return (OpError { why, effect: Effect::Unknown, ..failed }, false);
            }
            if doors.clock().now().duration_since(self.since).as_secs() >= deadline {
                let seen = match (state, entered) {
                    (Err(why), _) | (Ok(_), Err(why)) => why,
                    (Ok(state), Ok(())) => format!("the guard is {state:?}"),
                };
                let why = format!(
                    "{}; {host} should have taken the change back, and that cannot be seen: {seen}",
                    failed.why
                );
                let hint = format!(
                    "on the console of {host}: `systemctl status {0}`, `sh {1}/revert`",
                    unit::service_name(&self.guard),
                    self.guard.directory(),
                );
                return (OpError { why, hint: Some(hint), effect: Effect::Unknown }, false);
            }
            teller.waiting(format!("waiting until {host} has taken the change back"));
            doors.clock().sleep(PAUSE).await;
        }
    }

    /// How the guard stands, by a new connection if one can be made.
    async fn look(&self, doors: &Doors) -> Result<GuardState, String> {
        let old = shell(doors, &self.host).map_err(|error| error.why)?;
        let directory = self.guard.directory();
        let list = Command::new(["ls", "-1", &directory]).limit(LIMIT);
        let output = match old.anew() {
            Some(anew) => match anew.run(&list).await {
                Err(TransportError::Refused { why, .. }) => return Err(why),
                Err(_) => old.run(&list).await,
                answered => answered,
            },
            None => old.run(&list).await,
        };
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(GuardState::of(text.lines().map(str::trim)))
    }
}
