//! A world with what it needs to live: a clock, a place to be kept, the faults at its doors.
//!
//! Every door (API over TLS, API in process, SSH) goes through one [`LiveSite`]; whoever looks sees all work
//! done whose time has come, and nothing is answered before it is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LabError;
use super::envelope;
use super::faults::{Fault, Faults, RequestEffect};
use super::guest_units;
use super::persist::Store;
use super::power;
use super::rules::{self, Request, host_firewall, work};
use super::shell::units;
use super::site::{Loss, Site};
use super::world::World;
use crate::ports::{Clock, Response};

/// One simulated site, seen through one of its nodes.
#[derive(Clone)]
pub struct LiveSite {
    shared: Arc<Shared>,
    /// Whose door this is; of no node in particular, if not said.
    node: Option<String>,
}

/// What all doors of a site have in common.
struct Shared {
    world: Mutex<World>,
    faults: Mutex<Faults>,
    held: Mutex<Vec<(u32, String, i64)>>,
    clock: Arc<dyn Clock>,
    store: Option<Store>,
    requests: AtomicU64,
}

impl std::fmt::Debug for LiveSite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let requests = &self.shared.requests;
        f.debug_struct("LiveSite").field("node", &self.node).field("requests", requests).finish_non_exhaustive()
    }
}

/// What becomes of a request at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// How long the answer takes.
    pub delay: Duration,
    /// The answer, or how the connection was lost.
    pub outcome: Outcome,
}

/// The answer, or how the connection was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Answer(Response),
    /// The connection drops; whether the request was carried out is not the caller's to know.
    Dropped,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveSite {
    /// Brings a world to life.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn new(
        mut world: World,
        clock: Arc<dyn Clock>,
        faults: Vec<Fault>,
        store: Option<Store>,
    ) -> Result<Arc<Self>, LabError> {
        world.set_now(clock.now());
        for fault in &faults {
            match fault {
                Fault::Task { kind, nth, text } => {
                    world.dooms.push((kind.clone(), nth.saturating_sub(1), text.clone()));
                }
                Fault::Full { node, storage } => fill(&mut world, node, storage),
                Fault::Offline { node } => rules::lose_node(&mut world, node),
                Fault::NoQuorum => world.without_quorum = true,
                Fault::Request { .. } | Fault::Command { .. } => {}
            }
        }
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            faults: Mutex::new(Faults::new(faults)),
            held: Mutex::new(Vec::new()),
            clock,
            store,
            requests: AtomicU64::new(0),
        });
        let site = Self { shared, node: None };
        site.keep(&lock(&site.shared.world))?;
        Ok(Arc::new(site))
    }

    /// The same site through the door of `node`: what is about another node, that one passes on.
    #[must_use]
    pub fn at(&self, node: &str) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(&self.shared), node: Some(node.to_owned()) })
    }

    /// Whether the node of this door is off: then nobody answers here at all.
    #[must_use]
    pub fn is_down(&self) -> bool {
        let Some(node) = &self.node else { return false };
        self.is_off(node)
    }

    /// Whether a node is off now: time may have come for it to stop or to be up again.
    fn is_off(&self, node: &str) -> bool {
        let mut world = lock(&self.shared.world);
        if self.advance(&mut world)
            && let Err(error) = self.keep(&world)
        {
            tracing::error!(%error, "the lab cannot keep its state");
        }
        world.nodes.get(node).is_some_and(|node| !node.online)
    }

    /// Whether a new connection to the API comes through this door.
    #[must_use]
    pub fn opens(&self) -> bool {
        !self.is_down() && self.node.as_deref().is_none_or(|node| self.admits(node, 8006))
    }

    fn keep(&self, world: &World) -> Result<(), LabError> {
        self.shared.store.as_ref().map_or(Ok(()), |store| store.save(world))
    }

    fn advance(&self, world: &mut World) -> bool {
        world.set_now(self.shared.clock.now());
        let now = world.now_ms;
        lock(&self.shared.held).retain(|(vmid, lock, until)| {
            let over = *until <= now;
            if let Some(guest) = world.guests.get_mut(vmid).filter(|g| over && g.lock() == Some(lock)) {
                guest.config.remove("lock");
            }
            !over
        });
        let worked = work::advance(world);
        let fired = power::advance(world) | units::advance(world) | guest_units::advance(world);
        host_firewall::follow(world);
        worked || fired
    }

    /// Looks at the world as it is now.
    ///
    /// # Errors
    /// If work that ended meanwhile cannot be kept.
    pub fn look<R>(&self, look: impl FnOnce(&World) -> R) -> Result<R, LabError> {
        let mut world = lock(&self.shared.world);
        if self.advance(&mut world) {
            self.keep(&world)?;
        }
        Ok(look(&world))
    }

    /// Changes the world, and keeps it before the result is handed out.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn change<R>(&self, change: impl FnOnce(&mut World) -> R) -> Result<R, LabError> {
        let mut world = lock(&self.shared.world);
        self.advance(&mut world);
        let result = change(&mut world);
        self.keep(&world)?;
        Ok(result)
    }

    /// Loses the power of a node and starts it again: what was set in memory is gone, what is enabled begins anew.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn reboot(&self, node: &str) -> Result<(), LabError> {
        self.change(|world| {
            rules::lose_node(world, node);
            power::start(world, node);
            units::advance(world);
        })
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// How many requests have come to the API.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Replaces the faults at the doors; those that are met from now on are counted from 1.
    ///
    /// # Errors
    /// If the world cannot be kept.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), LabError> {
        self.change(|world| {
            for fault in &faults {
                match fault {
                    Fault::Task { kind, nth, text } => {
                        world.dooms.push((kind.clone(), nth.saturating_sub(1), text.clone()));
                    }
                    Fault::Full { node, storage } => fill(world, node, storage),
                    Fault::Offline { node } => rules::lose_node(world, node),
                    Fault::NoQuorum => world.without_quorum = true,
                    Fault::Request { .. } | Fault::Command { .. } => {}
                }
            }
        })?;
        *lock(&self.shared.faults) = Faults::new(faults);
        Ok(())
    }

    /// Carries a request to the API out, with the faults that strike it.
    ///
    /// # Errors
    /// If the world cannot be kept.
    pub fn handle(&self, request: &Request) -> Result<Handled, LabError> {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let decoded = percent_encoding::percent_decode_str(&request.path).decode_utf8_lossy().into_owned();
        let effects = lock(&self.shared.faults).at_request(&request.method, &decoded);
        let mut delay = Duration::ZERO;
        let mut before = None;
        let mut after = None;
        for effect in effects {
            match effect {
                RequestEffect::Delay { ms } => delay += Duration::from_millis(ms),
                RequestEffect::DropBefore => before = Some(Outcome::Dropped),
                RequestEffect::DropAfter => after = Some(Outcome::Dropped),
                RequestEffect::Answer { status, reason } => before = Some(bare(status, reason)),
                RequestEffect::AnswerAfter { status, reason } => after = Some(bare(status, reason)),
                RequestEffect::LockFile { vmid, ms } => self.change(|world| {
                    let until = world.now_ms + i64::try_from(ms).unwrap_or(i64::MAX / 2);
                    world.lock_files.insert(vmid, until);
                })?,
                RequestEffect::Lock { vmid, lock, ms } => self.hold(vmid, &lock, ms)?,
            }
        }
        if let Some(outcome) = before {
            return Ok(Handled { delay, outcome });
        }
        let mut world = lock(&self.shared.world);
        let ended = self.advance(&mut world);
        let answer = rules::answer_at(&mut world, self.node.as_deref(), request);
        delay += rules::patience(&answer, i64::from(world.pace));
        let response = envelope::wrap(answer);
        if ended || request.method != "GET" {
            self.keep(&world)?;
        }
        if response.status == 401 {
            // pveproxy lets whoever it turns away wait.
            delay += Duration::from_millis(u64::from(world.pace) * 3000 / 100);
        }
        Ok(Handled { delay, outcome: after.unwrap_or(Outcome::Answer(response)) })
    }

    /// Answers for a file beside the API, which needs no login, with the faults that strike it.
    pub fn document(&self, path: &str) -> Handled {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let mut delay = Duration::ZERO;
        for effect in lock(&self.shared.faults).at_request("GET", path) {
            match effect {
                RequestEffect::Delay { ms } => delay += Duration::from_millis(ms),
                RequestEffect::DropBefore | RequestEffect::DropAfter => {
                    return Handled { delay, outcome: Outcome::Dropped };
                }
                RequestEffect::Answer { status, reason } | RequestEffect::AnswerAfter { status, reason } => {
                    return Handled { delay, outcome: bare(status, reason) };
                }
                RequestEffect::Lock { .. } | RequestEffect::LockFile { .. } => {}
            }
        }
        let outcome = if path == rules::API_DESCRIPTION {
            let body = rules::api_description(lock(&self.shared.world).version).into_bytes();
            Outcome::Answer(Response { status: 200, reason: "OK".to_owned(), body })
        } else {
            bare(501, format!("no handler defined for url {path}"))
        };
        Handled { delay, outcome }
    }

    fn hold(&self, vmid: u32, name: &str, ms: u64) -> Result<(), LabError> {
        self.change(|world| {
            let until = world.now_ms + i64::try_from(ms).unwrap_or(i64::MAX / 2);
            if let Some(guest) = world.guests.get_mut(&vmid).filter(|g| g.lock().is_none()) {
                guest.config.insert("lock".to_owned(), name.to_owned());
                lock(&self.shared.held).push((vmid, name.to_owned(), until));
            }
        })
    }
}

