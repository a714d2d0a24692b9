//! `service`: the compose project of one service in one guest.
//!
//! Owns what is compared (files, images, how containers are) and the order in which projects are switched. New files are
//! brought beside the old ones ([`steps`](super::service_steps)), so that a service that does not take them goes on with
//! what it had.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::service_steps::{File, Files, Work};
use super::{Place, Seen, docker_engine, gpu_driver, places};
use crate::blueprint::{Blueprint, Deployment, Guest};
use crate::diag::Diagnostic;
use crate::model::change::{Action, Change, Risk, Via};
use crate::model::docker::{ContainerState, GuestDocker};
use crate::model::step::StepId;
use crate::model::{Addr, HostName, Kind, ServiceName};
use crate::render::{project, stack, stack_directory};
use crate::resources::difference::{Fields, between, change};
use crate::resources::switch::sha256;
use crate::resources::{Changed, Context, Finding, Removal, Resource};

/// One service in one guest.
#[derive(Clone, Copy)]
pub struct Deployed<'a> {
    pub(super) place: Place<'a>,
    pub(super) deployment: &'a Deployment,
}

/// One for each service of each guest, in the order in which they are switched.
pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let all = places(blueprint)
        .flat_map(|place| place.guest.deployments.values().map(move |deployment| Deployed { place, deployment }));
    all.map(|deployed| Box::new(deployed) as Box<dyn Resource>).collect()
}

/// The address of a service in a guest.
pub fn addr(guest: &Guest, service: &ServiceName) -> Addr {
    Addr::new(Kind::Service, format!("{}/{service}", guest.name))
}

/// The step after which a service runs as it shall.
pub fn switched(guest: &Guest, service: &ServiceName) -> [StepId; 2] {
    ["switch", "up"].map(|what| StepId::new(&addr(guest, service), what))
}

/// What a project is to have: its containers with their images, and whether each is asked how it is.
struct Project(Value);

impl Project {
    fn containers(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("services").and_then(Value::as_object).into_iter().flatten()
    }

    /// Networks that have to be there before.
    fn networks(&self) -> Vec<String> {
        let all = self.0.get("networks").and_then(Value::as_object).into_iter().flatten();
        let external = all.filter(|(_, network)| network.get("external") == Some(&Value::Bool(true)));
        external.filter_map(|(_, network)| Some(network.get("name")?.as_str()?.to_owned())).collect()
    }

    /// For how long it may take until all are healthy, in seconds: each may wait for the one before.
    fn patience(&self) -> u32 {
        let seconds = |check: &Value, key: &str| {
            let text = check.get(key).and_then(Value::as_str).unwrap_or_default();
            let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
            let number: u32 = number.parse().unwrap_or(30);
            match unit {
                "m" => number.saturating_mul(60),
                "h" => number.saturating_mul(3600),
                _ => number,
            }
        };
        let each = self.containers().filter_map(|(_, container)| container.get("healthcheck"));
        let all = each
            .map(|check| seconds(check, "start_period") + 4 * (seconds(check, "interval") + seconds(check, "timeout")));
        all.fold(60_u32, u32::saturating_add).clamp(120, 3600)
    }
}

