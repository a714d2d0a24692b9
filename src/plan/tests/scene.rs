//! The inventory that plans are made of in these tests, and a host that does with a plan what Proxmox would.

use super::*;

pub(in crate::plan) const INVENTORY: &str = r#"
schema: 1
name: test
hosts:
  hq:
    address: 192.0.2.2
    api: { token_id: "infra@pve!tok", token: "secret:tok", fingerprint: "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00" }
    ssh: { user: root }
    storage: { guests: local-zfs, files: local, datasets: rpool/containers }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
    gpus: { rtx4090: { id: "10de:2684", vram: 24GiB } }
images:
  ubuntu: { url: "https://example.com/u-1.img", sha256: "a037d6d0299171ba62019f3c3f895eb902c271f8e9676cfe0f22e38070344579", file: u-1.qcow2 }
  debian: { template: debian-12-standard_12.12-1_amd64.tar.zst }
firewall:
  groups:
    project-ct: { comment: projects, rules: [{ direction: in, action: drop, source: 10.0.0.0/24, comment: apart }] }
guests:
  plan-hq:
    kind: vm
    host: hq
    vmid: 100
    address: 10.0.0.10
    image: ubuntu
    cores: 8
    memory: 32GiB
    disk: 200GiB
    gpus: [rtx4090]
    firewall: { in: drop }
  proj-x:
    kind: container
    host: hq
    vmid: 104
    address: 10.0.0.123
    image: debian
    cores: 2
    memory: 4GiB
    disk: 20GiB
    nesting: true
    keyctl: true
    devices: [{ path: /dev/net/tun, mode: "0666" }]
    datasets: [{ name: proj-x, mount: /workspace, quota: 20GiB }]
    firewall: { in: drop, groups: [project-ct] }
"#;

pub(in crate::plan) fn blueprint(edit: impl Fn(String) -> String) -> Blueprint {
    let file = SourceFile::new("test.yaml", edit(INVENTORY.to_owned()));
    let files = InventoryFiles {
        layers: vec![Layer { path: "test.yaml".into(), files: vec![file] }],
        ..InventoryFiles::default()
    };
    let loaded = load(&files);
    let (blueprint, problems) = match &loaded.inventory {
        Some(inventory) => resolve(inventory),
        None => (None, loaded.diagnostics.clone()),
    };
    blueprint.unwrap_or_else(|| panic!("{:#?} {problems:#?}", loaded.diagnostics))
}

pub(in crate::plan) fn addr(text: &str) -> Addr {
    text.parse().unwrap()
}

/// A host on which nothing of ours is yet.
pub(in crate::plan) fn bare() -> Observed {
    let device = |address: &str, id: &str, group: u32| PciDevice {
        address: address.parse().unwrap(),
        id: id.parse().unwrap(),
        subsystem: Some("1043:88ec".parse().unwrap()),
        iommu_group: Some(group),
        name: None,
    };
    let storage = |content: &[&str]| Storage {
        kind: "dir".into(),
        content: content.iter().map(|c| (*c).to_owned()).collect(),
        active: true,
        available: 1 << 40,
        total: 1 << 41,
    };
    let local: crate::model::StorageName = "local".parse().unwrap();
    let host = Host {
        machine: Default::default(),
        entrance: Default::default(),
        site: "hq".into(),
        online: Fact::complete(true),
        release: Fact::default(),
        pci: Fact::complete(vec![device("0000:01:00.0", "10de:2684", 14), device("0000:01:00.1", "10de:22ba", 14)]),
        storages: Fact::complete(BTreeMap::from([
            (local.clone(), storage(&["import", "snippets", "vztmpl"])),
            ("local-zfs".parse().unwrap(), storage(&["images", "rootdir"])),
        ])),
        volumes: BTreeMap::from([(local.clone(), Fact::complete(BTreeMap::new()))]),
        datasets: Fact::complete(BTreeMap::from([("rpool".parse().unwrap(), Dataset::default())])),
        storage_paths: Fact::complete(BTreeMap::from([(local, "/var/lib/vz".to_owned())])),
        storage_entries: Fact::default(),
        files: Fact::complete(BTreeMap::from([("/var/lib/vz/snippets/infra-test-plan-hq.yaml".to_owned(), None)])),
        bridges: Fact::complete(vec!["vmbr0".parse().unwrap()]),
        appliances: Fact::default(),
        looks: BTreeMap::new(),
        tailscale: BTreeMap::new(),
        docker: BTreeMap::new(),
    };
    let site = Site {
        version: Fact::complete("9.2.11".into()),
        nodes: Fact::complete(BTreeMap::from([("hq".parse().unwrap(), true)])),
        quorate: Fact::complete(true),
        node_memory: Fact::complete(BTreeMap::from([("hq".parse().unwrap(), 64 << 30)])),
        permissions: Fact::default(),
        guests: Fact::complete(BTreeMap::new()),
        configs: BTreeMap::new(),
        pools: Fact::complete(BTreeMap::new()),
        mappings: Fact::complete(BTreeMap::new()),
        firewall: Fact::complete(ClusterFirewall {
            options: BTreeMap::from([("enable".to_owned(), "1".to_owned())]),
            ..ClusterFirewall::default()
        }),
        guest_firewalls: Fact::complete(BTreeMap::new()),
        firewall_files: Fact::complete(BTreeMap::new()),
        tasks: Fact::complete(Vec::new()),
    };
    Observed {
        sites: BTreeMap::from([("hq".to_owned(), site)]),
        hosts: BTreeMap::from([("hq".parse().unwrap(), host)]),
        ..Observed::default()
    }
}

