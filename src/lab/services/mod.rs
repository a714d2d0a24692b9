//! What runs in containers of guests: one file per family of images.
//!
//! A family is told by the repository of a container's image. Its file says what it needs to run (variables, files, models,
//! disk, a GPU, other services), what it writes when that is missing, where it listens, and what it answers over HTTP and
//! to commands that are run in it. Images of no family start, are healthy, listen on every port that somebody asks for, and
//! answer 200 with `ok` on every path: nothing is claimed of them. Entries: [`judge`], [`listens`], [`ask`], [`run`].

pub mod answers;
pub mod clickhouse;
mod common;
pub mod door;
pub mod litellm;
pub mod ollama;
mod place;
pub mod postgres;
pub mod qdrant;
pub mod redis;
pub mod tensorzero;
mod web;

pub use place::Place;
pub use web::{HttpReply, HttpRequest};

use super::shell::Call;
use super::world::World;

/// How a container fares that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Whether it runs and is well.
    pub verdict: Verdict,
    /// What it has written since its start, without times.
    pub log: Vec<String>,
}

/// Whether a container runs and is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It runs and answers.
    Ready,
    /// It runs, and its health check fails, with this output.
    Unwell(String),
    /// Its process ends at once, with this exit code.
    Ends(i32),
}

impl Judged {
    /// It runs and answers.
    #[must_use]
    pub fn ready(log: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { verdict: Verdict::Ready, log: log.into_iter().map(Into::into).collect() }
    }

    /// It runs, and its health check fails.
    #[must_use]
    pub fn unwell(output: impl Into<String>, log: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { verdict: Verdict::Unwell(output.into()), log: log.into_iter().map(Into::into).collect() }
    }

    /// Its process ends at once.
    #[must_use]
    pub fn ends(code: i32, log: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { verdict: Verdict::Ends(code), log: log.into_iter().map(Into::into).collect() }
    }
}

/// A family of images: what is known of what they run.
pub struct Family {
    /// Its name, as its file's.
    pub name: &'static str,
    /// Repositories of its images, as they are written without tag.
    pub repositories: &'static [&'static str],
    /// Bytes of an image on disk.
    pub bytes: u64,
    /// How long it takes from its start until it answers, in milliseconds of a real machine.
    pub starts_ms: i64,
    /// Programs in the image, as far as health checks and `exec` ask for them.
    pub programs: &'static [&'static str],
    /// How it fares: a pure function of the world.
    pub judge: fn(&World, &Place) -> Judged,
    /// Ports on which it listens in its container.
    pub listens: fn(&World, &Place) -> Vec<u16>,
    /// Answers a request to one of these ports.
    pub ask: fn(&mut World, &Place, &HttpRequest) -> HttpReply,
    /// Runs a command in it: `call.name` and `call.args` are its words. None = the lab does not know the command.
    pub run: fn(&mut Call<'_>, &Place) -> Option<i32>,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every family, in the order of their names.
pub const FAMILIES: &[&Family] = &[
    &clickhouse::FAMILY,
    &door::FAMILY,
    &litellm::FAMILY,
    &ollama::FAMILY,
    &postgres::FAMILY,
    &qdrant::FAMILY,
    &redis::FAMILY,
    &tensorzero::FAMILY,
];

/// Images of no family.
const UNKNOWN: Family = Family {
    name: "unknown",
    repositories: &[],
    bytes: 300_000_000,
    starts_ms: 2_000,
    programs: &["bash", "cat", "curl", "getent", "ls", "python3", "sh", "wget"],
    judge: |_, _| Judged::ready(["started"]),
    listens: |world, place| {
        let container = place.container(world);
        let published = container.iter().flat_map(|container| container.ports.iter().map(|port| port.inside));
        published.chain(place.exposed(world)).collect()
    },
    ask: |_, _, _| HttpReply::text(200, "ok"),
    run: |_, _| None,
};

/// A reference without its tag and digest.
#[must_use]
pub fn repository(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or(reference);
    match reference.rsplit_once(':') {
        // What follows the colon of a registry's port has a slash in it.
        Some((before, tag)) if !tag.contains('/') => before,
        _ => reference,
    }
}

/// The family of an image.
#[must_use]
pub fn family(reference: &str) -> &'static Family {
    let repository = repository(reference);
    let own = repository.strip_prefix("docker.io/").unwrap_or(repository);
    let own = own.strip_prefix("library/").unwrap_or(own);
    FAMILIES.iter().copied().find(|family| family.repositories.contains(&own)).unwrap_or(&UNKNOWN)
}

fn of(world: &World, place: &Place) -> &'static Family {
    place.container(world).map_or(&UNKNOWN, |container| family(&container.image))
}

/// How a container fares that was started.
#[must_use]
pub fn judge(world: &World, place: &Place) -> Judged {
    (of(world, place).judge)(world, place)
}

/// Ports on which a container listens.
#[must_use]
pub fn listens(world: &World, place: &Place) -> Vec<u16> {
    (of(world, place).listens)(world, place)
}

/// How long containers of an image take from their start until they answer, in milliseconds of a real machine.
#[must_use]
pub fn starts_ms(reference: &str) -> i64 {
    family(reference).starts_ms
}

/// Asks a container over HTTP, whoever asks.
pub fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    (of(world, place).ask)(world, place, request)
}

/// Runs a command in a container; none, if the lab does not know it.
pub fn run(call: &mut Call<'_>, place: &Place) -> Option<i32> {
    (of(call.world, place).run)(call, place).or_else(|| common::run(call, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_told_from_its_tag() {
        for (reference, expected) in [
            ("ollama/ollama:0.18.2", "ollama/ollama"),
            ("ollama/ollama@sha256:00", "ollama/ollama"),
            ("localhost:5000/x", "localhost:5000/x"),
            ("localhost:5000/x:1@sha256:00", "localhost:5000/x"),
            ("redis", "redis"),
        ] {
            assert_eq!(repository(reference), expected);
        }
    }

    #[test]
    fn families_are_in_the_order_of_their_names_and_share_no_repository() {
        assert!(FAMILIES.windows(2).all(|pair| pair[0].name < pair[1].name));
        let mut seen = std::collections::BTreeSet::new();
        assert!(FAMILIES.iter().flat_map(|family| family.repositories).all(|repository| seen.insert(repository)));
    }
}
