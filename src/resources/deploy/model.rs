//! `model`: a model that a runner of a guest has pulled.
//!
//! Ollama's are pulled through its own container; other runners fetch what they serve when they start. Models that the
//! inventory does not know are left where they are.

use super::long_work::{long_work, told};
use super::{Place, Seen, places, service};
use crate::blueprint::{Blueprint, Model};
use crate::inventory::ModelSource;
use crate::model::change::{Action, Via};
use crate::model::docker::{ContainerState, GuestDocker};
use crate::model::step::Undo;
use crate::model::{Addr, HostName, Kind, ServiceName};
use crate::ports::quote;
use crate::render::stack_directory;
use crate::resources::difference::{Fields, between, change};
use crate::resources::{Changed, Context, Finding, Removal, Resource};

/// How long pulling one model may take, in seconds: tens of gigabytes over a slow line.
const PULL_S: u32 = 6 * 3600;

struct Pulled<'a> {
    place: Place<'a>,
    service: &'a ServiceName,
    model: &'a Model,
    tag: &'a str,
}

/// One for each model of each Ollama.
pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let mut all: Vec<Box<dyn Resource + '_>> = Vec::new();
    for place in places(blueprint) {
        for model in blueprint.models.values() {
            let ModelSource::Ollama(tag) = &model.source else { continue };
            let here = model.runs_on.iter().filter(|(guest, _)| *guest == place.guest.name);
            for (_, service) in here.filter(|(_, service)| place.guest.deployments.contains_key(service)) {
                all.push(Box::new(Pulled { place, service, model, tag }));
            }
        }
    }
    all
}

/// How Ollama lists a model: one without a tag is `latest`.
fn listed(tag: &str) -> String {
    let last = tag.rsplit('/').next().unwrap_or(tag);
    if last.contains(':') { tag.to_owned() } else { format!("{tag}:latest") }
}

impl Pulled<'_> {
    fn is_healthy(&self, there: &GuestDocker) -> bool {
        let mut containers = there.containers.value().into_iter().flatten();
        containers.any(|one| one.service == *self.service && one.state == ContainerState::Healthy)
    }
}

impl Resource for Pulled<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Model, format!("{}/{}/{}", self.place.guest.name, self.service, self.model.name))
    }

    fn host(&self) -> &HostName {
        &self.place.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let desired = Fields::from([("source".to_owned(), format!("ollama:{}", self.tag))]);
        let has = match self.place.seen(context) {
            Ok(Seen::Fresh) => false,
            Ok(Seen::There(there)) => match there.models.get(self.service) {
                Some(models) => models.contains(&listed(self.tag)),
                // Not deployed yet, or it does not run: what it keeps is not known then.
                None if !there.notes.contains_key(self.service) => false,
                None if self.is_healthy(there) => {
                    return Finding::Gap { why: format!("{} does not answer which models it has", self.service) };
                }
                // After what makes it run; pulling what is there already does nothing.
                None => false,
            },
            Err(finding) => return *finding,
        };
        if has {
            return Finding::Unchanged { desired };
        }
        let addr = self.addr();
        let directory = stack_directory(self.service);
        // Units have no slashes or colons in their names.
        let name: String =
            self.model.name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let unit = format!("infra-model-{}-{name}", self.service);
        let pull = format!(
            "docker compose --project-directory {directory} --file {directory}/compose.yaml exec -T {} ollama pull {}",
            self.service,
            quote(self.tag)
        );
        let ops = long_work(&unit, &told(&unit, &pull), PULL_S, &format!("model {} could not be pulled", self.tag));
        let title = format!("pull model {} in {}", self.model.name, self.place.guest.name);
        let mut step = self.place.step(&addr, "pull", title, ops);
        step.needs.extend(service::switched(self.place.guest, self.service));
        step.exclusive = vec![format!("{}/models", self.place.lock())];
        step.undo = Undo::nothing("a model that nobody asks for takes nothing but space");
        let mut change = change(addr, Action::Create, &between(&Fields::new(), &desired), context.memory);
        change.via = Via::Ssh;
        Finding::Changed(Changed {
            change,
            steps: vec![step],
            desired,
            seen: "not there".to_owned(),
            notes: Vec::new(),
        })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // It goes with its guest.
        None
    }
}