pub(in crate::plan) fn site(observed: &mut Observed) -> &mut Site {
    observed.sites.get_mut("hq").unwrap()
}

pub(in crate::plan) fn host(observed: &mut Observed) -> &mut Host {
    observed.hosts.get_mut(&"hq".parse().unwrap()).unwrap()
}

pub(in crate::plan) fn value<T>(fact: &mut Fact<T>) -> &mut T {
    match fact {
        Fact::Complete { value } => value,
        _ => panic!("complete"),
    }
}

pub(in crate::plan) fn try_plan(
    blueprint: &Blueprint,
    observed: &Observed,
    change: impl Fn(&mut Asked),
) -> Result<Plan, String> {
    let mut asked = Asked::default();
    change(&mut asked);
    build(&Request {
        blueprint,
        observed,
        memory: &asked.memory,
        scope: &asked.scope,
        allowed: &asked.allowed,
        unfinished: &asked.unfinished,
    })
    .map_err(said)
}

#[derive(Default)]
pub(in crate::plan) struct Asked {
    pub(in crate::plan) memory: Memory,
    pub(in crate::plan) scope: Scope,
    pub(in crate::plan) allowed: Allowed,
    pub(in crate::plan) unfinished: BTreeSet<StepId>,
}

pub(in crate::plan) fn said(problems: crate::diag::Diagnostics) -> String {
    problems
        .iter()
        .map(|p| format!("{}: {} {} {}", p.code, p.summary, p.causes.join(" "), p.hints.join(" ")))
        .collect::<Vec<_>>()
        .join("\n")
}

pub(in crate::plan) fn plan(blueprint: &Blueprint, observed: &Observed) -> Plan {
    try_plan(blueprint, observed, |_| {}).unwrap()
}

/// Carries a plan of creates out on paper, as PVE would store it.
pub(in crate::plan) fn applied(blueprint: &Blueprint) -> Observed {
    let mut observed = bare();
    let plan = plan(blueprint, &observed);
    for op in plan.steps.iter().flat_map(|step| &step.ops) {
        match op {
            Op::Call { request, .. } | Op::Task { request, .. } if request.method != Method::Get => {
                store(&mut observed, &request.path, &request.params);
            }
            Op::Exec { argv } if argv[0] == "zfs" => {
                let option =
                    |name: &str| argv.iter().find_map(|a| a.strip_prefix(&format!("{name}="))).map(str::to_owned);
                let dataset = Dataset {
                    mountpoint: option("mountpoint"),
                    quota: option("quota").and_then(|q| q.parse().ok()),
                    owner: option("infra:owner"),
                    mounted: true,
                    ..Dataset::default()
                };
                value(&mut host(&mut observed).datasets).insert(argv.last().unwrap().parse().unwrap(), dataset);
            }
            Op::Exec { argv } if argv[0] == "chown" => {
                let name = argv[2].trim_start_matches('/').parse().unwrap();
                value(&mut host(&mut observed).datasets).get_mut(&name).unwrap().uid_gid = Some((100_000, 100_000));
            }
            Op::Exec { argv } if argv[0] == "pct" => {
                let config = site(&mut observed).configs.get_mut(&argv[2].parse().unwrap()).unwrap();
                for pair in argv[3..].chunks(2) {
                    value(config).current.insert(pair[0].trim_start_matches("--").to_owned(), pair[1].clone());
                }
            }
            Op::PutFile { path, content, mode } => {
                use sha2::Digest as _;
                let sha256 = sha2::Sha256::digest(content.text().expect("no secret"))
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect();
                value(&mut host(&mut observed).files).insert(path.clone(), Some(File { sha256, mode: *mode }));
            }
            _ => {}
        }
    }
    observed
}

