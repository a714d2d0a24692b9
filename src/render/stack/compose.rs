//! A compose project: what its template says, and what the blueprint says of every container.

use serde_json::{Map, Value, json};

use super::template::TemplateError;
use crate::blueprint::{Bind, Blueprint, Deployment, GpuMaker, Guest, Health, Recipe, Service};
use crate::diag::{Diagnostics, FileId};
use crate::inventory::HealthProbe;
use crate::inventory::parse::{Ids, parse};
use crate::model::{PortRange, Size, Transport};

/// Keys of every container that are made of the blueprint.
const DERIVED: [&str; 6] = ["container_name", "logging", "networks", "ports", "pull_policy", "restart"];
/// Keys that are made of it for the container of the service's own name.
const DERIVED_MAIN: [&str; 9] =
    ["deploy", "env_file", "healthcheck", "image", "labels", "mem_limit", "network_mode", "secrets", "shm_size"];
/// How long the log of a container may get, and how many of them are kept.
const LOG: (&str, &str) = ("10m", "3");

/// A filled template as values.
pub(super) fn parsed(service: &str, file: &str, text: &str) -> Result<Value, TemplateError> {
    let mut problems = Diagnostics::new();
    let tree = parse(FileId(0), text, &mut Ids::default(), &mut problems);
    match (tree, problems.iter().next()) {
        (Some(tree), None) => Ok(tree.to_json()),
        (_, problem) => {
            let line = problem.and_then(|problem| problem.primary.as_ref()).map(|place| {
                let before = text.get(..place.span.start as usize).unwrap_or_default();
                before.matches('\n').count() + 1
            });
            let said = problem.map_or("it is empty", |problem| problem.summary.as_str());
            Err(error(service, file, line, format!("what it makes is no YAML: {said}")))
        }
    }
}

fn error(service: &str, file: &str, line: Option<usize>, problem: String) -> TemplateError {
    TemplateError { service: service.to_owned(), file: file.to_owned(), line, problem }
}