impl Deployed<'_> {
    fn service(&self) -> &ServiceName {
        &self.deployment.service
    }

    fn problem(&self, summary: String) -> Diagnostic {
        Diagnostic::error("plan.service", summary).at(self.deployment.span, "")
    }

    fn wanted(&self, project: &Project, files: &[File]) -> Fields {
        let mut wanted = Fields::new();
        for file in files {
            wanted.insert(format!("file {}", file.path), file.shown.clone());
            wanted.insert(format!("mode of {}", file.path), format!("{:o}, owner {}", file.mode, file.owner));
        }
        for (name, container) in project.containers() {
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            wanted.insert(format!("image of {name}"), image.to_owned());
            let state =
                if container.get("healthcheck").is_some() { ContainerState::Healthy } else { ContainerState::Running };
            wanted.insert(format!("container {name}"), state.as_str().to_owned());
        }
        wanted.insert("brought and not in use".to_owned(), "nothing".to_owned());
        wanted
    }

    /// What is there, in the same words. A text that is not at hand is told by its digest.
    fn current(&self, there: &GuestDocker, wanted: &Fields, files: &[File], remembered: Option<&Fields>) -> Fields {
        let mut current = Fields::new();
        let note = there.notes.get(self.service());
        let directory = stack_directory(self.service());
        for file in files {
            let Some(seen) = there.files.get(directory.join(&file.path).as_str()) else { continue };
            current.insert(format!("mode of {}", file.path), format!("{}, owner {}", seen.mode, seen.owner));
            let key = format!("file {}", file.path);
            let noted = note.and_then(|note| note.files.get(&file.path));
            // Of a file with a secret only the note tells what it was made of.
            let digest = seen.sha256.as_ref().or(noted).cloned().unwrap_or_default();
            let before = remembered.and_then(|fields| fields.get(&key)).filter(|text| sha256(text) == digest);
            let text = match () {
                () if sha256(&file.shown) == digest => file.shown.clone(),
                () => before
                    .cloned()
                    .unwrap_or_else(|| format!("another text (sha256 {})", digest.get(..12).unwrap_or("not known"))),
            };
            let path = directory.join(&file.path).to_string();
            let text = match there.stale_secrets.get(&path) {
                Some(true) if text == file.shown => "the same with other values of its secrets".to_owned(),
                _ => text,
            };
            current.insert(key, text);
        }
        for container in there.containers.value().into_iter().flatten() {
            if container.service != *self.service() || container.environment != self.place.blueprint.name {
                continue;
            }
            current.insert(format!("image of {}", container.name), container.image.clone());
            let key = format!("container {}", container.name);
            // One container of several that is not well is what counts.
            let worse = current.get(&key).is_some_and(|before| Some(before) != wanted.get(&key));
            if !worse {
                current.insert(key, container.state.as_str().to_owned());
            }
        }
        let waits = if there.waiting.contains(self.service()) { "new files" } else { "nothing" };
        current.insert("brought and not in use".to_owned(), waits.to_owned());
        current
    }

    /// What is there and not ours.
    fn foreign(&self, there: &GuestDocker) -> Option<Diagnostic> {
        let directory = stack_directory(self.service());
        let guest = &self.place.guest.name;
        if let Some(note) = there.notes.get(self.service()) {
            if note.environment == self.place.blueprint.name.as_str() {
                return None;
            }
            let problem = self.problem(format!("`{}` in `{guest}` belongs to another environment", self.service()));
            return Some(problem.cause(format!("{directory}/.infra says that it is `{}`'s", note.environment)));
        }
        let compose = directory.join("compose.yaml");
        there.files.contains_key(compose.as_str()).then(|| {
            let problem = self.problem(format!("`{guest}` has a stack of that name that is not ours"));
            problem
                .cause(format!("{compose} is there without our note ({directory}/.infra)"))
                .hint("move it away, with its containers (`docker compose down`), then plan again")
        })
    }

    /// Services whose switch comes before: what it depends on, in its guest and in others; and its like in the guest
    /// before, as guests that have the same service are never switched at once.
    fn before(&self) -> Vec<StepId> {
        let blueprint = self.place.blueprint;
        let recipe = blueprint.services.get(self.service()).and_then(|service| service.recipe.as_ref());
        let mut before = Vec::new();
        for dependency in recipe.into_iter().flat_map(|recipe| recipe.depends_on.keys()) {
            if dependency == self.service() {
                continue;
            }
            for provider in blueprint.providers(self.place.guest, dependency) {
                if provider.deployments.contains_key(dependency) {
                    before.extend(switched(provider, dependency));
                }
            }
        }
        let same = places(blueprint).filter(|place| place.guest.deployments.contains_key(self.service()));
        let earlier = same.take_while(|place| place.guest.name != self.place.guest.name).last();
        before.extend(earlier.into_iter().flat_map(|place| switched(place.guest, self.service())));
        before
    }
}

