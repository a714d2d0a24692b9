//! Looks at services and uses them: facts and lists first, then one model after the other, so that none waits for another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::asker::{self, Reply, Request};
use super::completion::{self, Answer};
use super::expect::{Expected, Node, expected};
use super::facts::{self, Look};
use super::services::{self, Looks, Names, Wellness};
use super::uses::{self, DoorKind, Place, TENANT, TENANT_OF_LIMITS, Use};
use super::{inner_names, models, records};
use crate::blueprint::{Blueprint, Guest, Model, Party, Setting};
use crate::client::Doors;
use crate::inventory::{ModelKind, StackTier};
use crate::model::GuestName;
use crate::ports::{Clock, Shell};
use crate::verify::ask::each;
use crate::verify::proof::{Measured, NO_PROGRAM, Proof, ProofKind};
use crate::verify::{Verdict, inside};

/// How long a row may take until it is in the database, and how often it is looked for: TensorZero writes in the
/// background, ClickHouse in blocks.
const ROW_WAIT: Duration = Duration::from_secs(2);
const ROW_LOOKS: u64 = 5;
/// Seconds that a script may take beside the requests in it.
const SCRIPT_S: u64 = 20;

/// What is done beside looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether models are asked something.
    pub use_models: bool,
}

/// What came of all services, and of the models behind them.
pub async fn ask_services(
    blueprint: &Blueprint,
    doors: &Doors,
    up: &[GuestName],
    clock: &dyn Clock,
    options: Options,
) -> Vec<Proof> {
    let guests: Vec<&Guest> =
        up.iter().filter_map(|name| blueprint.guests.get(name)).filter(|guest| !guest.deployments.is_empty()).collect();
    let mut proofs = Vec::new();
    let mut all: BTreeMap<GuestName, Vec<Expected>> = BTreeMap::new();
    for guest in &guests {
        match expected(blueprint, guest) {
            Ok(own) => drop(all.insert(guest.name.clone(), own)),
            Err(why) => {
                proofs.push(Proof::new(ProofKind::Service, &guest.name, "services", (Verdict::CouldNotRun, why)))
            }
        }
    }
    let mut asking = Asking { blueprint, doors, clock, all, looks: Looks::new(), wellness: Wellness::new(), proofs };
    asking.looks = asking.look(None).await;
    let names = asking.names().await;
    let everything: Vec<Expected> = asking.all.values().flatten().cloned().collect();
    let (services, wellness) = services::judge(blueprint, &everything, &asking.looks, &names);
    asking.proofs.extend(services);
    asking.wellness = wellness;
    asking.lists().await;
    let uses = uses::all(blueprint, &asking.looks);
    for own in &uses {
        match (options.use_models, own.does) {
            (false, _) => {}
            (true, ModelKind::Chat) => asking.chat(own).await,
            (true, ModelKind::Embedding) => asking.once(own, ProofKind::Embedding).await,
            (true, ModelKind::Transcription) => asking.once(own, ProofKind::Transcription).await,
        }
    }
    if options.use_models {
        asking.limits(&uses).await;
    }
    asking.proofs
}

struct Asking<'a> {
    blueprint: &'a Blueprint,
    doors: &'a Doors,
    clock: &'a dyn Clock,
    all: BTreeMap<GuestName, Vec<Expected>>,
    looks: Looks,
    wellness: Wellness,
    proofs: Vec<Proof>,
}