/// The project as it is deployed.
pub(super) fn finished(
    blueprint: &Blueprint,
    guest: &Guest,
    service: &Service,
    recipe: &Recipe,
    deployment: &Deployment,
    (written, has_environment): (&Value, bool),
) -> Result<Value, TemplateError> {
    let name = service.name.as_str();
    let wrong = |problem: String| error(name, super::COMPOSE, None, problem);
    let root = written.as_object().ok_or_else(|| wrong("it is no block of keys".to_owned()))?;
    if let Some(key) = root.keys().find(|key| *key != "services") {
        return Err(wrong(format!("`{key}` at the top is made of `template.yaml`; leave it out")));
    }
    let containers = root.get("services").and_then(Value::as_object);
    let containers = containers.ok_or_else(|| wrong("it has no `services`".to_owned()))?;
    if !containers.contains_key(name) {
        return Err(wrong(format!("no container is called `{name}`, as the service")));
    }
    if let Some(gone) = named(recipe).find(|own| !containers.contains_key(*own)) {
        return Err(wrong(format!("`template.yaml` gives something to a container `{gone}`, which there is none of")));
    }
    let own = Networks::of(blueprint, guest, service, recipe);
    let mut services = Map::new();
    for (container, said) in containers {
        let mut said = match said {
            Value::Null => Map::new(),
            Value::Object(said) => said.clone(),
            _ => return Err(wrong(format!("`{container}` is no block of keys"))),
        };
        let main = container == name;
        let derived = DERIVED.iter().chain(if main { &DERIVED_MAIN[..] } else { &[] });
        if let Some(key) = derived.copied().find(|key| said.contains_key(*key)) {
            return Err(wrong(format!("`{key}` of `{container}` is made of `template.yaml`; leave it out")));
        }
        // A container beside the main one that itself asks what the service depends on.
        let joins = said.remove("join").is_some_and(|join| join == json!(true));
        let mut all = Map::new();
        if main {
            all.insert("image".into(), json!(deployment.image.to_string()));
        } else {
            for (key, hint) in [("image", "{{ images.… }}"), ("mem_limit", "256m")] {
                if !said.contains_key(key) {
                    return Err(wrong(format!("`{container}` has no `{key}`; write one, such as `{hint}`")));
                }
            }
        }
        all.insert("pull_policy".into(), json!("missing"));
        all.insert("restart".into(), json!("unless-stopped"));
        all.append(&mut said);
        // No program of an image needs more rights than it was started with, unless its template says so.
        all.entry("security_opt").or_insert_with(|| json!(["no-new-privileges:true"]));
        given(&mut all, recipe, deployment, container, main).map_err(wrong)?;
        if main {
            self::main(&mut all, service, recipe, deployment, has_environment).map_err(wrong)?;
            let ports = ports(blueprint, guest, service);
            if !recipe.host_network && !ports.is_empty() {
                all.insert("ports".into(), json!(ports));
            }
        }
        if recipe.host_network {
            all.insert("network_mode".into(), json!("host"));
        } else {
            all.insert("networks".into(), json!(own.for_container(main, joins)));
        }
        let labels = json!({ "infra.environment": blueprint.name.as_str(), "infra.service": name });
        all.insert("labels".into(), labels);
        let (size, count) = LOG;
        all.insert(
            "logging".into(),
            json!({ "driver": "json-file", "options": { "max-size": size, "max-file": count } }),
        );
        services.insert(container.clone(), Value::Object(all));
    }
    let mut project = Map::new();
    project.insert("name".into(), json!(name));
    project.insert("services".into(), Value::Object(services));
    if !recipe.host_network {
        project.insert("networks".into(), own.declared());
    }
    let volumes: Map<String, Value> = recipe
        .volumes
        .keys()
        .filter(|volume| !deployment.volumes.contains_key(*volume))
        .map(|volume| (volume.to_string(), json!({ "name": format!("{name}_{volume}") })))
        .collect();
    if !volumes.is_empty() {
        project.insert("volumes".into(), Value::Object(volumes));
    }
    let secrets: Map<String, Value> = files_of_secrets(recipe, deployment)
        .map(|(key, ..)| (key.to_owned(), json!({ "file": format!("./secrets/{key}") })))
        .collect();
    if !secrets.is_empty() {
        project.insert("secrets".into(), Value::Object(secrets));
    }
    Ok(Value::Object(project))
}

/// Secrets that are files, with the variable that names each.
fn files_of_secrets<'a>(
    recipe: &'a Recipe,
    deployment: &'a Deployment,
) -> impl Iterator<Item = (&'a str, &'a str, &'a [String])> {
    let held = deployment.secrets.keys();
    held.filter_map(|key| {
        let secret = recipe.secrets.get(key)?;
        Some((key.as_str(), secret.file.as_deref()?, secret.containers.as_slice()))
    })
}

/// Whether a part for `containers` is for this one.
fn is_for(containers: &[String], container: &str, main: bool) -> bool {
    if containers.is_empty() { main } else { containers.iter().any(|own| own == container) }
}

/// Names of containers that parts of the recipe are for.
fn named(recipe: &Recipe) -> impl Iterator<Item = &String> {
    let volumes = recipe.volumes.values().map(|volume| &volume.containers);
    let files = recipe.files.values().map(|file| &file.containers);
    let secrets = recipe.secrets.values().map(|secret| &secret.containers);
    let backup = recipe.backup.iter().filter_map(|backup| backup.container.as_ref());
    volumes.chain(files).chain(secrets).flatten().chain(backup)
}

