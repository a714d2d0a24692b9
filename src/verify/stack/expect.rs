//! What ought to run in a guest: containers as they are rendered for it, with what each one needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::blueprint::{Bind, Blueprint, Guest};
use crate::diag::{Diagnostics, FileId};
use crate::inventory::parse::{Ids, parse};
use crate::model::{GuestName, ServiceName, Transport};
use crate::render::stack;

/// A container of a service in a guest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// The guest.
    pub guest: GuestName,
    /// The service, which is the compose project.
    pub service: ServiceName,
    /// The container within the project.
    pub part: String,
}

impl fmt::Display for Node {
    /// `ollama`, or `tensorzero/gateway` for a container beside the one that has the service's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part == self.service.as_str() {
            true => write!(f, "{}", self.service),
            false => write!(f, "{}/{}", self.service, self.part),
        }
    }
}

impl Node {
    /// The container of a service's own name.
    #[must_use]
    pub fn main(guest: &GuestName, service: &ServiceName) -> Self {
        Self { guest: guest.clone(), service: service.clone(), part: service.to_string() }
    }

    /// What compose calls it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}-1", self.service, self.part)
    }
}

/// A container that ought to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Which.
    pub node: Node,
    /// Its image.
    pub image: String,
    /// Whether it is given a GPU.
    pub gpu: bool,
    /// Whether it sees the guest's own network.
    pub host_network: bool,
    /// What is published of it: `port/protocol` in it, address of the guest (empty for all), port there.
    pub published: BTreeSet<(String, String, u16)>,
    /// Containers that it does not do without.
    pub needs: BTreeSet<Node>,
    /// Names of other containers of its guest that it has to find, with whose they are.
    pub knows: BTreeMap<String, Node>,
    /// Whether it has a way out of its guest.
    pub leads_out: bool,
}

/// Every container of a guest; of a service that cannot be rendered, why.
///
/// # Errors
/// With the service that cannot be rendered and why.
pub fn expected(blueprint: &Blueprint, guest: &Guest) -> Result<Vec<Expected>, String> {
    let mut all = Vec::new();
    for (name, deployment) in &guest.deployments {
        let files = stack(blueprint, guest, deployment).map_err(|error| format!("{name}: {error}"))?;
        let file = files.iter().find(|file| file.path == "compose.yaml");
        let text = file.map(|file| file.content.shown()).unwrap_or_default();
        let tree = parse(FileId(0), &text, &mut Ids::default(), &mut Diagnostics::new());
        let project = tree.map(|tree| tree.to_json()).unwrap_or_default();
        all.extend(containers(blueprint, guest, name, &project));
    }
    all.sort_by(|a: &Expected, b| a.node.cmp(&b.node));
    Ok(all)
}

fn containers(blueprint: &Blueprint, guest: &Guest, name: &ServiceName, project: &Value) -> Vec<Expected> {
    let service = &blueprint.services[name];
    let external: BTreeMap<&str, &str> = object(&project["networks"])
        .filter(|(_, network)| network["external"] == true)
        .filter_map(|(key, _)| Some((key, key.strip_prefix("infra-")?)))
        .collect();
    let internal = |key: &str| project["networks"][key]["internal"] == true || external.contains_key(key);
    let elsewhere: Vec<Node> = service
        .recipe
        .iter()
        .flat_map(|recipe| recipe.depends_on.keys())
        .filter(|other| !guest.services.contains(*other))
        .flat_map(|other| blueprint.providers(guest, other).into_iter().map(|own| Node::main(&own.name, other)))
        .collect();
    let node = |part: &str| Node { guest: guest.name.clone(), service: name.clone(), part: part.to_owned() };
    object(&project["services"])
        .map(|(part, own)| {
            let own_networks: Vec<&str> =
                own["networks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let siblings: Vec<&str> = match &own["depends_on"] {
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
                other => object(other).map(|(key, _)| key).collect(),
            };
            let mut knows: BTreeMap<String, Node> =
                siblings.iter().map(|part| ((*part).to_owned(), node(part))).collect();
            for key in &own_networks {
                if let Some(other) = external.get(key).and_then(|other| other.parse::<ServiceName>().ok())
                    && other != *name
                {
                    knows.insert(other.to_string(), Node::main(&guest.name, &other));
                }
            }
            let needs = knows.values().cloned().chain(elsewhere.iter().cloned()).collect();
            let main = part == name.as_str();
            let published = if main { published(blueprint, guest, name) } else { BTreeSet::new() };
            let host_network = own["network_mode"] == "host";
            Expected {
                node: node(part),
                image: own["image"].as_str().unwrap_or_default().to_owned(),
                gpu: !own["deploy"].is_null() || !own["devices"].is_null(),
                published: if host_network { BTreeSet::new() } else { published },
                needs,
                knows,
                leads_out: host_network || own_networks.iter().any(|key| !internal(key)),
                host_network,
            }
        })
        .collect()
}

fn published(blueprint: &Blueprint, guest: &Guest, name: &ServiceName) -> BTreeSet<(String, String, u16)> {
    let mut all = BTreeSet::new();
    for own in blueprint.published(guest, &blueprint.services[name]) {
        let protocol = match own.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        for bind in &own.on {
            let address = match bind {
                Bind::All => String::new(),
                Bind::Address(address) => address.to_string(),
            };
            let pairs = (own.ports.first()..=own.ports.last()).zip(own.inside.first()..=own.inside.last());
            all.extend(pairs.map(|(here, inside)| (format!("{inside}/{protocol}"), address.clone(), here)));
        }
    }
    all
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;

    #[test]
    fn containers_come_from_what_is_rendered() {
        let blueprint = with(
            "guests: { plan-hq: { services: [ollama, tensorzero, clickhouse], exposes: { tensorzero: [192.168.10.0/24] } } }",
        );
        let guest = &blueprint.guests[&"plan-hq".parse().unwrap()];
        let all = expected(&blueprint, guest).unwrap();
        let names: Vec<String> = all.iter().map(|one| one.node.name()).collect();
        assert_eq!(
            names,
            [
                "clickhouse-clickhouse-1",
                "ollama-ollama-1",
                "tensorzero-gateway-1",
                "tensorzero-limits-1",
                "tensorzero-tensorzero-1"
            ]
        );
        let gateway = &all[2];
        assert_eq!(gateway.knows.keys().collect::<Vec<_>>(), ["clickhouse", "limits", "ollama"]);
        assert_eq!(gateway.knows["clickhouse"], Node::main(&guest.name, &"clickhouse".parse().unwrap()));
        assert_eq!(
            (gateway.node.to_string(), all[4].node.to_string()),
            ("tensorzero/gateway".into(), "tensorzero".into())
        );
        assert_eq!(all[4].published, [("8000/tcp".to_owned(), "10.0.0.10".to_owned(), 8000)].into());
        assert!(all[1].leads_out && !all[0].leads_out, "what has no internet leads nowhere");
        assert!(all[1].published.is_empty());
    }
}