pub(in crate::plan) fn store(observed: &mut Observed, path: &str, params: &[(String, String)]) {
    let get = |name: &str| params.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["pools"] => {
            value(&mut site(observed).pools).insert(get("poolid"), get("comment"));
        }
        ["cluster", "mapping", "pci"] => {
            let mapping = PciMapping { description: get("description"), map: vec![get("map")], digest: None };
            value(&mut site(observed).mappings).insert(get("id").parse().unwrap(), mapping);
        }
        ["nodes", _, "storage", storage, "download-url"] => {
            volume(observed, format!("{storage}:import/{}", get("filename")));
        }
        ["nodes", _, "aplinfo"] => volume(observed, format!("{}:vztmpl/{}", get("storage"), get("template"))),
        ["cluster", "firewall", "aliases"] => {
            let alias = FirewallAlias { cidr: get("cidr"), comment: get("comment") };
            value(&mut site(observed).firewall).aliases.insert(get("name"), alias);
        }
        ["cluster", "firewall", "ipset"] => {
            let sets = &mut value(&mut site(observed).firewall).ipsets;
            sets.entry(get("name")).or_default().comment = get("comment");
        }
        ["cluster", "firewall", "ipset", set] => {
            let set = value(&mut site(observed).firewall).ipsets.get_mut(set).unwrap();
            set.entries.insert(get("cidr"), IpSetEntry::default());
        }
        ["cluster", "firewall", "groups"] => {
            value(&mut site(observed).firewall).groups.entry(get("group")).or_default().comment = get("comment");
        }
        ["cluster", "firewall", "groups", group] => {
            let rule = FirewallRule(params.iter().cloned().collect());
            value(&mut site(observed).firewall).groups.get_mut(group).unwrap().rules.insert(0, rule);
        }
        ["nodes", node, kind @ ("qemu" | "lxc")] => {
            let vmid: Vmid = get("vmid").parse().unwrap();
            let mut current: BTreeMap<String, String> =
                params.iter().filter(|(n, _)| !["vmid", "pool", "ostemplate"].contains(&n.as_str())).cloned().collect();
            if kind == "qemu" {
                current.insert("scsi0".into(), "local-zfs:vm-100-disk-1,discard=on,iothread=1,size=200G,ssd=1".into());
                current.insert("net0".into(), "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1".into());
            } else {
                current.insert("rootfs".into(), "local-zfs:subvol-104-disk-0,size=20G".into());
                let net = format!("{},hwaddr=BC:24:11:00:00:02,type=veth", current["net0"]);
                current.insert("net0".into(), net);
            }
            let listing = GuestListing {
                kind: if kind == "qemu" { GuestKind::Qemu } else { GuestKind::Lxc },
                node: node.parse().unwrap(),
                name: current.get("name").or(current.get("hostname")).cloned(),
                status: Power::Running,
                tags: current["tags"].split(';').map(str::to_owned).collect(),
                pool: Some(get("pool")),
                lock: None,
                template: false,
                memory: None,
            };
            value(&mut site(observed).guests).insert(vmid, listing);
            let config = GuestConfig { current, pending: BTreeMap::new(), digest: Some("d".into()) };
            site(observed).configs.insert(vmid, Fact::complete(config));
        }
        ["nodes", _, "qemu" | "lxc", vmid, "firewall", what] => {
            let all = value(&mut site(observed).guest_firewalls);
            let firewall: &mut GuestFirewall = all.entry(vmid.parse().unwrap()).or_default();
            match what {
                "rules" => firewall.rules.insert(0, FirewallRule(params.iter().cloned().collect())),
                "ipset" => firewall.ipsets.entry(get("name")).or_default().comment = get("comment"),
                _ => firewall.options.extend(params.iter().cloned()),
            }
        }
        ["nodes", _, "qemu" | "lxc", vmid, "firewall", "ipset", set] => {
            let all = value(&mut site(observed).guest_firewalls);
            let set = all.get_mut(&vmid.parse().unwrap()).unwrap().ipsets.get_mut(set).unwrap();
            set.entries.insert(get("cidr"), IpSetEntry::default());
        }
        _ => {}
    }
}

pub(in crate::plan) fn volume(observed: &mut Observed, id: String) {
    let volumes = host(observed).volumes.values_mut().next().unwrap();
    value(volumes).insert(id, Volume { content: String::new(), size: 1 });
}

pub(in crate::plan) fn config(observed: &mut Observed, vmid: u32) -> &mut GuestConfig {
    value(site(observed).configs.get_mut(&Vmid::try_from(vmid).unwrap()).unwrap())
}

pub(in crate::plan) fn changes(plan: &Plan) -> Vec<(String, Action)> {
    plan.changes.iter().map(|change| (change.addr.to_string(), change.action)).collect()
}
