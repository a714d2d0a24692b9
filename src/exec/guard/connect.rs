//! Whether somebody who is outside can still get in.

use std::time::Duration;

use crate::client::{CallError, Doors};
use crate::exec::ops::{Effect, OpError};
use crate::exec::teller::Teller;
use crate::model::HostName;
use crate::ports::{Command, TransportError};
use crate::proxmox::endpoints;

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(3);
/// How long `true` may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Makes new connections to all of these hosts, over SSH and to the API.
pub async fn reconnect(
    doors: &Doors,
    hosts: &[HostName],
    (after_s, within_s): (u32, u32),
    teller: &Teller,
) -> Result<(), OpError> {
    let clock = doors.clock();
    if after_s > 0 {
        teller.waiting(format!("{after_s} s until the change has surely taken effect"));
        clock.sleep(Duration::from_secs(after_s.into())).await;
    }
    let began = clock.now();
    loop {
        let mut shut = Ok(());
        for host in hosts {
            shut = enter(doors, host).await;
            if shut.is_err() {
                break;
            }
        }
        match shut {
            Ok(()) => return Ok(()),
            Err(why) if clock.now().duration_since(began).as_secs() >= i64::from(within_s) => {
                return Err(OpError::new(why, None, Effect::None));
            }
            Err(why) => teller.waiting(why),
        }
        clock.sleep(PAUSE).await;
    }
}

/// One new connection each over SSH and to the API of a host; why not, if not.
pub(super) async fn enter(doors: &Doors, host: &HostName) -> Result<(), String> {
    let no_door = || format!("{host} has no door that could be opened anew");
    if let Some(shell) = doors.shell(host) {
        let anew = shell.anew().ok_or_else(no_door)?;
        let output = anew.run(&Command::new(["true"]).limit(LIMIT)).await;
        let output = output.map_err(|error| format!("no new SSH connection to {host}: {error}"))?;
        if output.code != 0 {
            return Err(format!("{host} lets us in over SSH and does not run `true`: exit code {}", output.code));
        }
    }
    let session = doors.own(host).and_then(crate::client::Session::anew).ok_or_else(no_door)?;
    match session.once(&endpoints::VERSION.at(&[]).request()).await {
        Ok(_) => Ok(()),
        Err(CallError::Transport(TransportError::Refused { why, .. })) => {
            Err(format!("no new connection to the API of {host}: {why}"))
        }
        Err(error) => Err(format!("no new connection to the API of {host}: {error}")),
    }
}