impl Asking<'_> {
    /// What guests tell: all of them, or one.
    async fn look(&self, only: Option<&GuestName>) -> Looks {
        let scripts: BTreeMap<GuestName, String> = self
            .all
            .iter()
            .filter(|(name, _)| only.is_none_or(|only| only == *name))
            .map(|(name, expected)| (name.clone(), facts::script(&self.blueprint.guests[name], expected)))
            .collect();
        let printed = self.run(scripts, SCRIPT_S + 30).await;
        printed.into_iter().map(|(name, printed)| (name, printed.and_then(|stdout| facts::read(&stdout)))).collect()
    }

    /// What scripts printed in guests.
    async fn run(
        &self,
        scripts: BTreeMap<GuestName, String>,
        seconds: u64,
    ) -> BTreeMap<GuestName, Result<String, String>> {
        let asked: Vec<GuestName> = scripts.keys().cloned().collect();
        let scripts = Arc::new(scripts);
        each(self.blueprint, self.doors, &asked, move |shell: Arc<dyn Shell>, guest: Guest| {
            let scripts = Arc::clone(&scripts);
            async move {
                let script = scripts[&guest.name].clone();
                inside::run_for(&shell, &guest, script, seconds).await.map(|printed| printed.stdout)
            }
        })
        .await
    }

    /// What was answered to requests of one guest.
    async fn ask(&self, from: &GuestName, requests: &[Request]) -> Result<BTreeMap<String, Reply>, String> {
        let seconds: u64 = requests.iter().map(|request| u64::from(request.limit_s)).sum();
        let script = asker::script(requests);
        let mut printed = self.run([(from.clone(), script)].into(), seconds + SCRIPT_S).await;
        let printed = printed.remove(from).unwrap_or_else(|| Err("it was not asked".to_owned()));
        printed.map(|stdout| asker::read(&stdout)).map_err(|why| {
            match why.contains(&format!("exited with {NO_PROGRAM}")) {
                true => format!("there is no `perl` in {from} to ask with"),
                false => why,
            }
        })
    }

    async fn names(&self) -> Names {
        let mut lookups = BTreeMap::new();
        for (name, expected) in &self.all {
            let Some(Ok(look)) = self.looks.get(name) else { continue };
            let own = Party::Guest(name.clone());
            let goes_out = self.blueprint.flows.iter().any(|flow| flow.from == own && flow.to == Party::Internet);
            let wanted = inner_names::lookups(expected, look, goes_out);
            if !wanted.is_empty() {
                lookups.insert(name.clone(), wanted);
            }
        }
        let scripts = lookups.iter().map(|(name, wanted)| (name.clone(), inner_names::script(wanted))).collect();
        let printed = self.run(scripts, 120).await;
        let mut names = Names::new();
        for (name, wanted) in &lookups {
            let (Some(Ok(look)), Some(printed)) = (self.looks.get(name), printed.get(name)) else { continue };
            names.extend(inner_names::judge(wanted, look, printed.as_ref().map(String::as_str)));
        }
        names
    }

    /// Health where it is asked for over HTTP, and lists of models.
    async fn lists(&mut self) {
        let mut requests: BTreeMap<GuestName, Vec<Request>> = BTreeMap::new();
        for name in self.all.keys() {
            let guest = &self.blueprint.guests[name];
            let Some(Ok(look)) = self.looks.get(name) else { continue };
            for service in
                guest.deployments.keys().filter(|service| self.ill_service(&Node::main(name, service)).is_none())
            {
                let own = &self.blueprint.services[service];
                let get = |key: String, place: Place, path: &str, headers: Vec<String>| Request {
                    key,
                    host: place.host,
                    port: place.port,
                    path: path.to_owned(),
                    headers,
                    limit_s: 10,
                    ..Request::default()
                };
                let health = own.health.as_ref();
                let asked = health.and_then(|health| Some((health.path.clone()?, health.port.clone()?)));
                if let Some((path, port)) = asked
                    && let Some(place) = uses::inside(guest, own, &port, look)
                {
                    requests.entry(name.clone()).or_default().push(get(
                        format!("health:{service}"),
                        place,
                        &path,
                        Vec::new(),
                    ));
                }
                let tier = own.recipe.as_ref().and_then(|recipe| recipe.stack.as_ref()).map(|stack| stack.tier);
                if !matches!(tier, Some(StackTier::Gateway | StackTier::Runner)) {
                    continue;
                }
                let port = "api".parse().expect("a name of a port");
                if let Some(place) = uses::inside(guest, own, &port, look) {
                    let headers = uses::key_of(service);
                    let path =
                        if tier == Some(StackTier::Gateway) { "/v1/models" } else { models::path(service.as_str()) };
                    requests.entry(name.clone()).or_default().push(get(
                        format!("models:{service}"),
                        place,
                        path,
                        headers,
                    ));
                }
            }
        }
        let mut replies = BTreeMap::new();
        for (name, requests) in &requests {
            replies.insert(name.clone(), self.ask(name, requests).await);
        }
        let mut proofs = Vec::new();
        for (name, requests) in &requests {
            for request in requests.iter().filter(|request| request.key.starts_with("health:")) {
                let service = request.key.trim_start_matches("health:");
                let came = match &replies[name] {
                    Err(why) => (Verdict::CouldNotRun, why.clone()),
                    Ok(replies) => match replies.get(&request.key).map(Reply::fine) {
                        None => (Verdict::CouldNotRun, "it was not asked".to_owned()),
                        Some(Ok(())) => (Verdict::Pass, "it answers with 200".to_owned()),
                        Some(Err(why)) => (Verdict::Fail, why),
                    },
                };
                proofs.push(Proof::new(ProofKind::Answer, name, format!("{service} at {}", request.path), came));
            }
        }
        for model in self.blueprint.models.values() {
            for (name, runner) in &model.runs_on {
                // A runner that fetches by itself what it is asked for has no list of its own to hold against.
                if runner.as_str() == "whisper" {
                    continue;
                }
                let node = Node::main(name, runner);
                let came = self.listed(&node, &replies).unwrap_or_else(|reply| models::at_runner(model, &node, reply));
                proofs.push(Proof::new(ProofKind::Model, name, format!("{} in {runner}", model.name), came));
            }
            for own in uses::all(self.blueprint, &self.looks) {
                if own.model == model.name && own.kind != DoorKind::Runner {
                    let came =
                        self.listed(&own.door, &replies).unwrap_or_else(|reply| models::at_gateway(model, reply));
                    proofs.push(Proof::new(
                        ProofKind::Model,
                        &own.door.guest,
                        format!("{} in {}", model.name, own.door),
                        came,
                    ));
                }
            }
        }
        self.proofs.extend(proofs);
    }

    /// A verdict where there is no list to judge; else the list.
    fn listed<'r>(
        &self,
        node: &Node,
        replies: &'r BTreeMap<GuestName, Result<BTreeMap<String, Reply>, String>>,
    ) -> Result<(Verdict, String), Option<&'r Reply>> {
        if let Some(cause) = self.ill_service(node) {
            return Ok((Verdict::Skipped, cause));
        }
        match replies.get(&node.guest) {
            None => Ok((Verdict::CouldNotRun, "it was not asked".to_owned())),
            Some(Err(why)) => Ok((Verdict::CouldNotRun, why.clone())),
            Some(Ok(replies)) => Err(replies.get(&format!("models:{}", node.service))),
        }
    }

    /// Why a service cannot be used, if one of its containers cannot.
    fn ill_service(&self, node: &Node) -> Option<String> {
        let same = |own: &&Node| own.guest == node.guest && own.service == node.service;
        self.ill(node).or_else(|| self.wellness.keys().filter(same).find_map(|part| self.ill(part)))
    }

    /// Why a container cannot be used, if it cannot.
    fn ill(&self, node: &Node) -> Option<String> {
        match self.wellness.get(node) {
            Some(None) => None,
            Some(Some(why)) => Some(format!("`{node}` is not well: {why}")),
            None => Some(format!("nothing is known of `{node}` in {}", node.guest)),
        }
    }

    fn failed(&self, of: ProofKind, guest: &GuestName, what: impl Fn(&str) -> bool) -> Option<String> {
        let own = |proof: &&Proof| {
            proof.of == of && proof.from == guest.as_str() && proof.verdict == Verdict::Fail && what(&proof.what)
        };
        self.proofs.iter().find(own).map(|proof| format!("{}: {}", proof.what, proof.says))
    }

    /// Why asking a model would only repeat a fault that was told already.
    fn spared(&self, own: &Use) -> Option<String> {
        let model = format!("{} in ", own.model);
        let of_door = format!(" from {}", own.door.service);
        self.ill_service(&own.door)
            .or_else(|| {
                let reasons: Vec<String> = own
                    .runners
                    .iter()
                    .map_while(|runner| {
                        let missing = || {
                            self.failed(ProofKind::Model, &runner.guest, |what| {
                                what == format!("{model}{}", runner.service)
                            })
                        };
                        self.ill(runner).or_else(missing)
                    })
                    .collect();
                (reasons.len() == own.runners.len()).then(|| reasons.into_iter().next()).flatten()
            })
            .or_else(|| {
                let listed = format!("{model}{}", own.door);
                self.failed(ProofKind::Model, &own.door.guest, |what| what == listed)
            })
            .or_else(|| self.failed(ProofKind::ContainerName, &own.door.guest, |what| what.contains(&of_door)))
            .or_else(|| self.failed(ProofKind::Space, &own.door.guest, |_| true))
    }

    /// A completion, and all that it proves.
    async fn chat(&mut self, own: &Use) {
        let from = own.place.from.clone();
        let what = own.shown();
        if let Some(cause) = self.spared(own) {
            self.proofs.push(Proof::new(ProofKind::Completion, &from, &what, (Verdict::Skipped, cause)));
            return;
        }
        let tenant = own.tenant(self.blueprint, TENANT);
        let here = own.runners.iter().any(|runner| runner.guest == from);
        let samples = here && facts::wants_nvidia(&self.blueprint.guests[&from]);
        let requests = [completion::warm_up(own, &tenant), completion::measured(own, &tenant, samples)];
        let replies = match self.ask(&from, &requests).await {
            Ok(replies) => replies,
            Err(why) => {
                self.proofs.push(Proof::new(ProofKind::Completion, &from, &what, (Verdict::CouldNotRun, why)));
                return;
            }
        };
        let reply = replies.get("measured").cloned().unwrap_or_default();
        let answer = match completion::read(&reply) {
            Ok(answer) => answer,
            Err(why) => {
                self.proofs.push(Proof::new(ProofKind::Completion, &from, &what, (Verdict::Fail, why)));
                return;
            }
        };
        let came = (Verdict::Pass, completion::shown(&answer.measured));
        let proof = Proof::new(ProofKind::Completion, &from, &what, came);
        self.proofs.push(Proof { measured: Some(answer.measured), ..proof });
        let model = self.blueprint.models[&own.model].clone();
        // Of several runners nobody knows which one answered.
        if let [runner] = &own.runners[..] {
            self.on_gpu(own, &model, runner, &answer.measured, reply.samples.len()).await;
        }
        if own.kind == DoorKind::TensorZero {
            self.record(own, &answer).await;
        } else if own.kind != DoorKind::Runner {
            let says = format!("what {} records is nowhere that could be asked", own.door);
            self.proofs.push(Proof::new(ProofKind::Record, &own.door.guest, &what, (Verdict::Unproven, says)));
        }
    }

    /// Where a model answered, and with how much room.
    async fn on_gpu(&mut self, own: &Use, model: &Model, runner: &Node, measured: &Measured, samples: usize) {
        let Some(guest) = self.blueprint.guests.get(&runner.guest) else { return };
        let deployment = &guest.deployments[&runner.service];
        let mut loaded = None;
        if runner.service.as_str() == "ollama"
            && let Some(Ok(look)) = self.looks.get(&runner.guest)
            && let Some(place) =
                uses::inside(guest, &self.blueprint.services[&runner.service], &"api".parse().expect("a name"), look)
        {
            let request = Request {
                key: "ps".into(),
                host: place.host,
                port: place.port,
                path: "/api/ps".into(),
                limit_s: 10,
                ..Request::default()
            };
            let replies = self.ask(&runner.guest, &[request]).await;
            let name = uses::name_at(model, &runner.service);
            loaded =
                Some(replies.and_then(|replies| models::loaded(replies.get("ps").ok_or("it was not asked")?, &name)));
        }
        let what = format!("{} in {runner}", own.model);
        if deployment.gpu.is_some() {
            let cause = self
                .failed(ProofKind::Gpu, &runner.guest, |_| true)
                .or_else(|| self.failed(ProofKind::GpuRoom, &runner.guest, |_| true));
            let came = match cause {
                Some(cause) => (Verdict::Skipped, cause),
                None => {
                    let after = self.look(Some(&runner.guest)).await.remove(&runner.guest);
                    let after = after.and_then(Result::ok).unwrap_or_else(Look::default);
                    let asked = after.containers.get(&runner.name()).is_none_or(|container| container.gpu);
                    completion::on_gpu(asked, loaded.as_ref(), measured, &after, samples)
                }
            };
            let proof = Proof::new(ProofKind::GpuUse, &runner.guest, format!("GPU for {what}"), came);
            self.proofs.push(Proof { measured: Some(*measured), ..proof });
        }
        let configured = deployment.settings.iter().find_map(|(name, setting)| match setting {
            Setting::Integer(tokens) if name.as_str() == "context" => Some(*tokens),
            _ => None,
        });
        if let Some(Ok(loaded)) = &loaded
            && let Some(came) = models::context(model, configured, loaded)
        {
            self.proofs.push(Proof::new(ProofKind::Context, &runner.guest, format!("context of {what}"), came));
        }
    }

    /// The record of a request in the database of its gateway.
    async fn record(&mut self, own: &Use, answer: &Answer) {
        let guest = &self.blueprint.guests[&own.door.guest];
        let what = own.shown();
        let name = "clickhouse".parse().expect("a name of a service");
        let Some(there) = self.blueprint.providers(guest, &name).into_iter().next() else { return };
        let node = Node::main(&there.name, &name);
        let prove = |of, came| Proof::new(of, &own.door.guest, format!("record of {what}"), came);
        if let Some(cause) = self.ill(&node) {
            self.proofs.push(prove(ProofKind::Record, (Verdict::Skipped, cause)));
            return;
        }
        let look = self.looks.get(&there.name).and_then(|look| look.as_ref().ok());
        let port = "http".parse().expect("a name of a port");
        let place = look.and_then(|look| uses::inside(there, &self.blueprint.services[&name], &port, look));
        let (Some(place), Some(id)) = (place, &answer.id) else {
            let says = "its answer has no id to look for".to_owned();
            self.proofs.push(prove(ProofKind::Record, (Verdict::Fail, says)));
            return;
        };
        let requests = records::requests(&place, &name, id);
        let mut found = Ok(None);
        for look in 0..ROW_LOOKS {
            if look > 0 {
                self.clock.sleep(ROW_WAIT).await;
            }
            found = self.ask(&place.from, &requests).await.and_then(|replies| records::read(&replies));
            if matches!(&found, Ok(Some(row)) if row.tokens.is_some()) {
                break;
            }
        }
        self.proofs.push(prove(ProofKind::Record, records::recorded(&found, (ROW_LOOKS - 1) * ROW_WAIT.as_secs())));
        if let Ok(Some(row)) = &found {
            let came = records::of_tenant(row, TENANT);
            self.proofs.push(Proof::new(ProofKind::Tenant, &own.door.guest, format!("tenant of {what}"), came));
        }
    }

    /// One request that is not streamed.
    async fn once(&mut self, own: &Use, of: ProofKind) {
        let (from, what) = (own.place.from.clone(), own.shown());
        let tenant = own.tenant(self.blueprint, TENANT);
        let request = match of {
            ProofKind::Embedding => completion::embedding(own, &tenant),
            _ => completion::transcription(own, &tenant),
        };
        let came = match self.spared(own) {
            Some(cause) => (Verdict::Skipped, cause),
            None => match self.ask(&from, std::slice::from_ref(&request)).await {
                Err(why) => (Verdict::CouldNotRun, why),
                Ok(replies) => {
                    let reply = replies.get(&request.key).cloned().unwrap_or_default();
                    if of == ProofKind::Embedding { completion::vector(&reply) } else { completion::text(&reply) }
                }
            },
        };
        self.proofs.push(Proof::new(of, &from, &what, came));
    }

    /// Whether a tenant who asks for more than a minute's tokens is refused: once for each gateway. A tenant of its own,
    /// and nothing is generated for it.
    async fn limits(&mut self, uses: &[Use]) {
        let mut asked: Vec<&Node> = Vec::new();
        for own in uses.iter().filter(|own| own.does == ModelKind::Chat && own.kind != DoorKind::Runner) {
            if asked.contains(&&own.door) {
                continue;
            }
            asked.push(&own.door);
            let what = format!("limits of {}", own.door);
            let deployment = &self.blueprint.guests[&own.door.guest].deployments[&own.door.service];
            let minute = deployment.settings.iter().find_map(|(name, setting)| match setting {
                Setting::Integer(tokens) if name.as_str() == "tokens_per_minute" => Some(*tokens),
                _ => None,
            });
            let came = match (own.kind, minute, self.spared(own)) {
                (DoorKind::TensorZero, Some(minute), None) => {
                    let tenant = own.tenant(self.blueprint, TENANT_OF_LIMITS);
                    let request = completion::beyond(own, &tenant, minute.saturating_add(1));
                    match self.ask(&own.place.from, std::slice::from_ref(&request)).await {
                        Err(why) => (Verdict::CouldNotRun, why),
                        Ok(replies) => limited(replies.get(&request.key), minute),
                    }
                }
                (DoorKind::TensorZero, Some(_), Some(cause)) => (Verdict::Skipped, cause),
                _ => (
                    Verdict::Unproven,
                    "its limits are those of a whole model: to reach them would take them from others".to_owned(),
                ),
            };
            self.proofs.push(Proof::new(ProofKind::Limit, &own.place.from, what, came));
        }
    }
}

fn limited(reply: Option<&Reply>, minute: u64) -> (Verdict, String) {
    match reply {
        Some(Reply { status: Some(429), .. }) => {
            (Verdict::Pass, format!("429 for whoever asks for more than {minute} tokens in a minute"))
        }
        Some(Reply { status: Some(200), .. }) => {
            (Verdict::Fail, format!("a request for more than {minute} tokens in a minute is answered"))
        }
        Some(reply) => (Verdict::Fail, format!("429 was to come: {}", reply.fine().err().unwrap_or_default())),
        None => (Verdict::CouldNotRun, "it was not asked".to_owned()),
    }
}
