//! How a container is now: its state, its health, its log, from what it was told to be and how it fares.

use crate::lab::services::{self, Judged, Place, Verdict};
use crate::lab::world::{Container, ContainerState, HealthCheck, World};

/// A container as the engine shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// `created`, `running`, `restarting`, `exited`.
    pub status: &'static str,
    /// Exit code of its last run.
    pub exit: i32,
    /// Why it was not started.
    pub error: String,
    /// `starting`, `healthy`, `unhealthy`; none without a health check.
    pub health: Option<&'static str>,
    /// What the last look at its health gave: exit code and output.
    pub checked: Option<(i32, String)>,
    /// How often the engine started it anew.
    pub restarts: u32,
    /// When it was started last, in milliseconds.
    pub started_ms: Option<i64>,
    /// When it ended last, in milliseconds.
    pub finished_ms: Option<i64>,
    /// What it has written.
    pub log: Vec<String>,
}

/// How a container is now.
#[must_use]
pub fn shown(world: &World, place: &Place) -> Shown {
    let Some(container) = place.container(world) else { return Shown::default() };
    let said = || container.said.iter().map(|(_, line)| line.clone());
    match &container.state {
        ContainerState::Created => Shown { status: "created", ..Shown::default() },
        ContainerState::Refused { why, code } => {
            Shown { status: "created", exit: *code, error: why.clone(), ..Shown::default() }
        }
        ContainerState::Exited { code, at_ms, .. } => Shown {
            status: "exited",
            exit: *code,
            started_ms: Some(*at_ms),
            finished_ms: Some(*at_ms),
            log: said().collect(),
            ..Shown::default()
        },
        ContainerState::Running { since_ms } => {
            let Judged { verdict, mut log } = judge(world, place, container);
            log.extend(said());
            running(world, container, *since_ms, &verdict, log, place)
        }
    }
}

fn judge(world: &World, place: &Place, container: &Container) -> Judged {
    if let Some(line) = world.registry.broken.get(&container.image) {
        return Judged::ends(1, [line.clone()]);
    }
    if let Some(line) = world.registry.sick.get(&container.image) {
        return Judged::unwell(line.clone(), [line.clone()]);
    }
    services::judge(world, place)
}

fn running(
    world: &World,
    container: &Container,
    since_ms: i64,
    verdict: &Verdict,
    log: Vec<String>,
    place: &Place,
) -> Shown {
    let up_ms = world.now_ms - since_ms;
    if let Verdict::Ends(code) = verdict {
        let again = match container.restart.split(':').next().unwrap_or_default() {
            "always" | "unless-stopped" => true,
            "on-failure" => *code != 0,
            _ => false,
        };
        if !again {
            let ended = Some(since_ms);
            return Shown {
                status: "exited",
                exit: *code,
                started_ms: ended,
                finished_ms: ended,
                log,
                ..Shown::default()
            };
        }
        // The pause doubles from 100 ms up to a minute (moby, restartmanager).
        let (mut restarts, mut pause, mut past) = (0_u32, 100_i64, 0_i64);
        while past <= up_ms && restarts < 10_000 {
            restarts += 1;
            past += pause;
            pause = (pause * 2).min(60_000);
        }
        return Shown {
            status: "restarting",
            exit: *code,
            health: container.check.as_ref().map(|_| "unhealthy"),
            restarts: restarts.max(3),
            started_ms: Some(world.now_ms),
            finished_ms: Some(world.now_ms),
            log,
            ..Shown::default()
        };
    }
    let mut shown = Shown { status: "running", started_ms: Some(since_ms), log, ..Shown::default() };
    let Some(check) = &container.check else { return shown };
    let failed = match verdict {
        Verdict::Unwell(output) => Some((1, output.clone())),
        _ => cannot_check(world, place, container, check),
    };
    match failed {
        None => {
            shown.health = Some(if up_ms >= healthy_ms(world, container, check) { "healthy" } else { "starting" });
            shown.checked = Some((0, String::new()));
        }
        Some(failed) => {
            shown.health = Some(if up_ms >= unhealthy_ms(world, check) { "unhealthy" } else { "starting" });
            shown.checked = Some(failed);
        }
    }
    shown
}

/// Why a health check fails whatever the service does: its program is not in the image, or it asks a port on which
/// nothing listens.
fn cannot_check(world: &World, place: &Place, container: &Container, check: &HealthCheck) -> Option<(i32, String)> {
    let programs = services::family(&container.image).programs;
    let (program, line) = match check.test.split_first()? {
        (how, words) if how == "CMD" => (words.first()?.clone(), words.join(" ")),
        (_, words) => ("sh".to_owned(), words.join(" ")),
    };
    if !programs.is_empty() && !programs.contains(&program.rsplit('/').next().unwrap_or(&program)) {
        let why = format!(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": executable file not found in $PATH: unknown"
        );
        return Some((-1, why));
    }
    let listens = services::listens(world, place);
    let asked = Place::ports_in(&line);
    let missing = asked.into_iter().find(|port| !listens.contains(port))?;
    Some((1, format!("connection to 127.0.0.1 port {missing}: Connection refused")))
}

/// How long it takes until a container is healthy or known not to be, in milliseconds; 0, if it is already.
#[must_use]
pub fn settles_in(world: &World, place: &Place) -> i64 {
    let state = shown(world, place);
    let Some((container, since_ms)) = place.container(world).and_then(|one| Some((one, one.since_ms()?))) else {
        return 0;
    };
    let (Some("starting"), Some(check)) = (state.health, &container.check) else { return 0 };
    let fails = state.checked.is_some_and(|(code, _)| code != 0);
    let due = if fails { unhealthy_ms(world, check) } else { healthy_ms(world, container, check) };
    (since_ms + due - world.now_ms).max(0)
}

/// From when on a container that fails its checks is unhealthy, in milliseconds after its start.
fn unhealthy_ms(world: &World, check: &HealthCheck) -> i64 {
    (check.start_period_ms + i64::from(check.retries) * check.interval_ms) * i64::from(world.pace) / 100
}

/// The first look at which it answers, in milliseconds after its start.
fn healthy_ms(world: &World, container: &Container, check: &HealthCheck) -> i64 {
    let every = check.interval_ms.max(1);
    let ready_ms = services::starts_ms(&container.image).max(1);
    (ready_ms + every - 1) / every * every * i64::from(world.pace) / 100
}
