//! Preflight of a host is one SSH round trip after the login, counted where the commands arrive.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use camino::Utf8PathBuf;
use infra::adapters::{Ssh, SshSettings, SshTarget};
use infra::client::{Door, Doors};
use infra::lab::site::{Loss, Site};
use infra::lab::ssh_keys::SshKeys;
use infra::lab::sshd::Sshd;
use infra::lab::world::World;
use infra::lab::{DirectApi, LiveSite, Scenario};
use infra::model::HostName;
use infra::model::machine::Machine;
use infra::observe::{Interest, Question, observe};
use infra::ports::{Api, BoxFuture, Request, Response, TransportError};
use infra::resources::{datasets_of_interest, snippets_of_interest};

use crate::desk::Desk;
use crate::rig::{SECRET, VirtualClock, blueprint};

/// A site that notes what arrives at its SSH door.
struct Counted {
    site: Arc<LiveSite>,
    connections: AtomicUsize,
    commands: Mutex<Vec<String>>,
}

impl Site for Counted {
    fn act(&self, work: &mut dyn FnMut(&mut World)) {
        self.site.act(work);
    }

    fn admits(&self, node: &str, port: u16) -> bool {
        self.connections.fetch_add(1, Ordering::SeqCst);
        self.site.admits(node, port)
    }

    fn loss(&self, _: &str, line: &str) -> Option<Loss> {
        self.commands.lock().unwrap().push(line.to_owned());
        None
    }
}

/// An API door that counts.
struct CountedApi(DirectApi, Arc<AtomicUsize>);

impl Api for CountedApi {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.send(request)
    }
}

fn inventory(files: &str) -> String {
    format!(
        r#"
schema: 1
name: counted
ssh_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b"]
hosts:
  hq:
    address: 192.0.2.2
    node: pve1
    api: {{ token_id: "infra@pve!lab", token: "secret:hq", fingerprint: "{}" }}
    ssh: {{ user: root }}
    storage: {{ guests: local-zfs, files: {files}, datasets: rpool/containers }}
    network: {{ bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }}
    gpus: {{ rtx4090: {{ id: "10de:2684" }} }}
images:
  ubuntu:
    url: https://example.com/u-1.img
    sha256: a037d6d0299171ba62019f3c3f895eb902c271f8e9676cfe0f22e38070344579
    file: u-1.qcow2
  debian: {{ template: debian-12-standard_12.12-1_amd64.tar.zst }}
guests:
  big:
    kind: vm
    host: hq
    vmid: 200
    address: 10.0.0.20
    cores: 4
    memory: 8GiB
    disk: 32GiB
    image: ubuntu
    gpus: [rtx4090]
  small:
    kind: container
    host: hq
    vmid: 201
    address: 10.0.0.21
    cores: 1
    memory: 1GiB
    disk: 8GiB
    image: debian
    devices: [{{ path: /dev/net/tun, mode: "0666" }}]
    datasets: [{{ name: work, mount: /work }}]
"#,
        ["00"; 32].join(":")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_per_host_arrives_after_one_login() {
    for files in ["local", "somewhere-else"] {
        let clock = VirtualClock::new();
        let scenario = Scenario::example();
        let world = scenario.world(&scenario.sites[0], SECRET, infra::ports::Clock::now(&*clock)).unwrap();
        let site = LiveSite::new(world, Arc::<VirtualClock>::clone(&clock), Vec::new(), None).unwrap();
        let counted =
            Arc::new(Counted { site: Arc::clone(&site), connections: AtomicUsize::new(0), commands: Mutex::default() });
        let directory = tempfile::tempdir().unwrap();
        let keys = SshKeys::in_directory(directory.path()).unwrap();
        let here = (std::net::Ipv4Addr::LOCALHOST.into(), None);
        let sshd = Sshd::start(Arc::<Counted>::clone(&counted), "pve1", &keys, here).await.unwrap();
        let ssh = Ssh::new(
            SshTarget {
                host: "127.0.0.1".to_owned(),
                port: sshd.address().port(),
                user: "root".to_owned(),
                host_key: Some(keys.host_key()),
                identities: vec![Utf8PathBuf::from_path_buf(keys.identity().to_path_buf()).unwrap()],
                jump: None,
            },
            SshSettings::isolated(),
        );
        let requests = Arc::new(AtomicUsize::new(0));
        let api = DirectApi::new(site.at("pve1"), format!("infra@pve!lab={SECRET}").into());
        let door = Door { api: Arc::new(CountedApi(api, Arc::clone(&requests))), shell: Some(Arc::new(ssh)) };
        let hq: HostName = "hq".parse().unwrap();
        let doors = Doors::new([(hq.clone(), door)].into(), clock, 7).in_sites(|_| Some("hq"));

        let blueprint = blueprint(&inventory(files)).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let interest = Interest {
            services: false,
            machines: BTreeMap::from([(hq.clone(), Question::about(&blueprint, &blueprint.hosts[&hq]))]),
            snippets: snippets_of_interest(&blueprint),
            datasets: datasets_of_interest(&blueprint),
            in_one_go: true,
        };
        let observed = observe(&blueprint, &doors, &interest).await;
        let host = &observed.hosts[&hq];
        assert_ne!(host.machine, Machine::default(), "it was looked at below Proxmox, too");
        assert!(host.datasets.is_complete(), "{:?}", host.datasets);
        let commands = counted.commands.lock().unwrap();
        assert_eq!(commands.len(), 1, "{commands:#?}");
        assert_eq!(counted.connections.load(Ordering::SeqCst), 1, "one login");
        // 7 of the host and 6 of the site, one of them for what it can fetch, and one for each guest that is hidden.
        let requests = requests.load(Ordering::SeqCst);
        assert!((13..=16).contains(&requests), "{requests} requests");
    }
}

/// The program says with `-v` what goes to a host.
#[test]
fn the_command_runs_one_batch_and_changes_nothing() {
    let desk = Desk::new();
    let output = desk.command(&["preflight", "--lab", "-v"]).output().expect("the program starts");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(log.matches("ssh `").count(), 1, "{log}");
    for method in ["POST", "PUT", "DELETE"] {
        assert!(!log.contains(&format!("{method} /")), "{log}");
    }
}
