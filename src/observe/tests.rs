//! Observing made-up sites at the transport.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::blueprint::{
    Access, ApiAccess, Blueprint, Container, Firewall, Guest, GuestShape, Host, HostNetwork, HostStorage, Limits,
    PowerState, SecretRef, Startup, Trust, Verdict,
};
use crate::client::testing::{FakeApi, FakeClock, FakeShell, Reply, batch_reply, output};
use crate::client::{Door, Doors};
use crate::diag::{FileId, Span};
use crate::model::observed::{Fact, File, Observed, Power};
use crate::model::{Fingerprint, HostName, Interface, Size, Vmid};
use crate::observe::{Interest, observe};
use crate::ports::{Api, Clock, Output, Shell, TransportError};

const SPAN: Span = Span { file: FileId(0), start: 0, end: 0 };
const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn host(name: &str, site: &str, files: &str) -> Host {
    let secret = SecretRef { name: "token".into(), span: SPAN };
    Host {
        name: name.parse().unwrap(),
        node: name.parse().unwrap(),
        site: site.into(),
        address: "192.0.2.1".into(),
        access: Access {
            api: ApiAccess {
                host: "192.0.2.1".into(),
                port: 8006,
                token_id: "infra@pve!cli".into(),
                token: secret,
                trust: Trust::Fingerprint(Fingerprint::new([0; 32])),
            },
            ssh: None,
        },
        storage: HostStorage {
            guests: "local-zfs".parse().unwrap(),
            files: files.parse().unwrap(),
            datasets: Some("rpool/containers".parse().unwrap()),
        },
        network: HostNetwork {
            bridge: "vmbr0".parse().unwrap(),
            subnet: "10.0.0.0/24".parse().unwrap(),
            gateway: "10.0.0.1".parse().unwrap(),
            dns: Vec::new(),
            domain: None,
            vlan: None,
        },
        firewall: None,
        gpus: BTreeMap::new(),
        system: Default::default(),
        span: SPAN,
    }
}

fn guest(name: &str, host: &str, vmid: u32) -> Guest {
    Guest {
        name: name.parse().unwrap(),
        host: host.parse().unwrap(),
        vmid: vmid.try_into().unwrap(),
        shape: GuestShape::Container(Container {
            swap: Size::mib(0),
            nesting: false,
            keyctl: false,
            limits: Limits::default(),
            datasets: Vec::new(),
            devices: Vec::new(),
        }),
        cores: 1,
        memory: Size::mib(512),
        disk: Size::gib(4),
        storage: "local-zfs".parse().unwrap(),
        image: "debian".into(),
        interface: Interface::in_network("10.0.0.9".parse().unwrap(), "10.0.0.0/24".parse().unwrap()).unwrap(),
        power: PowerState::Running,
        onboot: true,
        startup: Startup::default(),
        protection: false,
        tags: BTreeSet::new(),
        notes: String::new(),
        ssh_keys: Vec::new(),
        firewall: Firewall {
            enabled: true,
            inbound: Verdict::Drop,
            outbound: Verdict::Accept,
            rules: Vec::new(),
            groups: Vec::new(),
        },
        services: Vec::new(),
        deployments: std::collections::BTreeMap::new(),
        span: SPAN,
        spans: BTreeMap::new(),
    }
}

fn blueprint(hosts: Vec<Host>, guests: Vec<Guest>) -> Blueprint {
    Blueprint {
        name: "t".parse().unwrap(),
        pool: "t".parse().unwrap(),
        hosts: hosts.into_iter().map(|host| (host.name.clone(), host)).collect(),
        guests: guests.into_iter().map(|guest| (guest.name.clone(), guest)).collect(),
        images: BTreeMap::new(),
        groups: BTreeMap::new(),
        services: BTreeMap::new(),
        flows: Vec::new(),
        ingress: None,
        dns: crate::blueprint::Dns::default(),
        tailnet: None,
        models: std::collections::BTreeMap::new(),
        secrets: crate::blueprint::Secrets::default(),
    }
}