/// What a container is given of secrets, volumes and files.
fn given(
    all: &mut Map<String, Value>,
    recipe: &Recipe,
    deployment: &Deployment,
    container: &str,
    main: bool,
) -> Result<(), String> {
    let secrets: Vec<(&str, &str)> = files_of_secrets(recipe, deployment)
        .filter(|(.., containers)| is_for(containers, container, main))
        .map(|(key, variable, _)| (key, variable))
        .collect();
    if !secrets.is_empty() {
        let environment = all.entry("environment").or_insert_with(|| json!({}));
        let environment =
            environment.as_object_mut().ok_or("`environment` is written as a block of keys, not as a list")?;
        for (key, variable) in &secrets {
            environment.insert((*variable).to_owned(), json!(format!("/run/secrets/{key}")));
        }
        let mut own: Vec<Value> = secrets.iter().map(|(key, _)| json!(key)).collect();
        if let Some(said) = all.remove("secrets") {
            own.extend(said.as_array().ok_or("`secrets` is a list")?.iter().cloned());
        }
        all.insert("secrets".into(), Value::Array(own));
    }
    let mut mounts: Vec<Value> = Vec::new();
    for (key, volume) in recipe.volumes.iter().filter(|(_, own)| is_for(&own.containers, container, main)) {
        let from = deployment.volumes.get(key).map_or(key.as_str(), String::as_str);
        mounts.push(json!(format!("{from}:{}", volume.mount)));
    }
    for (file, mount) in recipe.files.iter().filter(|(_, own)| is_for(&own.containers, container, main)) {
        mounts.push(json!(format!("./{}:{}:ro", file.trim_end_matches(".j2"), mount.mount)));
    }
    if let Some(own) = all.remove("volumes") {
        mounts.extend(own.as_array().ok_or("`volumes` is a list")?.iter().cloned());
    }
    if !mounts.is_empty() {
        all.insert("volumes".into(), Value::Array(mounts));
    }
    Ok(())
}

/// What only the container of the service's own name has.
fn main(
    all: &mut Map<String, Value>,
    service: &Service,
    recipe: &Recipe,
    deployment: &Deployment,
    has_environment: bool,
) -> Result<(), String> {
    if has_environment {
        all.insert("env_file".into(), json!([format!(".env.{}", service.name)]));
    }
    if let Some(limit) = deployment.memory_limit {
        all.insert("mem_limit".into(), json!(megabytes(limit)));
    }
    if let Some(size) = recipe.needs.shared_memory {
        all.insert("shm_size".into(), json!(megabytes(size)));
    }
    match deployment.gpu {
        // https://docs.docker.com/compose/how-tos/gpu-support/
        Some(GpuMaker::Nvidia) => {
            let device = json!({ "driver": "nvidia", "count": "all", "capabilities": ["gpu"] });
            all.insert("deploy".into(), json!({ "resources": { "reservations": { "devices": [device] } } }));
        }
        // https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html
        Some(GpuMaker::Amd) => {
            all.insert("devices".into(), json!(["/dev/kfd", "/dev/dri"]));
        }
        None => {}
    }
    if let Some(test) = service.health.as_ref().and_then(|health| test(service, health)) {
        let health = service.health.as_ref().expect("there is a test of it");
        let check = json!({
            "test": test,
            "interval": health.interval.to_string(),
            "timeout": health.timeout.to_string(),
            "retries": 3,
            "start_period": health.grace.to_string(),
        });
        all.insert("healthcheck".into(), check);
    }
    Ok(())
}

fn megabytes(size: Size) -> String {
    format!("{}m", size.as_bytes() >> 20)
}

/// What Docker runs in the container; nothing where the image has no program for it.
fn test(service: &Service, health: &Health) -> Option<Vec<String>> {
    if !health.command.is_empty() {
        let words = health.command.iter().map(|word| word.replace('$', "$$"));
        return Some(std::iter::once("CMD".to_owned()).chain(words).collect());
    }
    let port = service.ports.get(health.port.as_ref()?)?.inside.first();
    let path = health.path.as_deref()?;
    let (url, wait) = (format!("http://127.0.0.1:{port}{path}"), health.timeout.as_seconds().to_string());
    let words: Vec<&str> = match health.probe {
        HealthProbe::Curl => vec!["curl", "--fail", "--silent", "--output", "/dev/null", "--max-time", &wait, &url],
        // Both GNU's and BusyBox's take these.
        HealthProbe::Wget => vec!["wget", "-q", "-T", &wait, "-O", "/dev/null", &url],
        HealthProbe::Python => {
            let program = format!("import urllib.request as r; r.urlopen('{url}', timeout={wait})");
            return Some(["CMD", "python3", "-c", &program].map(str::to_owned).to_vec());
        }
        HealthProbe::Bash => {
            let program = format!(
                "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && \
                 read -r line <&3 && [[ $$line == *' 200 '* ]]"
            );
            return Some(["CMD", "bash", "-c", &program].map(str::to_owned).to_vec());
        }
        HealthProbe::None => return None,
    };
    Some(std::iter::once("CMD").chain(words).map(str::to_owned).collect())
}

