//! Rebooting a host and waiting for the new system, which is never mistaken for the old one.
//!
//! Owns shutting guests down in order, the reboot itself and the wait; knows no plan and no files. Guests are
//! asked to shut down and never killed: one that does not leaves everything as it was. Entry: [`stop_guests`],
//! then [`reboot`], then [`start_guests`].

use std::collections::BTreeSet;
use std::time::Duration;

use crate::client::Session;
use crate::model::Vmid;
use crate::model::machine::GuestFiles;
use crate::model::observed::GuestKind;
use crate::ports::{Command, Output, Shell, TransportError};
use crate::proxmox::endpoints;

const BOOT_ID: [&str; 2] = ["cat", "/proc/sys/kernel/random/boot_id"];
/// How long a guest may take to shut down unless its own `startup` says so; as Proxmox allows it.
const SHUTDOWN_S: u64 = 180;
/// Between two looks at a host that is away.
const PAUSE: Duration = Duration::from_secs(5);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(20);
/// How long the old system may go on answering: it ends its services first.
const OLD_SYSTEM: Duration = Duration::from_secs(600);
/// How long the host may take to start its guests.
const GUESTS: Duration = Duration::from_secs(600);

/// A guest that ran before the reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// VM or container.
    pub kind: GuestKind,
    /// Its number.
    pub vmid: Vmid,
    /// Whether the host starts it by itself.
    pub onboot: bool,
    /// Whether Proxmox's high availability sees to it.
    pub highly_available: bool,
    /// Its place in the order of start; those without one come last.
    order: u64,
    /// How many seconds it may take to shut down.
    down: u64,
}

/// Why a host was not rebooted, or did not come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebootError {
    /// Which guests run could not be told.
    #[error("which guests run cannot be told: {0}")]
    Guests(String),
    /// A guest did not shut down; those that had were started again.
    #[error("guest {vmid} did not shut down: {why}")]
    NotStopped {
        /// Which.
        vmid: Vmid,
        /// Why, in the host's words.
        why: String,
    },
    /// The host did not take the command.
    #[error("the host does not reboot: {0}")]
    Refused(String),
    /// The old system went on answering.
    #[error("the old system still answers after {0} s: it was told to reboot, and does not")]
    StillOld(u64),
    /// The host did not come back in time.
    #[error("the host did not come back within {limit} s: {why}")]
    Away {
        /// The limit.
        limit: u64,
        /// What was seen last.
        why: String,
    },
}

/// Told what happens.
pub type Tell<'a> = dyn FnMut(String) + 'a;

fn program(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Qemu => "qm",
        GuestKind::Lxc => "pct",
    }
}

