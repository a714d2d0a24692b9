//! All reads, as concurrently as the hosts bear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::{JoinHandle, JoinSet};

use super::host::{NodeFacts, read};
use super::shell::{Firewalls, ShellFacts, ShellReads};
use super::sight::{self, Sight};
use super::site::SiteFacts;
use super::{Interest, facts, guests};
use crate::blueprint::{self, Blueprint, Guest};
use crate::client::{Doors, Session};
use crate::model::guard::GuardState;
use crate::model::observed::{Fact, GuestConfig, GuestListing, Host, Observed, Release, Site};
use crate::model::opnsense::OpnSenseSeen;
use crate::model::tailnet::TailnetSeen;
use crate::model::{HostName, NodeName, StorageName, Upid, Vmid};
use crate::ports::Command;
use crate::tailnet::requests;

/// What a host answered to the first question, or why it did not.
type Probe = Result<Release, String>;

/// Reads everything that a plan for `blueprint` is held against.
///
/// Per host: 7 requests, one more where a container template is missing, and one batch over SSH (a
/// second one where a dataset or a storage is not where it usually is). Per site: 6 requests through
/// the first host that answers. A host whose own door is shut is read through another node of its cluster, with
/// one request more. Per managed guest: one request, if it exists or could be hidden.
pub async fn observe(blueprint: &Blueprint, doors: &Doors, interest: &Interest) -> Observed {
    let hosts: Vec<&blueprint::Host> = blueprint.hosts.values().collect();
    let managed = managed(blueprint);

    let mut shells: BTreeMap<HostName, Task<ShellFacts>> = BTreeMap::new();
    let mut leads: BTreeMap<&str, &HostName> = BTreeMap::new();
    for host in &hosts {
        if let Some(reads) = shell_reads(blueprint, host, doors, interest) {
            let lead = *leads.entry(host.site.as_str()).or_insert(&host.name) == &host.name;
            let vmids = lead.then(|| managed.get(host.site.as_str()).cloned().unwrap_or_default());
            shells.insert(host.name.clone(), Task::spawn(reads.read(vmids)));
        }
    }

    let mut probes = BTreeMap::new();
    for host in &hosts {
        let session = doors.own(&host.name).cloned();
        probes.insert(host.name.clone(), Task::spawn(probe(session, host.name.clone())));
    }
    let mut versions = BTreeMap::new();
    for (name, task) in probes {
        versions.insert(name, task.join().await);
    }

    let mut nodes = BTreeMap::new();
    for host in &hosts {
        let read = match (doors.session(&host.name), &versions[&host.name]) {
            (Some(session), Ok(_)) => {
                let (node, files) = (host.node.clone(), host.storage.files.clone());
                Task::spawn(NodeFacts::read(session.clone(), node, files, sight::templates(blueprint, host)))
            }
            (Some(session), Err(why)) if answers(&hosts, &versions, &host.site) => {
                let files = host.storage.files.clone();
                let templates = sight::templates(blueprint, host);
                Task::spawn(through_another(session.clone(), host.node.clone(), files, templates, why.clone()))
            }
            (_, version) => {
                let why = version.as_ref().err().cloned().unwrap_or_default();
                Task::ready(NodeFacts::unavailable(&why))
            }
        };
        nodes.insert(host.name.clone(), read);
    }

    let mut sites = BTreeMap::new();
    for site in blueprint.sites().keys() {
        let members = || hosts.iter().filter(|host| host.site == *site);
        let lead = members().find(|host| versions[&host.name].is_ok());
        let read = match lead.and_then(|host| doors.session(&host.name)) {
            Some(session) => Task::spawn(SiteFacts::read(session.clone())),
            None => Task::ready(SiteFacts::unavailable(&silence(members().map(|host| &versions[&host.name])))),
        };
        sites.insert((*site).to_owned(), (lead.map(|host| host.name.clone()), read));
    }

    let tailnet = Task::spawn(tailnet(blueprint.tailnet.is_some(), doors.tailnet().cloned()));
    let opnsense = Task::spawn(opnsense(blueprint.dns.opnsense.is_some(), doors.opnsense().cloned()));
    let mut observed = Observed::default();
    let mut node_lists: BTreeMap<&str, BTreeMap<NodeName, guests::NodeList>> = BTreeMap::new();
    for host in &hosts {
        let node = nodes.remove(&host.name).expect("every host was read").join().await;
        let shell = match shells.remove(&host.name) {
            Some(task) => task.join().await,
            None => ShellFacts::unavailable(&format!("no SSH access is declared for host `{}`", host.name)),
        };
        node_lists.entry(host.site.as_str()).or_default().insert(host.node.clone(), node.guests);
        if let Some(firewall) = shell.firewall {
            let site = observed.sites.entry(host.site.clone()).or_default();
            firewall.put(site);
        }
        let read = Host {
            site: host.site.clone(),
            online: Fact::default(),
            release: super::host::fact(versions[&host.name].clone()),
            machine: shell.machine,
            entrance: shell.entrance,
            pci: node.pci,
            storages: node.storages,
            volumes: BTreeMap::from([(host.storage.files.clone(), node.volumes)]),
            datasets: shell.datasets,
            storage_paths: shell.storage_paths,
            storage_entries: shell.storage_entries,
            files: shell.files,
            bridges: node.bridges,
            appliances: node.appliances,
            looks: shell.looks,
            tailscale: shell.tailscale,
            docker: shell.docker,
        };
        observed.hosts.insert(host.name.clone(), read);
    }

    for (name, (lead, read)) in sites {
        let read = read.join().await;
        let site = observed.sites.entry(name.clone()).or_default();
        site.version = match &lead {
            Some(lead) => {
                versions[lead].clone().map_or_else(Fact::unavailable, |release| Fact::complete(release.version))
            }
            None => Fact::unavailable(read.nodes.why().unwrap_or_default()),
        };
        let online = read.nodes.value().map(|(nodes, _)| nodes);
        let lists = node_lists.remove(name.as_str()).unwrap_or_default();
        site.guests = guests::join(read.guests, &lists, online);
        for host in hosts.iter().filter(|host| host.site == name) {
            if let Some(there) = observed.hosts.get_mut(&host.name) {
                there.online = node_state(&host.node, &read.nodes, &versions[&host.name]);
            }
        }
        (site.permissions, site.node_memory) = (read.permissions, read.node_memory);
        (site.pools, site.mappings, site.tasks) = (read.pools, read.mappings, read.tasks);
        if let Some(lead) = &lead {
            let token = |host: &HostName| blueprint.hosts[host].access.api.token_id.as_str();
            let permissions = site.permissions.clone();
            let sight = Sight { token: token(lead), permissions: &permissions };
            if let Some(session) = doors.session(lead) {
                let managed = managed.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
                sight.judge_guests(site, managed, session).await;
            }
            sight.judge_site(site, blueprint, &name);
            // What another token of the same site may see was not asked for.
            for host in hosts.iter().filter(|host| host.site == name && token(&host.name) == token(lead)) {
                if let Some(there) = observed.hosts.get_mut(&host.name) {
                    sight.judge_storages(there, blueprint, &host.name);
                }
            }
        }
        site.configs = configs(
            site,
            online,
            managed.get(name.as_str()).map(Vec::as_slice).unwrap_or_default(),
            &session_by_node(&hosts, &name, doors, &versions),
            lead.as_ref().and_then(|lead| doors.session(lead)),
        )
        .await;
        (site.nodes, site.quorate) = split(read.nodes);
        if site.firewall.value().is_none() {
            elsewhere(site, &name, (blueprint, hosts.as_slice()), doors, &leads, &managed).await;
        }
    }
    if interest.services && !interest.in_one_go {
        super::secret_files::compare(blueprint, doors, &mut observed).await;
    }
    observed.tailnet = tailnet.join().await;
    observed.opnsense = opnsense.join().await;
    observed
}