/// A healthy host: guests 104 (container) and 900 (somebody's VM).
fn healthy(path: &str) -> Reply {
    Reply::data(match path {
        "/version" => r#"{"version":"9.2.11","release":"9.2"}"#,
        "/cluster/status" => r#"[{"type":"node","name":"hq","online":1}]"#,
        "/cluster/resources" => {
            r#"[{"type":"lxc","vmid":104,"node":"hq","status":"unknown","pool":"t"},{"type":"qemu","vmid":900,"node":"hq","status":"stopped"}]"#
        }
        "/pools" => r#"[{"poolid":"t"}]"#,
        "/nodes/hq/lxc" => r#"[{"vmid":"104","name":"proj-x","status":"running","tags":"infra-t"}]"#,
        "/nodes/hq/qemu" => r#"[{"vmid":900,"name":"theirs","status":"stopped"}]"#,
        "/access/permissions" => {
            r#"{"/":{"VM.Audit":1,"Pool.Audit":1,"Sys.Audit":1,"Datastore.Audit":1,"Mapping.Audit":1},"/vms":{"VM.Audit":1},"/pool":{"Pool.Audit":1},"/storage":{"Datastore.Audit":1}}"#
        }
        "/nodes/hq/network" => r#"[{"iface":"vmbr0","type":"bridge","active":1}]"#,
        "/nodes/hq/lxc/104/pending" => r#"[{"key":"memory","value":512},{"key":"digest","value":"abc"}]"#,
        "/nodes/hq/storage" | "/nodes/hq/hardware/pci" | "/cluster/mapping/pci" => "[]",
        path if path.ends_with("/content") => "[]",
        other => return Reply::status(501, &format!("Method 'GET {other}' not implemented")),
    })
}

fn command(line: &str) -> Output {
    match line {
        "zfs list -Hp -t filesystem -o name,mountpoint,mounted,quota,recordsize,compression,used,infra:owner" => {
            output(
                0,
                "rpool/containers/a\t/rpool/containers/a\tyes\t0\t131072\tlz4\t1\tt\nrpool/containers/b\t/mnt/b\tyes\t0\t131072\tlz4\t1\tt\n",
                "",
            )
        }
        "cat /etc/pve/storage.cfg" => output(0, "dir: local\n\tpath /var/lib/vz\n\ndir: data\n\tpath /srv/data\n", ""),
        "cat /etc/pve/firewall/cluster.fw" => output(0, "[OPTIONS]\nenable: 1\n", ""),
        "cat /etc/pve/firewall/104.fw" => output(0, "[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT -p tcp -dport 22\n", ""),
        "grep -rH '--include=*.fw' '' /etc/pve" => {
            output(0, "/etc/pve/firewall/900.fw:[OPTIONS]\n/etc/pve/firewall/900.fw:enable: 1\n", "")
        }
        line if line.starts_with("cat ") => output(1, "", &format!("cat: {}: No such file or directory\n", &line[4..])),
        "stat -c '%n %u %g' /rpool/containers/a /rpool/containers/b" => output(
            1,
            "/rpool/containers/a 100000 100000\n",
            "stat: cannot statx '/rpool/containers/b': No such file or directory\n",
        ),
        "stat -c '%n %u %g' /mnt/b" => output(0, "/mnt/b 100033 100033\n", ""),
        line if line.starts_with("sha256sum ") => output(0, &format!("{SUM}  {}\n", &line[10..]), ""),
        line if line.starts_with("stat -c '%n %a' ") => output(0, &format!("{} 640\n", &line[16..]), ""),
        other => output(127, "", &format!("sh: {other}: not found\n")),
    }
}

type FakeDoor<'a> = (&'a str, &'a Arc<FakeApi>, Option<&'a Arc<FakeShell>>);

fn doors(apis: Vec<FakeDoor<'_>>) -> Doors {
    let hosts = apis
        .into_iter()
        .map(|(name, api, shell)| {
            let shell = shell.map(|shell| Arc::clone(shell) as Arc<dyn Shell>);
            (name.parse::<HostName>().unwrap(), Door { api: Arc::clone(api) as Arc<dyn Api>, shell })
        })
        .collect();
    Doors::new(hosts, FakeClock::new() as Arc<dyn Clock>, 1)
}

fn vmid(number: u32) -> Vmid {
    number.try_into().unwrap()
}

async fn one_host(api: &Arc<FakeApi>, shell: Option<&Arc<FakeShell>>, guests: Vec<Guest>) -> Observed {
    let interest = Interest {
        snippets: BTreeMap::from([("hq".parse().unwrap(), BTreeSet::from(["a.yaml".to_owned()]))]),
        datasets: BTreeMap::from([(
            "hq".parse().unwrap(),
            ["rpool/containers/a", "rpool/containers/b"].iter().map(|name| name.parse().unwrap()).collect(),
        )]),
        ..Interest::default()
    };
    observe(&blueprint(vec![host("hq", "hq", "local")], guests), &doors(vec![("hq", api, shell)]), &interest).await
}