/// Ports in the short form: `address:here:there/protocol`.
fn ports(blueprint: &Blueprint, guest: &Guest, service: &Service) -> Vec<String> {
    let range = |ports: PortRange| match (ports.first(), ports.last()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    let mut all = Vec::new();
    for own in blueprint.published(guest, service) {
        let protocol = match own.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        for bind in &own.on {
            let address = match bind {
                Bind::All => String::new(),
                Bind::Address(address) if address.is_ipv6() => format!("[{address}]:"),
                Bind::Address(address) => format!("{address}:"),
            };
            all.push(format!("{address}{}:{}/{protocol}", range(own.ports), range(own.inside)));
        }
    }
    all
}

/// Networks of a project. Each service has one of its own that leads nowhere else, and joins those of the services
/// that it uses: two that do not use one another do not meet.
///
/// Those between services are made before any project is (`docker network create --internal`) and belong to none: a
/// monitor joins what it asks, and what it asks may depend on the monitor, so that no order of projects would do, and
/// Compose refuses a network of its project that somebody else has made.
struct Networks {
    default_is_internal: bool,
    own: Option<String>,
    joined: Vec<String>,
}

impl Networks {
    fn of(blueprint: &Blueprint, guest: &Guest, service: &Service, recipe: &Recipe) -> Self {
        let in_container = |name: &&crate::model::ServiceName| {
            let own = blueprint.services.get(*name).and_then(|service| service.recipe.as_ref());
            guest.services.contains(name) && own.is_some_and(|recipe| !recipe.host_network)
        };
        let scraped = blueprint.scrape_targets(guest);
        let scraped = scraped.iter().filter(|target| recipe.scrapes && target.guest == guest.name);
        let scraped = scraped.map(|target| &target.service);
        let joined: std::collections::BTreeSet<String> = recipe
            .depends_on
            .keys()
            .chain(scraped)
            .filter(in_container)
            .filter(|name| **name != service.name)
            .map(|name| format!("infra-{name}"))
            .collect();
        // What another guest offers is reached by that guest's address, and an internal network leads to none.
        let elsewhere = |name| blueprint.providers(guest, name).iter().any(|other| other.name != guest.name);
        let leads_out = recipe.internet || recipe.depends_on.keys().any(elsewhere);
        Self {
            // Docker publishes no port of a container that is in internal networks alone.
            default_is_internal: !leads_out && blueprint.published(guest, service).is_empty(),
            own: (!service.ports.is_empty()).then(|| format!("infra-{}", service.name)),
            joined: joined.into_iter().collect(),
        }
    }

    fn for_container(&self, main: bool, joins: bool) -> Vec<&str> {
        let own = self.own.iter().filter(|_| main);
        let joined = self.joined.iter().filter(|_| main || joins);
        std::iter::once("default").chain(own.chain(joined).map(String::as_str)).collect()
    }

    fn declared(&self) -> Value {
        let mut all = Map::new();
        all.insert("default".into(), if self.default_is_internal { json!({ "internal": true }) } else { json!({}) });
        if let Some(own) = &self.own {
            all.insert(own.clone(), json!({ "name": own, "external": true }));
        }
        for network in &self.joined {
            all.insert(network.clone(), json!({ "name": network, "external": true }));
        }
        Value::Object(all)
    }
}