/// Host overrides of the OPNsense, if the inventory has one; two requests.
async fn opnsense(declared: bool, session: Option<Session>) -> OpnSenseSeen {
    let Some(session) = session.filter(|_| declared) else { return OpnSenseSeen::default() };
    let (overrides, aliases) = tokio::join!(
        read(&session, crate::opnsense::requests::overrides(), facts::opnsense::read_overrides),
        read(&session, crate::opnsense::requests::aliases(), facts::opnsense::read_aliases),
    );
    OpnSenseSeen { overrides: super::host::fact(overrides), aliases: super::host::fact(aliases) }
}

/// Policy and devices of the tailnet, if the inventory has one; two requests.
async fn tailnet(declared: bool, session: Option<Session>) -> TailnetSeen {
    let Some(session) = session.filter(|_| declared) else { return TailnetSeen::default() };
    let (policy, devices) = tokio::join!(
        read(&session, requests::policy(), facts::tailnet::read_policy),
        read(&session, requests::devices(), facts::tailnet::read_devices),
    );
    TailnetSeen { policy: super::host::fact(policy), devices: super::host::fact(devices) }
}

/// Tasks that work on guests of the blueprint right now, and those about no guest that were started with
/// our token; one request per site. Of a site that does not answer nothing is known, and nothing is said.
pub async fn working(blueprint: &Blueprint, doors: &Doors) -> Vec<Upid> {
    let managed = managed(blueprint);
    let mut working = Vec::new();
    for (site, host) in blueprint.sites() {
        let Some(session) = doors.session(&host.name) else { continue };
        let tasks = read(session, facts::tasks::request(), facts::tasks::read).await.unwrap_or_default();
        let tokens: Vec<&str> = blueprint
            .hosts
            .values()
            .filter(|host| host.site == site)
            .map(|host| host.access.api.token_id.as_str())
            .collect();
        let ours = |upid: &Upid| match upid.id().parse::<Vmid>() {
            Ok(vmid) => managed.get(site).is_some_and(|all| all.contains(&vmid)),
            // About no guest, such as a download.
            Err(_) => tokens.contains(&upid.user()),
        };
        working.extend(tasks.into_iter().filter(ours));
    }
    working
}