async fn run(shell: &dyn Shell, command: &Command) -> Result<Output, String> {
    let output = shell.run(command).await.map_err(|error| error.to_string())?;
    if output.code == 0 {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}` exited with {}: {}", command.line(), output.code, said.trim()))
}

/// Guests that run on the host, as root sees them, in the order in which they are shut down: the last one that
/// the host would start comes first (pve-manager, `API2/Nodes.pm`).
///
/// # Errors
/// When they could not be listed.
pub async fn running(shell: &dyn Shell, files: &GuestFiles) -> Result<Vec<Running>, RebootError> {
    let mut guests = Vec::new();
    for kind in [GuestKind::Qemu, GuestKind::Lxc] {
        let command = Command::new([program(kind), "list"]);
        let output = run(shell, &command).await.map_err(RebootError::Guests)?;
        for vmid in listed_running(kind, &String::from_utf8_lossy(&output.stdout)) {
            guests.push(known(kind, vmid, files));
        }
    }
    guests.sort_by_key(|guest| std::cmp::Reverse((guest.order, guest.vmid)));
    Ok(guests)
}

/// Numbers of the guests that do not stand still, in what `qm list` or `pct list` prints.
///
/// A VM without a name is listed as `VM 100`, so its state is counted from the right: before memory, disk and
/// process (qemu-server, `CLI/qm.pm`). A container's state comes right behind its number.
fn listed_running(kind: GuestKind, text: &str) -> Vec<Vmid> {
    let line = |line: &str| -> Option<Vmid> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let vmid = words.first()?.parse().ok()?;
        let state = match kind {
            GuestKind::Qemu => words.iter().rev().nth(3)?,
            GuestKind::Lxc => words.get(1)?,
        };
        (*state != "stopped").then_some(vmid)
    };
    text.lines().filter_map(line).collect()
}

fn known(kind: GuestKind, vmid: Vmid, files: &GuestFiles) -> Running {
    let file = files.guests.get(&vmid);
    let startup = file.and_then(|file| file.get("startup")).unwrap_or_default();
    let option = |name: &str| {
        startup.split(',').find_map(|part| match part.split_once('=') {
            Some((key, value)) if key.trim() == name => value.trim().parse::<u64>().ok(),
            None if name == "order" => part.trim().parse().ok(),
            _ => None,
        })
    };
    Running {
        kind,
        vmid,
        onboot: file
            .and_then(|file| file.get("onboot"))
            .is_some_and(|value| matches!(value, "1" | "yes" | "on" | "true")),
        highly_available: files.highly_available.contains(&vmid),
        order: option("order").unwrap_or(u64::MAX),
        down: option("down").unwrap_or(SHUTDOWN_S),
    }
}

/// Asks the guests to shut down, one after the other, and waits for each. Those of high availability are left to it.
///
/// # Errors
/// With the first one that does not: the host is not to be rebooted then. Those that had are started again.
pub async fn stop_guests(shell: &dyn Shell, guests: &[Running], tell: &mut Tell<'_>) -> Result<(), RebootError> {
    let mut stopped: Vec<Running> = Vec::new();
    for guest in guests.iter().filter(|guest| !guest.highly_available) {
        let (vmid, down) = (guest.vmid.to_string(), guest.down.to_string());
        tell(format!("shutting down {} {vmid} (up to {down} s)", program(guest.kind)));
        let command = Command::new([program(guest.kind), "shutdown", &vmid, "--timeout", &down])
            .limit(Duration::from_secs(guest.down + 60));
        let ended = run(shell, &command).await;
        let runs = run(shell, &Command::new([program(guest.kind), "list"])).await;
        let runs = runs
            .map(|output| listed_running(guest.kind, &String::from_utf8_lossy(&output.stdout)).contains(&guest.vmid));
        // Exit codes of Proxmox's commands prove nothing: the list has the last word.
        let why = match (ended, runs) {
            (_, Ok(false)) => {
                stopped.push(guest.clone());
                continue;
            }
            (Err(why), _) | (Ok(_), Err(why)) => why,
            (Ok(_), Ok(true)) => "it still runs".to_owned(),
        };
        for guest in stopped.iter().rev() {
            tell(format!("starting {} {} again", program(guest.kind), guest.vmid));
            if let Err(why) = start(shell, guest).await {
                tell(format!("{why}: start it yourself"));
            }
        }
        return Err(RebootError::NotStopped { vmid: guest.vmid, why });
    }
    Ok(())
}

async fn start(shell: &dyn Shell, guest: &Running) -> Result<(), String> {
    let vmid = guest.vmid.to_string();
    let command = Command::new([program(guest.kind), "start", &vmid]).limit(Duration::from_secs(300));
    run(shell, &command).await.map(|_| ())
}

/// Reboots the host and waits until the new system answers at both doors; gives its boot id.
///
/// What answers with the boot id from before is the old system, however long it takes to go.
///
/// # Errors
/// When the host does not take the command, or is not back within `limit`.
pub async fn reboot(
    shell: &dyn Shell,
    session: &Session,
    limit: Duration,
    tell: &mut Tell<'_>,
) -> Result<String, RebootError> {
    let before = boot_id(shell).await.map_err(RebootError::Refused)?;
    let command = Command::new(["systemctl", "reboot"]);
    match shell.run(&command).await {
        Ok(output) if output.code == 0 => {}
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(RebootError::Refused(format!("`systemctl reboot` exited with {}: {said}", output.code)));
        }
        // It went before it could say so.
        Err(TransportError::Uncertain { .. }) => {}
        Err(error) => return Err(RebootError::Refused(error.to_string())),
    }
    let began = session.clock().now();
    let mut said = String::new();
    let mut why;
    loop {
        session.clock().sleep(PAUSE).await;
        let since = session.since(began);
        let state = match boot_id(shell).await {
            Ok(id) if id == before => {
                if since > OLD_SYSTEM.min(limit) {
                    return Err(RebootError::StillOld(since.as_secs()));
                }
                why = "the old system still answers".to_owned();
                "the old system still answers".to_owned()
            }
            Ok(id) => match session.once(&endpoints::VERSION.at(&[]).request()).await {
                Ok(_) => return Ok(id),
                Err(error) => {
                    why = format!("the new system answers over SSH; its API does not: {error}");
                    "the new system is up, waiting for its API".to_owned()
                }
            },
            Err(error) => {
                why = error;
                "away".to_owned()
            }
        };
        if state != said {
            tell(format!("{state} ({} s)", since.as_secs()));
            said = state;
        }
        if since > limit {
            return Err(RebootError::Away { limit: limit.as_secs(), why });
        }
    }
}

async fn boot_id(shell: &dyn Shell) -> Result<String, String> {
    let output = run(shell, &Command::new(BOOT_ID).limit(LOOK)).await?;
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if id.is_empty() { Err("the host has no boot id".to_owned()) } else { Ok(id) }
}

/// Waits until what ran before runs again: what the host starts by itself is waited for, the rest is started.
/// Gives those that do not run in the end.
///
/// # Errors
/// When which guests run cannot be told.
pub async fn start_guests(
    shell: &dyn Shell,
    session: &Session,
    before: &[Running],
    tell: &mut Tell<'_>,
) -> Result<Vec<Vmid>, RebootError> {
    let began = session.clock().now();
    let by_host: BTreeSet<Vmid> =
        before.iter().filter(|guest| guest.onboot || guest.highly_available).map(|guest| guest.vmid).collect();
    let nothing_known = GuestFiles::default();
    loop {
        let now: BTreeSet<Vmid> = running(shell, &nothing_known).await?.into_iter().map(|guest| guest.vmid).collect();
        if by_host.is_subset(&now) || session.since(began) > GUESTS {
            break;
        }
        session.clock().sleep(PAUSE).await;
    }
    for guest in before.iter().rev().filter(|guest| !by_host.contains(&guest.vmid)) {
        tell(format!("starting {} {}, which the host does not start by itself", program(guest.kind), guest.vmid));
        if let Err(why) = start(shell, guest).await {
            tell(why);
        }
    }
    let now: BTreeSet<Vmid> = running(shell, &nothing_known).await?.into_iter().map(|guest| guest.vmid).collect();
    Ok(before.iter().map(|guest| guest.vmid).filter(|vmid| !now.contains(vmid)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::client::testing::{FakeApi, FakeClock, FakeShell, Reply, output};
    use crate::model::machine::GuestFile;
    use crate::ports::{Api, Clock};

    const QM: &str = "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID\n       \
                      100 plan-hq              running    32768            200.00 1234\n       \
                      101 running              stopped    2048               8.00 0\n       \
                      102 idle                 stopped    2048               8.00 0\n";
    const PCT: &str = "VMID       Status     Lock         Name\n104        running                 proj-x\n105        stopped    backup       old\n";

    fn files() -> GuestFiles {
        let file = |kind, lines: &[(&str, &str)]| GuestFile {
            kind,
            node: "hq".parse().unwrap(),
            lines: lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            pending: Vec::new(),
            snapshots: Default::default(),
        };
        let vmid = |number: u32| Vmid::try_from(number).unwrap();
        GuestFiles {
            guests: [
                (vmid(100), file(GuestKind::Qemu, &[("startup", "order=2,down=60"), ("onboot", "1")])),
                (vmid(104), file(GuestKind::Lxc, &[])),
            ]
            .into(),
            highly_available: BTreeSet::new(),
        }
    }

    fn session(api: Arc<FakeApi>) -> (Session, Arc<FakeClock>) {
        let clock = FakeClock::new();
        (Session::new(api as Arc<dyn Api>, Arc::<FakeClock>::clone(&clock) as Arc<dyn Clock>, 1), clock)
    }

    fn lost(why: &str) -> TransportError {
        TransportError::NotSent { peer: "hq:22".to_owned(), why: why.to_owned() }
    }

    #[tokio::test]
    async fn guests_are_shut_down_in_the_reverse_of_the_order_in_which_they_start() {
        let shell = FakeShell::rule(|command| Ok(output(0, if command.argv[0] == "qm" { QM } else { PCT }, "")));
        let guests = running(&*shell, &files()).await.unwrap();
        let seen: Vec<_> = guests.iter().map(|guest| (u32::from(guest.vmid), guest.onboot, guest.down)).collect();
        // 101 is called `running` and is not.
        assert_eq!(seen, [(104, false, 180), (100, true, 60)]);
    }

    #[tokio::test]
    async fn a_guest_that_does_not_shut_down_stops_everything_and_the_others_run_again() {
        let down = AtomicU32::new(0);
        let shell = FakeShell::rule(move |command| {
            let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
            Ok(match words[..] {
                ["pct", "shutdown", ..] => {
                    down.store(1, Ordering::SeqCst);
                    output(0, "", "")
                }
                ["pct", "list"] if down.load(Ordering::SeqCst) == 1 => {
                    output(0, "VMID Status Lock Name\n104 stopped proj-x\n", "")
                }
                ["pct", "list"] => output(0, PCT, ""),
                ["qm", "list"] => output(0, QM, ""),
                ["qm", "shutdown", ..] => output(255, "", "VM quit/powerdown failed - got timeout\n"),
                _ => output(0, "", ""),
            })
        });
        let guests = running(&*shell, &files()).await.unwrap();
        let mut said = Vec::new();
        let error = stop_guests(&*shell, &guests, &mut |text| said.push(text)).await.unwrap_err();
        assert!(
            matches!(&error, RebootError::NotStopped { vmid, why } if u32::from(*vmid) == 100 && why.contains("timeout"))
        );
        assert!(said.contains(&"starting pct 104 again".to_owned()), "{said:?}");
    }

    #[tokio::test]
    async fn the_old_system_is_never_taken_for_the_new_one() {
        let looks = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&looks);
        let shell = FakeShell::rule(move |command| {
            if command.argv[0] == "systemctl" {
                return Ok(output(0, "", ""));
            }
            match seen.fetch_add(1, Ordering::SeqCst) {
                0..4 => Ok(output(0, "old\n", "")),
                4..8 => Err(lost("connect: Connection refused")),
                _ => Ok(output(0, "new\n", "")),
            }
        });
        let (session, _) = session(FakeApi::script([Reply::status(595, "Connection refused"), Reply::data("{}")]));
        let mut said = Vec::new();
        let id = reboot(&*shell, &session, Duration::from_secs(900), &mut |text| said.push(text)).await.unwrap();
        assert_eq!(id, "new");
        let said: Vec<&str> = said.iter().map(|text| text.split(" (").next().unwrap()).collect();
        assert_eq!(said, ["the old system still answers", "away", "the new system is up, waiting for its API"]);
    }

    #[tokio::test]
    async fn a_host_that_stays_away_and_one_that_does_not_go_are_told_apart() {
        let first = AtomicU32::new(0);
        let away = FakeShell::rule(move |command| match command.argv[0].as_str() {
            "systemctl" => Err(TransportError::Uncertain { peer: "hq:22".into(), why: "closed".into() }),
            _ if first.fetch_add(1, Ordering::SeqCst) == 0 => Ok(output(0, "old\n", "")),
            _ => Err(lost("connect: No route to host")),
        });
        let (one, _) = session(FakeApi::script([]));
        let error = reboot(&*away, &one, Duration::from_secs(300), &mut |_| {}).await.unwrap_err();
        assert!(matches!(&error, RebootError::Away { limit: 300, why } if why.contains("No route")), "{error}");
        let stays = FakeShell::rule(|_| Ok(output(0, "old\n", "")));
        let (two, clock) = session(FakeApi::script([]));
        let error = reboot(&*stays, &two, Duration::from_secs(300), &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, RebootError::StillOld(seconds) if seconds > 300), "{error}");
        assert!(clock.slept() > Duration::from_secs(300));
    }

    #[tokio::test]
    async fn a_command_that_never_arrived_is_no_reboot() {
        let shell = FakeShell::rule(|command| match command.argv[0].as_str() {
            "systemctl" => Err(lost("connect: timed out")),
            _ => Ok(output(0, "old\n", "")),
        });
        let (session, _) = session(FakeApi::script([]));
        let error = reboot(&*shell, &session, Duration::from_secs(300), &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, RebootError::Refused(_)), "{error}");
    }
}