#[tokio::test]
async fn a_healthy_host_is_read_completely() {
    let api = FakeApi::rule(|request| healthy(&request.path));
    let shell = FakeShell::rule(|script| Ok(batch_reply(script, command)));
    let observed = one_host(&api, Some(&shell), vec![guest("proj-x", "hq", 104)]).await;
    let site = &observed.sites["hq"];
    assert_eq!(site.version, Fact::complete("9.2.11".to_owned()));
    let guests = site.guests.value().unwrap();
    assert!(site.guests.is_complete());
    assert_eq!((guests[&vmid(104)].status, guests[&vmid(104)].pool.as_deref()), (Power::Running, Some("t")));
    assert_eq!(guests[&vmid(104)].tags, ["infra-t"]);
    assert_eq!(site.configs[&vmid(104)].value().unwrap().active("memory"), Some("512"));
    assert_eq!(site.firewall.value().unwrap().options["enable"], "1");
    assert_eq!(site.guest_firewalls.value().unwrap()[&vmid(104)].rules.len(), 1);
    let host = &observed.hosts[&"hq".parse().unwrap()];
    assert_eq!(host.online, Fact::complete(true));
    assert!(host.volumes[&"local".parse().unwrap()].is_complete());
    let file = Some(File { sha256: SUM.into(), mode: 0o640 });
    assert_eq!(host.files, Fact::complete(BTreeMap::from([("/var/lib/vz/snippets/a.yaml".to_owned(), file)])));
    let datasets = host.datasets.value().unwrap();
    assert_eq!(datasets[&"rpool/containers/a".parse().unwrap()].uid_gid, Some((100_000, 100_000)));
    assert_eq!(datasets[&"rpool/containers/b".parse().unwrap()].uid_gid, Some((100_033, 100_033)));
    assert_eq!(shell.seen().len(), 2, "the second batch asks for the one dataset that is mounted elsewhere");
}

/// A dataset and the storage for files are not where they usually are: what that leaves unknown is said.
#[tokio::test]
async fn in_one_go_a_host_is_asked_once_and_never_guessed_about() {
    let api = FakeApi::rule(|request| healthy(&request.path));
    let shell = FakeShell::rule(|script| Ok(batch_reply(script, command)));
    for files in ["local", "elsewhere"] {
        let interest = Interest {
            snippets: BTreeMap::from([("hq".parse().unwrap(), BTreeSet::from(["a.yaml".to_owned()]))]),
            datasets: BTreeMap::from([(
                "hq".parse().unwrap(),
                ["rpool/containers/a", "rpool/containers/b"].map(|name| name.parse().unwrap()).into(),
            )]),
            in_one_go: true,
            ..Interest::default()
        };
        let before = shell.seen().len();
        let blueprint = blueprint(vec![host("hq", "hq", files)], vec![guest("proj-x", "hq", 104)]);
        let observed = observe(&blueprint, &doors(vec![("hq", &api, Some(&shell))]), &interest).await;
        assert_eq!(shell.seen().len() - before, 1, "{files}");
        let host = &observed.hosts[&"hq".parse().unwrap()];
        assert_eq!(host.files.is_complete(), files == "local", "{:?}", host.files);
        assert_eq!(host.datasets.value().unwrap()[&"rpool/containers/b".parse().unwrap()].uid_gid, None);
    }
}