/// Reverts that hosts of the blueprint have, one command per host. Of a host that does not answer nothing is said.
pub async fn reverts(blueprint: &Blueprint, doors: &Doors) -> BTreeMap<HostName, BTreeMap<String, GuardState>> {
    let mut all = BTreeMap::new();
    for host in blueprint.hosts.keys() {
        let Some(shell) = doors.shell(host) else { continue };
        let Ok(output) = shell.run(&Command::new(facts::guards::COMMAND)).await else { continue };
        if let Ok(guards) = facts::guards::read(&output)
            && !guards.is_empty()
        {
            all.insert(host.clone(), guards);
        }
    }
    all
}

async fn probe(session: Option<Session>, host: HostName) -> Probe {
    match session {
        Some(session) => read(&session, facts::version::request(), facts::version::read).await,
        None => Err(format!("host `{host}` has no door")),
    }
}

/// Whether any host of a site answers at its own door.
fn answers(hosts: &[&blueprint::Host], versions: &BTreeMap<HostName, Probe>, site: &str) -> bool {
    hosts.iter().any(|host| host.site == site && versions[&host.name].is_ok())
}

/// Reads a node whose own door is shut through another node of its cluster, if it is up: asked for one that
/// is off, every call would take seconds and come back as 595. One request more.
async fn through_another(
    session: Session,
    node: NodeName,
    files: StorageName,
    templates: BTreeSet<String>,
    shut: String,
) -> NodeFacts {
    match read(&session, facts::nodes::request(), facts::nodes::read).await {
        Ok((nodes, _)) if nodes.get(&node) == Some(&true) => NodeFacts::read(session, node, files, templates).await,
        Ok((nodes, _)) if nodes.contains_key(&node) => NodeFacts::unavailable(&format!("node `{node}` is offline")),
        Ok(_) | Err(_) => NodeFacts::unavailable(&shut),
    }
}

/// Why nobody of a site answers.
fn silence<'a>(versions: impl Iterator<Item = &'a Probe>) -> String {
    versions.filter_map(|version| version.as_ref().err()).cloned().collect::<Vec<_>>().join("; ")
}

/// Numbers of the blueprint's guests by site.
fn managed(blueprint: &Blueprint) -> BTreeMap<&str, Vec<Vmid>> {
    let mut managed: BTreeMap<&str, Vec<Vmid>> = BTreeMap::new();
    for guest in blueprint.guests.values() {
        managed.entry(blueprint.host_of(guest).site.as_str()).or_default().push(guest.vmid);
    }
    managed
}

fn shell_reads(
    blueprint: &Blueprint,
    host: &blueprint::Host,
    doors: &Doors,
    interest: &Interest,
) -> Option<ShellReads> {
    let shell = doors.shell(&host.name)?;
    let members = blueprint.tailnet_members();
    let here = |guest: &&Guest| members.contains(&guest.name) && guest.host == host.name;
    let members = blueprint.guests.values().filter(here);
    Some(ShellReads {
        shell: Arc::clone(shell),
        clock: Arc::clone(doors.clock()),
        storage: host.storage.files.clone(),
        snippets: interest.snippets.get(&host.name).cloned().unwrap_or_default(),
        machine: interest.machines.get(&host.name).cloned(),
        datasets: interest.datasets.get(&host.name).cloned().unwrap_or_default(),
        looks: crate::resources::guest_questions(blueprint, &host.name),
        tailscale: members.map(Guest::inside).collect(),
        docker: match interest.services {
            true => crate::resources::docker_questions(blueprint, &host.name),
            false => Vec::new(),
        },
        in_one_go: interest.in_one_go,
    })
}

