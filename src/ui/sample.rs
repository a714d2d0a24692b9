//! Hand-made values for the tests of the views.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::blueprint::{
    Access, ApiAccess, Blueprint, Container, Firewall, Guest, GuestShape, Host, HostNetwork, HostStorage, Limits,
    PowerState, SecretRef, Startup, Trust, Verdict,
};
use crate::checks::{Finding, Fix, HostReport, Judged, Mend, Preflight};
use crate::diag::{FileId, Span};
use crate::event::{Event, Outcome, RunId, RunOutcome, StepOutline, What};
use crate::model::change::{Action, Change, FieldChange, FieldValue, Risk, Via};
use crate::model::observed::Fact;
use crate::model::step::{Op, Step, StepId, Undo};
use crate::model::{Fingerprint, Interface, Size};
use crate::plan::{Gap, Orphan, Plan};
use crate::ports::{Method, Request};

fn text(value: &str) -> FieldValue {
    FieldValue::Text(value.to_owned())
}

fn field(path: &str, from: FieldValue, to: FieldValue) -> FieldChange {
    FieldChange { path: path.to_owned(), from, to, drift: false, needs_restart: false }
}

fn change(addr: &str, action: Action, reason: &str, fields: Vec<FieldChange>) -> Change {
    Change {
        addr: addr.parse().unwrap(),
        action,
        reason: reason.to_owned(),
        via: Via::Api,
        risk: Risk::None,
        drift: fields.iter().any(|f| f.drift),
        fields,
    }
}

fn step(addr: &str, what: &str, title: &str, via: Via) -> Step {
    let addr = addr.parse().unwrap();
    Step {
        id: StepId::new(&addr, what),
        addr,
        title: title.to_owned(),
        host: "hq".parse().unwrap(),
        inside: None,
        via,
        ops: vec![Op::Call {
            request: Request { method: Method::Post, path: "/nodes/pve1/lxc".to_owned(), params: Vec::new() },
            landed: None,
        }],
        undo: Undo::irreversible("a sample"),
        risk: Risk::None,
        needs: Vec::new(),
        exclusive: Vec::new(),
    }
}

/// A plan with one of everything.
pub fn plan() -> Plan {
    let memory = FieldChange { drift: true, needs_restart: true, ..field("memory", text("16 GiB"), text("32 GiB")) };
    let create = Change {
        via: Via::ApiAndSsh,
        ..change(
            "ct.proj-x",
            Action::Create,
            "does not exist",
            vec![
                field("vmid", FieldValue::Absent, text("104")),
                field("mp0", FieldValue::Absent, text("/rpool/containers/proj-x,mp=/workspace")),
                field("token", FieldValue::Absent, FieldValue::Sensitive { sensitive: true }),
            ],
        )
    };
    let restart =
        Change { risk: Risk::Downtime, ..change("vm.plan-hq", Action::Restart, "memory differs", vec![memory]) };
    let rules = change(
        "guest_firewall.proj-y",
        Action::Update,
        "rules and 6 more differ",
        std::iter::once(field(
            "rules",
            text("in accept tcp 22\nin drop\n"),
            text("in accept tcp 22\nin accept tcp 80\nin drop\n"),
        ))
        .chain((0..6).map(|n| field(&format!("option{n}"), FieldValue::Absent, text("1"))))
        .collect(),
    );
    let destroy = Change {
        via: Via::Ssh,
        risk: Risk::DataLoss,
        ..change("dataset.hq:rpool/containers/old", Action::Destroy, "named with `--allow-destroy`", Vec::new())
    };
    Plan {
        format: Plan::FORMAT,
        infra: "0.1.0".to_owned(),
        inventory: "vrooli".parse().unwrap(),
        scope: crate::plan::Scope::default(),
        changes: vec![create, restart, Change { risk: Risk::Reachability, ..rules }, destroy],
        steps: vec![
            step("ct.proj-x", "create", "create container 104", Via::Api),
            step("vm.plan-hq", "memory", "set memory of VM 100", Via::Api),
        ],
        preconditions: Default::default(),
        orphans: vec![Orphan {
            addr: "ct.proj-old".parse().unwrap(),
            host: "hq".parse().unwrap(),
            description: "vmid 107 on pve1, running".to_owned(),
        }],
        gaps: vec![Gap { addr: "ct.far".parse().unwrap(), why: "node pve2 does not answer".to_owned() }],
        notes: vec!["the datacenter's firewall is off: no rule of any guest is enforced".to_owned()],
        memory: ["ct.proj-x", "vm.plan-hq", "guest_firewall.proj-y"]
            .map(|addr| (addr.parse().unwrap(), Default::default()))
            .into(),
    }
}

/// A moment, `seconds` after the sample run began.
pub fn at(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-11-21T11:45:00Z".parse().unwrap();
    start + Duration::from_secs_f64(seconds)
}

