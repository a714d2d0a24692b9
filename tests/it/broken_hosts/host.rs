//! One scenario: the project's own inventory on the lab's hardware for it, looked at and judged.

use std::sync::Arc;

use camino::Utf8PathBuf;
use infra::adapters::files::read_inventory;
use infra::blueprint::{Blueprint, Trust, resolve};
use infra::checks::{HostReport, Subject, judge};
use infra::client::{Door, Doors};
use infra::inventory::load;
use infra::lab::shell::DirectShell;
use infra::lab::world::File;
use infra::lab::{DirectApi, LiveSite, Scenario};
use infra::model::machine::Machine;
use infra::model::observed::Observed;
use infra::observe::{Interest, Question, observe};
use infra::plan::{Request, Scope, build};
use infra::ports::Clock;
use infra::resources::{datasets_of_interest, snippets_of_interest};

use jiff::Timestamp;

use crate::rig::{SECRET, VirtualClock};

pub fn blueprint() -> Blueprint {
    let path = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("inventories/vrooli");
    let loaded = load(&read_inventory(&[path]));
    resolve(loaded.inventory.as_ref().unwrap()).0.unwrap()
}

/// What is found on the host of the inventory, broken so.
pub fn report(defects: &[&str]) -> HostReport {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(look(defects))
}

/// What is observed below Proxmox on the host of the inventory, broken so.
pub fn machine(defects: &[&str]) -> Machine {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (blueprint, observed, _) = runtime.block_on(seen(defects));
    observed.hosts[blueprint.hosts.keys().next().unwrap()].machine.clone()
}

async fn seen(defects: &[&str]) -> (Blueprint, Observed, Timestamp) {
    let mut blueprint = blueprint();
    let broken = defects.iter().map(|name| (*name).to_owned()).collect();
    let scenario = Scenario { broken, ..infra::cli::lab_scenario(&blueprint) };
    let spec = &scenario.sites[0];
    let clock = VirtualClock::new();
    let mut world = scenario.world(spec, SECRET, clock.now()).unwrap();
    // The inventory's host key and fingerprint are placeholders: the host is taken to be the one that it means.
    let host = blueprint.hosts.values_mut().next().unwrap();
    let node = world.nodes.get_mut(host.node.as_str()).unwrap();
    host.access.api.trust = Trust::Fingerprint(node.fingerprint.parse().unwrap());
    if let Some(key) = host.access.ssh.as_ref().and_then(|ssh| ssh.host_key.clone()) {
        let file = File { content: format!("{key}\n").into_bytes(), mode: 0o644, ..File::default() };
        node.files.insert("/etc/ssh/ssh_host_ed25519_key.pub".to_owned(), file);
    }
    let site = LiveSite::new(world, Arc::<VirtualClock>::clone(&clock), Vec::new(), None).unwrap();
    let token = format!("{}={SECRET}", spec.token_id);
    let host = blueprint.hosts.values().next().unwrap();
    let door = Door {
        api: Arc::new(DirectApi::new(site.at(host.node.as_str()), token.into())),
        shell: Some(Arc::new(DirectShell::new(site, host.node.as_str()))),
    };
    let sites = |name: &infra::model::HostName| blueprint.hosts.get(name).map(|host| host.site.as_str());
    let doors = Doors::new([(host.name.clone(), door)].into(), Arc::<VirtualClock>::clone(&clock), 7).in_sites(sites);
    let interest = Interest {
        machines: [(host.name.clone(), Question::about(&blueprint, host))].into(),
        snippets: snippets_of_interest(&blueprint),
        datasets: datasets_of_interest(&blueprint),
        ..Interest::default()
    };
    let observed = observe(&blueprint, &doors, &interest).await;
    (blueprint.clone(), observed, clock.now())
}

async fn look(defects: &[&str]) -> HostReport {
    let (blueprint, observed, now) = seen(defects).await;
    let host = blueprint.hosts.values().next().unwrap();
    let plan = build(&Request {
        blueprint: &blueprint,
        observed: &observed,
        memory: &Default::default(),
        scope: &Scope::default(),
        allowed: &Default::default(),
        unfinished: &Default::default(),
    });
    let refused: Vec<_> = plan.as_ref().err().into_iter().flatten().cloned().collect();
    let why = plan.as_ref().err().map(|problems| format!("{problems:?}")).unwrap_or_default();
    let plan = plan.as_ref().map_err(|_| why.as_str());
    judge(&Subject { plan, refused: &refused, ..Subject::new(&blueprint, &observed, host, now) })
}