/// What is said of a change: images by their tags, and what else is the matter.
fn reason(change: &Change) -> Option<String> {
    let images: Vec<String> = change
        .fields
        .iter()
        .filter(|field| field.path.starts_with("image of "))
        .map(|field| format!("image {} -> {}", field.from, field.to))
        .collect();
    (change.action != Action::Create && !change.drift && !images.is_empty()).then(|| images.join(", "))
}

impl Resource for Deployed<'_> {
    fn addr(&self) -> Addr {
        addr(self.place.guest, self.service())
    }

    fn host(&self) -> &HostName {
        &self.place.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let fresh = GuestDocker::default();
        let (there, is_fresh) = match self.place.seen(context) {
            Ok(Seen::Fresh) => (&fresh, true),
            Ok(Seen::There(there)) => (there, false),
            Err(finding) => return *finding,
        };
        let (blueprint, guest) = (self.place.blueprint, self.place.guest);
        let made = stack(blueprint, guest, self.deployment)
            .and_then(|files| Ok((files, project(blueprint, guest, self.deployment)?)));
        let (files, project) = match made {
            Ok((files, project)) => (files, Project(project)),
            Err(error) => return Finding::Refused(self.problem(error.to_string()).into()),
        };
        let files: Vec<File> = files.iter().map(File::of).collect();
        if let Some(problem) = self.foreign(there) {
            return Finding::Refused(problem.into());
        }
        let deployed = there.notes.contains_key(self.service());
        if !is_fresh && deployed && there.engine.is_none() {
            // What runs cannot be told while the engine does not answer; it is started first.
            return Finding::Gap { why: "Docker does not answer in its guest".into() };
        }
        let wanted = self.wanted(&project, &files);
        let addr = self.addr();
        let current = match is_fresh {
            true => Fields::new(),
            false => self.current(there, &wanted, &files, context.memory.get(&addr)),
        };
        if current == wanted {
            return Finding::Unchanged { desired: wanted };
        }
        let differs = |prefix: &str| {
            let keys: BTreeSet<&String> = current.keys().chain(wanted.keys()).collect();
            keys.into_iter().any(|key| key.starts_with(prefix) && current.get(key) != wanted.get(key))
        };
        let waits = there.waiting.contains(self.service());
        let brings = !deployed || waits || differs("file ") || differs("mode of ") || differs("image of ");
        // Files that are mounted into a running container are not looked at again by it.
        let mounted = files.iter().any(|file| {
            let key = format!("file {}", file.path);
            file.is_mounted() && current.get(&key) != wanted.get(&key)
        });
        let noted: BTreeMap<String, String> =
            there.notes.get(self.service()).map(|note| note.files.clone()).unwrap_or_default();
        let work = Work {
            deployed: self,
            files: Files { wanted: &files, noted: noted.into_keys().collect() },
            networks: project.networks(),
            patience_s: project.patience(),
            anew: mounted && deployed,
            was_there: deployed,
        };
        let mut steps = if brings { work.bring_and_switch() } else { vec![work.up()] };
        let before = self.before();
        for step in &mut steps {
            step.needs.extend(docker_engine::ready_steps(guest));
            step.needs.extend(gpu_driver::ready_steps(guest));
            step.needs.push(StepId::new(&docker_engine::addr(guest), "start"));
        }
        if let Some(last) = steps.last_mut() {
            last.needs.extend(before);
        }
        let action = if deployed { Action::Update } else { Action::Create };
        let mut change = change(addr, action, &between(&current, &wanted), context.memory);
        change.via = Via::Ssh;
        change.risk = if deployed { Risk::Downtime } else { Risk::None };
        if let Some(reason) = reason(&change) {
            change.reason = reason;
        }
        Finding::Changed(Changed { change, steps, desired: wanted, seen: format!("{current:?}"), notes: Vec::new() })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // It goes with its guest.
        None
    }
}
