//! A lab in this process with virtual time: a host, its doors, and the whole way from inventory to run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use infra::blueprint::{Blueprint, resolve};
use infra::client::{Door, Doors};
use infra::diag::Diagnostics;
use infra::event::{Event, Outcome, RunId, RunOutcome, What};
use infra::exec::{self, Ended, OnFailure, Options, Record, Stop, journal};
use infra::inventory::{InventoryFiles, Layer, SourceFile, load};
use infra::lab::faults::Fault;
use infra::lab::shell::DirectShell;
use infra::lab::world::Version;
use infra::lab::{DirectApi, LiveSite, Scenario};
use infra::model::observed::Observed;
use infra::model::step::StepId;
use infra::model::{Addr, HostName, Size};
use infra::observe::{Interest, observe};
use infra::plan::{Plan, Request, Scope, build};
use infra::ports::{self, Api, BoxFuture, Clock, Response, TransportError};
use infra::resources::{Allowed, datasets_of_interest, snippets_of_interest};
use infra::secrets::StandIns;

/// Time that passes only when somebody waits for it.
#[derive(Debug)]
pub struct VirtualClock(AtomicI64);

impl VirtualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_795_254_000_000)))
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Let everybody who is ready go first, so that a heartbeat does not race the clock.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap().max(1), Ordering::SeqCst);
        })
    }
}

pub fn blueprint(yaml: &str) -> Result<Blueprint, Diagnostics> {
    let path = Utf8PathBuf::from("inventory.yaml");
    let file = SourceFile::new(path.clone(), yaml.as_bytes());
    let files = InventoryFiles { layers: vec![Layer { path, files: vec![file] }], ..InventoryFiles::default() };
    let loaded = load(&files);
    let Some(inventory) = &loaded.inventory else { return Err(loaded.diagnostics) };
    let (blueprint, problems) = resolve(inventory);
    blueprint.ok_or_else(|| loaded.diagnostics.into_iter().chain(problems).collect())
}

/// A world that outlives whoever works on it, as a real host would.
pub struct Rig {
    pub site: Arc<LiveSite>,
    pub clock: Arc<VirtualClock>,
    /// How many steps run at once.
    pub parallelism: usize,
    state: tempfile::TempDir,
    runs: Mutex<u64>,
    tailnet: Mutex<Option<Arc<dyn Api>>>,
    /// At which begin or end of an operation the next run is dropped where it stands; never, if 0.
    pub dropped_at: AtomicUsize,
    shut: Mutex<BTreeSet<String>>,
}

/// How an apply ended.
pub struct Run {
    pub ended: Ended,
    pub failures: Vec<String>,
}

/// A door that does not open from here.
struct Shut;

impl Api for Shut {
    fn send<'a>(&'a self, _: &'a ports::Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let why = "connect: Connection refused".to_owned();
        Box::pin(async move { Err(TransportError::NotSent { peer: "shut".to_owned(), why }) })
    }
}

pub const SECRET: &str = "00000000-0000-4000-8000-00000000beef";

impl Rig {
    pub fn new(pace: u32) -> Self {
        Self::of(Version::default(), pace)
    }

    /// A host that runs this release.
    pub fn of(version: Version, pace: u32) -> Self {
        Self::with(Scenario { version, ..Scenario::example() }, pace)
    }

    /// The first site of a scenario.
    pub fn with(scenario: Scenario, pace: u32) -> Self {
        let mut scenario = scenario.knows(
            "https://example.com/u-1.img",
            Size::mib(650),
            "a037d6d0299171ba62019f3c3f895eb902c271f8e9676cfe0f22e38070344579",
            Some(Size::mib(2252)),
        );
        scenario.pace = pace;
        let clock = VirtualClock::new();
        let world = scenario.world(&scenario.sites[0], SECRET, clock.now()).unwrap();
        let site = LiveSite::new(world, Arc::<VirtualClock>::clone(&clock), Vec::new(), None).unwrap();
        let state = tempfile::tempdir().unwrap();
        Self {
            site,
            clock,
            parallelism: 4,
            state,
            runs: Mutex::new(0),
            tailnet: Mutex::default(),
            dropped_at: AtomicUsize::new(0),
            shut: Mutex::default(),
        }
    }

    /// From now on there is a tailnet's control plane behind this door.
    pub fn with_tailnet(&self, api: Arc<dyn Api>) {
        *self.tailnet.lock().unwrap() = Some(api);
    }

    /// From now on the APIs of these hosts do not open, and those of all others do.
    pub fn shut(&self, hosts: &[&str]) {
        *self.shut.lock().unwrap() = hosts.iter().map(|host| (*host).to_owned()).collect();
    }

    pub fn faults(&self, faults: Vec<Fault>) {
        self.site.set_faults(faults).unwrap();
    }