#[tokio::test]
async fn requests_are_a_constant_and_one_per_managed_guest() {
    let count = |managed: u32| async move {
        let api = FakeApi::rule(move |request| match request.path.as_str() {
            "/cluster/resources" | "/nodes/hq/qemu" => Reply::data("[]"),
            "/nodes/hq/lxc" => {
                let rows: Vec<String> =
                    (0..200).map(|n| format!(r#"{{"vmid":{},"status":"stopped"}}"#, 300 + n)).collect();
                Reply::data(&format!("[{}]", rows.join(",")))
            }
            path if path.ends_with("/pending") => Reply::data(r#"[{"key":"digest","value":"abc"}]"#),
            path => healthy(path),
        });
        let guests = (0..managed).map(|n| guest(&format!("g{n}"), "hq", 300 + n)).collect();
        let observed = one_host(&api, None, guests).await;
        assert_eq!(observed.sites["hq"].configs.len(), managed as usize);
        api.count()
    };
    assert_eq!(count(0).await, 13);
    assert_eq!(count(1).await, 14);
    assert_eq!(count(150).await, 163);
}

#[tokio::test]
async fn without_ssh_the_rest_is_read_and_it_is_said_why() {
    let api = FakeApi::rule(|request| healthy(&request.path));
    let observed = one_host(&api, None, vec![guest("proj-x", "hq", 104)]).await;
    let host = &observed.hosts[&"hq".parse().unwrap()];
    for why in [host.datasets.why(), host.files.why(), host.storage_paths.why()] {
        assert_eq!(why, Some("no SSH access is declared for host `hq`"));
    }
    assert!(observed.sites["hq"].firewall.why().unwrap().contains("no SSH access"));
    assert!(observed.sites["hq"].configs[&vmid(104)].is_complete());
}

#[tokio::test]
async fn a_refused_host_key_is_said_with_what_to_do() {
    let api = FakeApi::rule(|request| healthy(&request.path));
    let shell = FakeShell::rule(|_| {
        Err(TransportError::Refused { peer: "hq:22".into(), why: "unknown host key".into(), hint: "add it".into() })
    });
    let observed = one_host(&api, Some(&shell), Vec::new()).await;
    let why = observed.hosts[&"hq".parse().unwrap()].datasets.why().unwrap();
    assert!(why.contains("unknown host key") && why.contains("add it"), "{why}");
    assert!(observed.sites["hq"].firewall.why().unwrap().contains("unknown host key"));
    assert_eq!(shell.seen().len(), 1, "a refusal is final");
}

#[tokio::test]
async fn a_wrong_token_costs_one_request_and_makes_everything_unavailable() {
    for (reply, word) in [(Reply::status(401, "Authentication failed!"), "token"), (Reply::Refused, "fingerprint")] {
        let api = FakeApi::rule(move |_| reply.clone());
        let observed = one_host(&api, None, vec![guest("proj-x", "hq", 104)]).await;
        let site = &observed.sites["hq"];
        for why in [site.guests.why(), site.pools.why(), site.version.why(), site.configs[&vmid(104)].why()] {
            assert!(why.unwrap().contains(word), "{why:?}");
        }
        assert_eq!(api.seen(), ["GET /version"]);
    }
}

#[tokio::test]
async fn one_read_that_fails_costs_one_fact() {
    let api = FakeApi::rule(|request| match request.path.as_str() {
        "/nodes/hq/hardware/pci" => Reply::status(403, "Permission check failed (/, Sys.Audit|Sys.Modify)"),
        "/pools" => Reply::data("{}"),
        path => healthy(path),
    });
    let observed = one_host(&api, None, Vec::new()).await;
    let host = &observed.hosts[&"hq".parse().unwrap()];
    assert!(host.pci.why().unwrap().contains("Sys.Audit|Sys.Modify on /"));
    assert!(host.bridges.is_complete() && host.storages.is_complete());
    assert!(observed.sites["hq"].pools.why().unwrap().contains("not a list"));
    assert!(observed.sites["hq"].guests.is_complete());
}

#[tokio::test]
async fn in_a_cluster_the_rest_is_planned_while_a_node_is_offline() {
    let alive = FakeApi::rule(|request| match request.path.as_str() {
        "/cluster/status" => Reply::data(
            r#"[{"type":"cluster","quorate":1},{"type":"node","name":"hq","online":1},{"type":"node","name":"a2","online":0},{"type":"node","name":"a3","online":1}]"#,
        ),
        "/cluster/resources" => Reply::data(
            r#"[{"type":"lxc","vmid":104,"node":"hq","status":"running"},{"type":"lxc","vmid":105,"node":"a2","status":"running"},{"type":"lxc","vmid":106,"node":"a3","status":"running"}]"#,
        ),
        "/nodes/a3/lxc/106/pending" => Reply::data(r#"[{"key":"digest","value":"abc"}]"#),
        path if path.starts_with("/nodes/a2") => Reply::status(595, "No route to host"),
        path => healthy(path),
    });
    let dead = FakeApi::rule(|_| Reply::NotSent);
    let blueprint = blueprint(
        vec![host("a2", "lab", "local"), host("hq", "lab", "local")],
        vec![guest("x", "hq", 104), guest("y", "a2", 105), guest("moved", "hq", 106), guest("new", "hq", 107)],
    );
    let doors = doors(vec![("a2", &dead, None), ("hq", &alive, None)]);
    let observed = observe(&blueprint, &doors, &Interest::default()).await;
    let site = &observed.sites["lab"];
    let guests = site.guests.value().unwrap();
    assert!(site.guests.is_complete());
    assert_eq!((guests[&vmid(104)].status, guests[&vmid(105)].status), (Power::Running, Power::Unknown));
    assert!(site.configs[&vmid(104)].is_complete());
    assert!(site.configs[&vmid(105)].why().unwrap().contains("offline"));
    assert!(site.configs[&vmid(106)].is_complete(), "its configuration is read on the node that it moved to");
    assert!(!site.configs.contains_key(&vmid(107)));
    assert_eq!(observed.hosts[&"a2".parse().unwrap()].online, Fact::complete(false));
    assert!(observed.hosts[&"a2".parse().unwrap()].pci.why().unwrap().contains("connection refused"));
}

#[tokio::test]
async fn a_wrong_node_name_is_told_from_an_offline_one() {
    let api = FakeApi::rule(|request| match request.path.as_str() {
        path if path.starts_with("/nodes/wrong") => Reply::status(500, "hostname lookup 'wrong' failed"),
        path => healthy(path),
    });
    let wrong = Host { node: "wrong".parse().unwrap(), ..host("hq", "hq", "local") };
    let observed =
        observe(&blueprint(vec![wrong], Vec::new()), &doors(vec![("hq", &api, None)]), &Interest::default()).await;
    let why = observed.hosts[&"hq".parse().unwrap()].online.why().unwrap();
    assert!(why.contains("`wrong`") && why.contains("hq"), "{why}");
}

#[tokio::test]
async fn firewall_files_are_read_once_per_site_and_elsewhere_if_need_be() {
    let api = || {
        FakeApi::rule(|request| match request.path.as_str() {
            path if path.starts_with("/nodes/") => Reply::data("[]"),
            path => healthy(path),
        })
    };
    let good = FakeShell::rule(|script| Ok(batch_reply(script, command)));
    let blueprint =
        blueprint(vec![host("a1", "lab", "local"), host("hq", "lab", "local")], vec![guest("x", "hq", 104)]);
    let (first, second) = (api(), api());
    let observed = observe(
        &blueprint,
        &doors(vec![("a1", &first, Some(&good)), ("hq", &second, Some(&good))]),
        &Interest::default(),
    )
    .await;
    assert!(observed.sites["lab"].firewall.is_complete());
    assert_eq!(good.scripts().iter().filter(|script| script.contains("cluster.fw")).count(), 1);

    let dead = FakeShell::rule(|_| Err(TransportError::NotSent { peer: "a1:22".into(), why: "timed out".into() }));
    let observed = observe(
        &blueprint,
        &doors(vec![("a1", &first, Some(&dead)), ("hq", &second, Some(&good))]),
        &Interest::default(),
    )
    .await;
    assert!(observed.sites["lab"].firewall.is_complete());
    assert!(observed.sites["lab"].guest_firewalls.value().unwrap().contains_key(&vmid(104)));
    assert!(observed.hosts[&"a1".parse().unwrap()].datasets.why().unwrap().contains("timed out"));
}

#[tokio::test]
async fn snippets_are_found_where_the_storage_is() {
    let api = FakeApi::rule(|request| healthy(&request.path));
    let shell = FakeShell::rule(|script| Ok(batch_reply(script, command)));
    let interest = Interest {
        snippets: BTreeMap::from([("hq".parse().unwrap(), BTreeSet::from(["a.yaml".to_owned()]))]),
        ..Interest::default()
    };
    for (storage, path) in [("data", Ok("/srv/data/snippets/a.yaml")), ("nas", Err("storage `nas` has no directory"))] {
        let blueprint = blueprint(vec![host("hq", "hq", storage)], Vec::new());
        let observed = observe(&blueprint, &doors(vec![("hq", &api, Some(&shell))]), &interest).await;
        let files = &observed.hosts[&"hq".parse().unwrap()].files;
        match path {
            Ok(path) => assert!(files.value().unwrap().contains_key(path)),
            Err(why) => assert_eq!(files.why(), Some(why)),
        }
    }
}