/// Whether a host's node is online, or why nobody knows.
fn node_state(node: &NodeName, nodes: &Fact<facts::nodes::Nodes>, version: &Probe) -> Fact<bool> {
    match (nodes.value(), version) {
        (Some((nodes, _)), _) => match nodes.get(node) {
            Some(online) => Fact::complete(*online),
            None => {
                let names = nodes.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Fact::unavailable(format!("there is no node `{node}` here, only {names}; set the host's `node`"))
            }
        },
        (None, Err(why)) => Fact::unavailable(why),
        (None, Ok(_)) => Fact::unavailable(nodes.why().unwrap_or_default()),
    }
}

fn session_by_node(
    hosts: &[&blueprint::Host],
    site: &str,
    doors: &Doors,
    versions: &BTreeMap<HostName, Probe>,
) -> BTreeMap<NodeName, Session> {
    hosts
        .iter()
        .filter(|host| host.site == site && versions[&host.name].is_ok())
        .filter_map(|host| Some((host.node.clone(), doors.session(&host.name)?.clone())))
        .collect()
}

/// One request per managed guest that is there, on whatever node it is by now.
async fn configs(
    site: &Site,
    online: Option<&BTreeMap<NodeName, bool>>,
    managed: &[Vmid],
    sessions: &BTreeMap<NodeName, Session>,
    lead: Option<&Session>,
) -> BTreeMap<Vmid, Fact<GuestConfig>> {
    let mut configs = BTreeMap::new();
    let Some(guests) = site.guests.value() else {
        let why = site.guests.why().unwrap_or_default();
        return managed.iter().map(|vmid| (*vmid, Fact::unavailable(why))).collect();
    };
    let mut reads = JoinSet::new();
    for vmid in managed {
        let Some(GuestListing { node, kind, .. }) = guests.get(vmid) else {
            if let Some(why) = site.guests.why() {
                configs.insert(*vmid, Fact::unavailable(why));
            }
            continue;
        };
        let offline = online.and_then(|online| online.get(node)) == Some(&false);
        match sessions.get(node).or(lead) {
            Some(session) if !offline => {
                let (session, request, vmid) =
                    (session.clone(), facts::guest_config::request(node, *kind, *vmid), *vmid);
                reads.spawn(async move { (vmid, read(&session, request, facts::guest_config::read).await) });
            }
            _ => {
                configs.insert(*vmid, Fact::unavailable(format!("node `{node}` is offline")));
            }
        }
    }
    for (vmid, read) in reads.join_all().await {
        configs.insert(vmid, super::host::fact(read));
    }
    configs
}

fn split(nodes: Fact<facts::nodes::Nodes>) -> (Fact<BTreeMap<NodeName, bool>>, Fact<bool>) {
    match nodes {
        Fact::Complete { value: (nodes, quorate) } => (Fact::complete(nodes), Fact::complete(quorate)),
        Fact::Partial { value: (nodes, quorate), why } => {
            (Fact::Partial { value: nodes, why: why.clone() }, Fact::Partial { value: quorate, why })
        }
        Fact::Unavailable { why } => (Fact::unavailable(&why), Fact::unavailable(why)),
    }
}

/// Reads a site's firewall files on another of its hosts, where the first one did not let us.
async fn elsewhere(
    site: &mut Site,
    name: &str,
    (blueprint, hosts): (&Blueprint, &[&blueprint::Host]),
    doors: &Doors,
    leads: &BTreeMap<&str, &HostName>,
    managed: &BTreeMap<&str, Vec<Vmid>>,
) {
    let Some(lead) = leads.get(name) else {
        let firewalls = Firewalls::unavailable(&format!("no SSH access is declared for a host of `{name}`"));
        firewalls.put(site);
        return;
    };
    let mut last = None;
    for host in hosts.iter().filter(|host| host.site == name && host.name != **lead) {
        let Some(reads) = shell_reads(blueprint, host, doors, &Interest::default()) else { continue };
        let firewalls = reads.read_firewall(managed.get(name).cloned().unwrap_or_default()).await;
        let found = firewalls.cluster.value().is_some();
        last = Some(firewalls);
        if found {
            break;
        }
    }
    if let Some(firewalls) = last {
        firewalls.put(site);
    }
}

/// A read under way, given up when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    fn ready(value: T) -> Self {
        Self::spawn(std::future::ready(value))
    }

    async fn join(mut self) -> T {
        (&mut self.0).await.expect("a read neither panics nor is aborted while it is waited for")
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