    /// Everything that runs have written.
    pub fn written(&self) -> String {
        fn below(directory: &std::path::Path, text: &mut String) {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.path() {
                    path if path.is_dir() => below(&path, text),
                    path => text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap())),
                }
            }
        }
        let mut text = String::new();
        below(self.state.path(), &mut text);
        text
    }

    fn state_dir(&self) -> &Utf8Path {
        Utf8Path::from_path(self.state.path()).unwrap()
    }

    pub fn doors(&self, blueprint: &Blueprint) -> Doors {
        let token = format!("infra@pve!lab={SECRET}");
        let doors = blueprint.hosts.values().map(|host| {
            let api: Arc<dyn Api> = if self.shut.lock().unwrap().contains(host.name.as_str()) {
                Arc::new(Shut)
            } else {
                Arc::new(DirectApi::new(self.site.at(host.node.as_str()), token.clone().into()))
            };
            let door = Door {
                api,
                shell: Some(Arc::new(DirectShell::new(Arc::<LiveSite>::clone(&self.site), host.node.as_str()))),
            };
            (host.name.clone(), door)
        });
        let site = |host: &HostName| blueprint.hosts.get(host).map(|host| host.site.as_str());
        let doors = Doors::new(doors.collect(), Arc::<VirtualClock>::clone(&self.clock), 7)
            .in_sites(site)
            .with_secrets(Arc::new(StandIns));
        match &*self.tailnet.lock().unwrap() {
            Some(tailnet) => doors.with_tailnet(Arc::clone(tailnet)),
            None => doors,
        }
    }

    pub async fn observe(&self, blueprint: &Blueprint) -> Observed {
        let interest = Interest {
            snippets: snippets_of_interest(blueprint),
            datasets: datasets_of_interest(blueprint),
            ..Interest::default()
        };
        let doors = self.doors(blueprint);
        // A guest with a running task is waited for, as `apply` does.
        loop {
            let observed = observe(blueprint, &doors, &interest).await;
            let busy = observed.sites.values().any(|site| site.tasks.value().is_some_and(|tasks| !tasks.is_empty()));
            if !busy {
                return observed;
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
    }

    pub async fn plan(&self, blueprint: &Blueprint) -> Result<Plan, Diagnostics> {
        self.plan_allowing(blueprint, &BTreeSet::new()).await
    }

    pub async fn plan_allowing(&self, blueprint: &Blueprint, allow: &BTreeSet<Addr>) -> Result<Plan, Diagnostics> {
        let observed = self.observe(blueprint).await;
        self.plan_for(blueprint, &observed, allow)
    }

    /// Plans without waiting for what works on guests right now.
    pub async fn plan_at_once(&self, blueprint: &Blueprint) -> Result<Plan, Diagnostics> {
        let interest = Interest {
            snippets: snippets_of_interest(blueprint),
            datasets: datasets_of_interest(blueprint),
            ..Interest::default()
        };
        let observed = observe(blueprint, &self.doors(blueprint), &interest).await;
        self.plan_for(blueprint, &observed, &BTreeSet::new())
    }

    fn plan_for(
        &self,
        blueprint: &Blueprint,
        observed: &Observed,
        allow: &BTreeSet<Addr>,
    ) -> Result<Plan, Diagnostics> {
        let memory = journal::recall(self.state_dir(), &blueprint.name).unwrap();
        let unfinished = self.unfinished(blueprint);
        build(&Request {
            blueprint,
            observed,
            memory: &memory,
            scope: &Scope::default(),
            allowed: &Allowed { destroy: allow.clone(), ..Allowed::default() },
            unfinished: &unfinished,
        })
    }

    /// Forgets every run of before, so that one of hundreds is not slowed down by reading them all; what was applied
    /// stays known.
    pub fn forget_runs(&self, blueprint: &Blueprint) {
        for run in journal::inventory_dir(self.state_dir(), &blueprint.name).read_dir_utf8().unwrap() {
            let run = run.unwrap();
            if run.file_type().unwrap().is_dir() {
                std::fs::remove_dir_all(run.path()).unwrap();
            }
        }
    }

    pub fn unfinished(&self, blueprint: &Blueprint) -> BTreeSet<StepId> {
        journal::unfinished(self.state_dir(), &blueprint.name).unwrap()
    }

    pub async fn apply(&self, blueprint: &Blueprint) -> Run {
        let plan = self.plan(blueprint).await.unwrap_or_else(|problems| panic!("{problems:#?}"));
        self.carry_out(blueprint, plan, OnFailure::Keep, &Stop::default()).await
    }

    pub async fn carry_out(&self, blueprint: &Blueprint, plan: Plan, on_failure: OnFailure, stop: &Stop) -> Run {
        let seed = {
            let mut runs = self.runs.lock().unwrap();
            *runs += 1;
            *runs
        };
        let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&self.clock);
        let opening = exec::Opening {
            run: RunId::new(self.clock.now(), seed),
            verb: "apply".into(),
            operator: "test@rig".into(),
        };
        let mut failures: BTreeMap<String, String> = BTreeMap::new();
        let left = AtomicUsize::new(self.dropped_at.swap(0, Ordering::SeqCst));
        let sink = |event: &Event| {
            if matches!(event.what, What::OpStarted { .. } | What::OpFinished { .. })
                && left.load(Ordering::SeqCst) > 0
                && left.fetch_sub(1, Ordering::SeqCst) == 1
            {
                stop.now.cancel();
            }
            if let What::StepFinished { step, outcome: Outcome::Failed { why, .. } } = &event.what {
                failures.insert(step.to_string(), why.clone());
            }
        };
        let mut record = Record::start(self.state_dir(), &plan, opening, clock, sink).unwrap();
        let options = Options { parallelism: self.parallelism, on_failure };
        let doors = self.doors(blueprint);
        let applied = exec::apply(&plan, &doors, &mut record, stop, &options).await.unwrap();
        if applied.ended == Ended::Done {
            record.finish(RunOutcome::Converged).unwrap();
            journal::remember(self.state_dir(), &blueprint.name, &plan.memory).unwrap();
        } else {
            drop(record);
        }
        Run {
            ended: applied.ended,
            failures: failures.into_iter().map(|(step, why)| format!("{step}: {why}")).collect(),
        }
    }
}