impl Site for LiveSite {
    fn act(&self, work: &mut dyn FnMut(&mut World)) {
        if let Err(error) = self.change(work) {
            // The port has no way to say so; the next start will find the older state.
            tracing::error!(%error, "the lab cannot keep its state");
        }
    }

    fn loss(&self, node: &str, line: &str) -> Option<Loss> {
        if self.is_off(node) {
            return Some(Loss::Before);
        }
        lock(&self.shared.faults).at_command(line)
    }

    fn admits(&self, node: &str, port: u16) -> bool {
        let mut world = lock(&self.shared.world);
        if self.advance(&mut world)
            && let Err(error) = self.keep(&world)
        {
            tracing::error!(%error, "the lab cannot keep its state");
        }
        host_firewall::admits(&world, node, port)
    }
}

fn bare(status: u16, reason: String) -> Outcome {
    Outcome::Answer(Response { status, reason, body: Vec::new() })
}

fn fill(world: &mut World, node: &str, storage: &str) {
    let (_, free) = world.space(node, storage);
    let pool = world.dataset_of(&format!("{storage}:x"));
    let Some(host) = world.nodes.get_mut(node) else { return };
    match pool.and_then(|name| name.rsplit_once('/').map(|(pool, _)| pool.to_owned())) {
        Some(pool) => {
            if let Some(dataset) = host.zfs.datasets.get_mut(&pool) {
                dataset.used += free;
            }
        }
        None => host.root_used += free,
    }
}