/// A run that creates one container, fails at a VM, and leaves a third step unstarted.
pub fn events() -> Vec<Event> {
    let outline: Vec<StepOutline> = plan()
        .steps
        .into_iter()
        .chain([step("guest_firewall.proj-y", "rules", "write rules of proj-y", Via::Api)])
        .map(|s| StepOutline { id: s.id, addr: s.addr, title: s.title, host: s.host })
        .collect();
    let (create, memory) = (outline[0].id.clone(), outline[1].id.clone());
    let upid = "UPID:pve1:00000145:0001EC48:6B01672F:vzcreate:104:infra@pve!laptop:".parse().unwrap();
    let run = RunId::new(at(0.0), 7);
    let failed = Outcome::Failed {
        why: "no such PCI device\nkvm: exit 1".to_owned(),
        hint: Some("see whether the GPU is still in its slot".to_owned()),
    };
    vec![
        (
            0.0,
            What::RunStarted {
                run,
                inventory: "vrooli".to_owned(),
                verb: "apply".to_owned(),
                operator: "ada@laptop".to_owned(),
                plan: "sha256:00".to_owned(),
                steps: outline,
            },
        ),
        (0.0, What::StepStarted { step: create.clone() }),
        (0.0, What::OpStarted { step: create.clone(), op: 0, title: "POST /nodes/pve1/lxc".to_owned() }),
        (0.1, What::TaskStarted { step: create.clone(), upid }),
        (0.5, What::StepStarted { step: memory.clone() }),
        (1.0, What::TaskLog { step: create.clone(), lines: vec!["extracting archive".to_owned()] }),
        (3.0, What::OpFinished { step: create.clone(), op: 0, outcome: Outcome::Done }),
        (3.2, What::StepFinished { step: create, outcome: Outcome::Done }),
        (4.0, What::StepFinished { step: memory, outcome: failed }),
        (4.0, What::RunFinished { outcome: RunOutcome::Failed }),
    ]
    .into_iter()
    .map(|(seconds, what)| Event { at: at(seconds), what })
    .collect()
}

/// A blueprint with one host and one container.
pub fn blueprint() -> Blueprint {
    let place = Span { file: FileId(0), start: 0, end: 0 };
    let storage = HostStorage { guests: "local-zfs".parse().unwrap(), files: "local".parse().unwrap(), datasets: None };
    let subnet = "10.0.0.0/24".parse().unwrap();
    let host = Host {
        name: "hq".parse().unwrap(),
        node: "pve1".parse().unwrap(),
        site: "hq".to_owned(),
        address: "192.168.10.2".to_owned(),
        access: Access {
            api: ApiAccess {
                host: "192.168.10.2".to_owned(),
                port: 8006,
                token_id: "infra@pve!laptop".to_owned(),
                token: SecretRef { name: "hq-token".to_owned(), span: place },
                trust: Trust::Fingerprint(Fingerprint::new([0xAB; 32])),
            },
            ssh: None,
        },
        storage,
        network: HostNetwork {
            bridge: "vmbr0".parse().unwrap(),
            subnet,
            gateway: "10.0.0.1".parse().unwrap(),
            dns: Vec::new(),
            domain: None,
            vlan: None,
        },
        firewall: None,
        gpus: BTreeMap::new(),
        system: Default::default(),
        span: place,
    };
    let container = Container {
        swap: Size::mib(512),
        nesting: true,
        keyctl: false,
        limits: Limits::default(),
        datasets: Vec::new(),
        devices: Vec::new(),
    };
    let guest = Guest {
        name: "proj-x".parse().unwrap(),
        host: host.name.clone(),
        vmid: 104.try_into().unwrap(),
        shape: GuestShape::Container(container),
        cores: 2,
        memory: Size::gib(4),
        disk: Size::gib(20),
        storage: "local-zfs".parse().unwrap(),
        image: "debian-12".to_owned(),
        interface: Interface::in_network("10.0.0.123".parse().unwrap(), subnet).unwrap(),
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
        span: place,
        spans: BTreeMap::new(),
    };
    Blueprint {
        name: "vrooli".parse().unwrap(),
        pool: "vrooli".parse().unwrap(),
        hosts: [(host.name.clone(), host)].into(),
        guests: [(guest.name.clone(), guest)].into(),
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

/// What preflight found, with one of each verdict.
pub fn preflight() -> Preflight {
    let check = crate::checks::find("iommu-off").unwrap();
    let vm = || ["vm.plan-hq".parse().unwrap()];
    let findings = vec![
        Finding::fail("no IOMMU is active")
            .seen("ls -A /sys/class/iommu", "(empty)")
            .seen("/proc/cmdline", "intel_iommu=off")
            .fix(Fix::prepare(Mend::KernelCommandLine))
            .fix(Fix::by_hand("switch VT-d (Intel) or AMD-Vi (AMD) on in the firmware"))
            .concerns(vm()),
        Finding::warn("the link is at half its width")
            .about("gpu rtx4090 at 0000:01:00")
            .seen("/sys/bus/pci/devices/0000:01:00.0/current_link_width", "8\nof 16")
            .fix(Fix::edit("hosts.hq.gpus.rtx4090.address", "0000:02:00")),
        Finding::pass("active, with 19 groups").concerns(vm()),
        Finding::skipped("no GPU of this host is passed to a VM"),
        Finding::blind("`ls` failed: <no> \"such\" file & directory"),
    ];
    let hq = HostReport {
        host: "hq".parse().unwrap(),
        place: Span { file: FileId(0), start: 0, end: 4 },
        shut: Vec::new(),
        findings: findings.into_iter().map(|finding| Judged { check, finding }).collect(),
        gpus: Fact::default(),
    };
    let far = HostReport {
        host: "far".parse().unwrap(),
        shut: vec!["its API does not answer: 192.0.2.9:8006: connection refused".to_owned()],
        findings: Vec::new(),
        ..hq.clone()
    };
    let gap = Gap { addr: "vm.far".parse().unwrap(), why: "node pve2 does not answer".to_owned() };
    Preflight { inventory: "vrooli".parse().unwrap(), hosts: vec![far, hq], unplanned: None, gaps: vec![gap] }
}
