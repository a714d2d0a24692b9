//! A host in good order, for tests that break one thing of it.

use std::collections::BTreeMap;

use super::{Check, Finding, NotRun, Subject, Verdict};
use crate::blueprint::{Blueprint, Container, GuestShape, testing};
use crate::diag::Diagnostic;
use crate::event::RunState;
use crate::model::machine::{Certificate, GuestFile, GuestFiles, Link, Links, Machine};
use crate::model::observed::{self, Fact, GuestConfig, GuestKind, GuestListing, Observed, Power, Site};
use crate::model::{Fingerprint, HostName, Vmid};
use crate::plan::Plan;
use crate::resources::owner_tag;

/// The host `hq` of the good inventory, of which nothing was observed.
pub(crate) struct Scene {
    pub blueprint: Blueprint,
    pub observed: Observed,
    pub plan: Option<Plan>,
    pub refused: Vec<Diagnostic>,
    pub last_run: Option<RunState>,
    pub now: jiff::Timestamp,
}

impl Scene {
    /// The good inventory, and a host of which nothing is known.
    pub fn new() -> Self {
        let host =
            observed::Host { site: "hq".into(), machine: Machine::unavailable("not read"), ..Default::default() };
        Self {
            blueprint: testing::good(),
            observed: Observed {
                sites: BTreeMap::from([("hq".to_owned(), Site::default())]),
                hosts: BTreeMap::from([(hq(), host)]),
                ..Observed::default()
            },
            plan: None,
            refused: Vec::new(),
            last_run: None,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
        }
    }

    /// The same with no guest at all on the host.
    pub fn bare() -> Self {
        let mut scene = Self::new();
        scene.site().guests = Fact::complete(BTreeMap::new());
        scene
    }

    pub fn host(&mut self) -> &mut observed::Host {
        self.observed.hosts.get_mut(&hq()).unwrap()
    }

    pub fn machine(&mut self) -> &mut Machine {
        &mut self.host().machine
    }

    pub fn site(&mut self) -> &mut Site {
        self.observed.sites.get_mut("hq").unwrap()
    }

    /// A guest that is there and runs; ours if it is one of the inventory and `ours`.
    pub fn with_guest(mut self, vmid: u32, kind: GuestKind, ours: bool, lines: &[(&str, &str)]) -> Self {
        let vmid: Vmid = vmid.try_into().unwrap();
        let tags = if ours { vec![owner_tag(&self.blueprint.name).to_string()] } else { Vec::new() };
        let listing = GuestListing {
            kind,
            node: "hq".parse().unwrap(),
            name: Some("somebody".into()),
            status: Power::Running,
            tags,
            pool: None,
            lock: None,
            template: false,
            memory: None,
        };
        let current = lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = GuestConfig { current, ..GuestConfig::default() };
        let site = self.site();
        let Fact::Complete { value: guests } = &mut site.guests else { panic!("a scene with a known list of guests") };
        guests.insert(vmid, listing);
        site.configs.insert(vmid, Fact::complete(config));
        self
    }

    /// What `/etc/pve` holds about a guest; from then on all of it is known.
    pub fn with_file(&mut self, vmid: u32, file: GuestFile) {
        let files = &mut self.machine().guest_files;
        let mut all = files.value().cloned().unwrap_or_default();
        all.guests.insert(vmid.try_into().unwrap(), file);
        *files = Fact::complete(all);
    }

    /// `/etc/pve` is known, and holds nothing about guests.
    pub fn without_files(&mut self) {
        self.machine().guest_files = Fact::complete(GuestFiles::default());
    }

    /// What a check says.
    pub fn judge(&self, check: &Check) -> Result<Vec<Finding>, NotRun> {
        let host = &self.blueprint.hosts[&hq()];
        let subject = Subject {
            plan: self.plan.as_ref().ok_or("none was made"),
            refused: &self.refused,
            last_run: self.last_run.as_ref(),
            ..Subject::new(&self.blueprint, &self.observed, host, self.now)
        };
        (check.judge)(&subject)
    }

    /// Its verdicts, one per finding.
    pub fn verdicts(&self, check: &Check) -> Vec<Verdict> {
        match self.judge(check) {
            Ok(findings) => findings.iter().map(|finding| finding.verdict).collect(),
            Err(NotRun::Skipped(_)) => vec![Verdict::Skipped],
            Err(NotRun::Blind(_)) => vec![Verdict::CouldNotRun],
        }
    }

    /// Everything that it says, in one text.
    pub fn said(&self, check: &Check) -> String {
        format!("{:?}", self.judge(check))
    }
}

fn hq() -> HostName {
    "hq".parse().unwrap()
}

/// A guest's file with these lines.
pub(crate) fn guest_file(kind: GuestKind, lines: &[(&str, &str)]) -> GuestFile {
    GuestFile {
        kind,
        node: "hq".parse().unwrap(),
        lines: lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        pending: Vec::new(),
        snapshots: BTreeMap::new(),
    }
}

/// The scene with its container `proj-x` changed.
pub(crate) fn container(mut scene: Scene, change: impl FnOnce(&mut Container)) -> Scene {
    let guest = scene.blueprint.guests.get_mut(&"proj-x".parse().unwrap()).unwrap();
    let GuestShape::Container(container) = &mut guest.shape else { panic!("proj-x is a container") };
    change(container);
    scene
}

/// A scene with these interfaces.
pub(crate) fn links(links: &[Link]) -> Scene {
    let mut scene = Scene::new();
    scene.machine().links = Fact::complete(Links(links.to_vec()));
    scene
}

/// An interface that is on.
pub(crate) fn link(name: &str, kind: Option<&str>) -> Link {
    Link { name: name.into(), kind: kind.map(str::to_owned), mtu: 1500, up: true, carrier: true, ..Link::default() }
}

/// A certificate that holds for so many days more.
pub(crate) fn certificate(now: jiff::Timestamp, days: i64) -> Certificate {
    let second = now.as_second() + days * 24 * 60 * 60 + 60;
    Certificate {
        path: "/etc/pve/local/pve-ssl.pem".into(),
        not_before: jiff::Timestamp::from_second(now.as_second() - 400 * 24 * 60 * 60).unwrap(),
        not_after: jiff::Timestamp::from_second(second).unwrap(),
        fingerprint: Fingerprint::new([7; 32]),
    }
}

/// A plan in which nothing is done.
pub(crate) fn empty_plan() -> Plan {
    Plan {
        format: Plan::FORMAT,
        infra: String::new(),
        inventory: "test".parse().unwrap(),
        scope: crate::plan::Scope::default(),
        changes: Vec::new(),
        steps: Vec::new(),
        preconditions: BTreeMap::new(),
        orphans: Vec::new(),
        gaps: Vec::new(),
        notes: Vec::new(),
        memory: BTreeMap::new(),
    }
}
