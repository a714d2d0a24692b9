//! `infra apply` is killed with SIGKILL at any moment; the next one converges, nothing is lost and no lock
//! is left.
//!
//! Mostly against a lab in a process of its own, which lives on with its tasks as a real host would; a few
//! times with a lab in the killed process, which then is a host that lost its power.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use infra::event::RunId;
use infra::exec::journal;
use infra::lab::Scenario;
use infra::lab::scenario::{HostSpec, SiteSpec, graphics_card};
use infra::lab::world::World;
use infra::model::Size;

use crate::desk::{Desk, Served};

/// Work on the host takes this percentage of its real time, so that many a moment lies within a task.
const PACE: u32 = 3;
/// How long anything here may take at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// The inventory's hardware as a scenario, as only a scenario has a pace.
fn scenario(desk: &Desk) -> String {
    let images = std::fs::read_to_string(desk.path("inventories/vrooli/images.yaml")).expect("the images");
    let value = |key: &str| {
        let line = images.lines().find_map(|line| line.trim().strip_prefix(key)).expect("a pinned cloud image");
        line.split_whitespace().next().expect("a value").to_owned()
    };
    let card = graphics_card("0000:01:00", ("10de", "2684"), "AD102 [GeForce RTX 4090]", 14);
    let host = HostSpec::workstation("hq", "pve1", "192.168.10.2").with_pci(card);
    let mut scenario = Scenario::of(vec![SiteSpec::single(host)]).knows(
        &value("url:"),
        Size::mib(650),
        &value("sha256:"),
        Some(Size::mib(2252)),
    );
    scenario.pace = PACE;
    let path = desk.path("scenario.json");
    std::fs::write(&path, serde_json::to_string(&scenario).expect("JSON")).expect("a scenario file");
    path.to_str().expect("UTF-8").to_owned()
}

/// An inventory and the host that it is applied to.
struct Site {
    desk: Desk,
    /// What leads `apply` and `plan` to the host.
    reach: Vec<String>,
    /// Where the lab keeps its world.
    world: PathBuf,
    /// Where `apply` keeps its journals.
    state: Utf8PathBuf,
    /// The host lives on when `apply` is killed.
    _served: Option<Served>,
}

impl Site {
    fn served() -> Self {
        let desk = Desk::new();
        let scenario = scenario(&desk);
        let inventory = ["-i", "inventories/vrooli"];
        let args = [&inventory[..], &["--scenario", &scenario, "--state-dir", "host"]].concat();
        let served = Served::start(&desk, &args);
        let reach = [&inventory[..], &["-i", served.inventory()]].concat();
        Self {
            reach: reach.into_iter().map(str::to_owned).collect(),
            world: desk.path("host/lab/vrooli/site-hq.json"),
            state: Utf8PathBuf::from_path_buf(desk.path(".infra")).expect("UTF-8"),
            _served: Some(served),
            desk,
        }
    }

    fn in_process() -> Self {
        let desk = Desk::new();
        let scenario = scenario(&desk);
        Self {
            reach: vec![format!("--lab={scenario}")],
            world: desk.path(".infra/lab/vrooli/site-hq.json"),
            state: Utf8PathBuf::from_path_buf(desk.path(".infra/lab/vrooli")).expect("UTF-8"),
            _served: None,
            desk,
        }
    }

    fn args<'a>(&'a self, verb: &[&'a str]) -> Vec<&'a str> {
        verb.iter().copied().chain(self.reach.iter().map(String::as_str)).collect()
    }

    /// Every kind of change that is made in place, each time to other values.
    fn edit(&self, round: u64) {
        let memory = format!("memory: {}GiB", [24, 28, 20][usize::try_from(round % 3).expect("small")]);
        let cores = format!("cores: {}", 4 + round % 3);
        self.desk.rewrite("profiles/plan-hq.yaml", &[("memory: 32GiB", &memory), ("cores: 8", &cores)]);
        let (memory, disk) = (format!("memory: {}GiB", 3 + round % 4), format!("disk: {}GiB", 20 + round));
        let operators = format!("ssh: [192.168.{}.0/24]", 20 + round % 200);
        let project = [("memory: 4GiB", &*memory), ("disk: 20GiB", &disk), ("ssh: [192.168.10.0/24]", &operators)];
        self.desk.rewrite("profiles/project.yaml", &project);
        let quota = format!("quota: {}GiB", 20 + round);
        let more = format!("{quota} }}, {{ name: cache-{round}, mount: /cache, quota: 1GiB }}");
        let uses = ["plan-hq/litellm, plan-hq/nats", "plan-hq/nats", "plan-hq/nats, plan-hq/ollama"];
        let uses = uses[usize::try_from(round % 3).expect("small")];
        let guests = [("quota: 20GiB }", &*more), ("quota: 20GiB", &quota), ("plan-hq/litellm, plan-hq/nats", uses)];
        self.desk.rewrite("inventories/vrooli/guests.yaml", &guests);
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.world).unwrap_or_default()
    }

    fn look(&self) -> Option<World> {
        let text = self.text();
        (!text.is_empty()).then(|| serde_json::from_str(&text).expect("a world"))
    }

    /// Guests and datasets with what tells them from others of their name: what must never get lost.
    fn holdings(&self) -> BTreeMap<String, String> {
        let Some(world) = self.look() else { return BTreeMap::new() };
        let guests = world.guests.iter().filter(|(_, guest)| guest.lock() != Some("create"));
        let guests = guests.map(|(vmid, guest)| {
            let card = guest.config.get("net0").map(String::as_str).unwrap_or_default();
            let mac = card.split(',').find(|part| part.contains("BC:24:11")).unwrap_or_default();
            (format!("guest {vmid}"), format!("{:?} {mac}", guest.kind))
        });
        let datasets = world.nodes.values().flat_map(|node| &node.zfs.datasets);
        guests.chain(datasets.map(|(name, dataset)| (format!("dataset {name}"), dataset.created.to_string()))).collect()
    }

    /// Guests whose create was not finished.
    fn half_made(&self) -> Vec<u32> {
        let Some(world) = self.look() else { return Vec::new() };
        world.guests.into_iter().filter(|(_, guest)| guest.lock() == Some("create")).map(|(vmid, _)| vmid).collect()
    }

    fn assert_holds(&self, before: &BTreeMap<String, String>, when: &str) {
        let after = self.holdings();
        for (name, identity) in before {
            assert_eq!(after.get(name), Some(identity), "{when}: {name} is lost or another one");
        }
    }

    fn lease_is_held(&self) -> bool {
        self.text().contains("/etc/pve/priv/lock/infra-vrooli")
    }

    fn runs(&self) -> BTreeSet<RunId> {
        let name = "vrooli".parse().expect("a name");
        journal::history(&self.state, &name).expect("readable journals").into_iter().map(|(run, _)| run).collect()
    }

    /// The steps that were under way when the run was killed that was not there before; none, if no run was.
    fn cut_off(&self, before: &BTreeSet<RunId>) -> Option<Vec<String>> {
        let name = "vrooli".parse().expect("a name");
        let runs = journal::history(&self.state, &name).expect("readable journals");
        let (_, run) = runs.into_iter().find(|(id, run)| !before.contains(id) && run.outcome.is_none())?;
        Some(run.running().map(|(outline, _)| outline.id.to_string()).collect())
    }

    /// Lets the next `apply` and `plan` say that everything is as it should be, and holds the host to it.
    fn recovers(&self, held: &BTreeMap<String, String>, what: &str) -> Duration {
        self.assert_holds(held, what);
        let start = Instant::now();
        self.desk.run(0, &self.args(&["apply", "--yes"]));
        let took = start.elapsed();
        self.desk.run(0, &self.args(&["plan", "--detailed-exitcode"]));
        self.assert_holds(held, what);
        assert!(!self.lease_is_held(), "{what}: the lease is still there");
        let world = self.look().expect("a world");
        assert_eq!(world.guests.len(), 5, "{what}");
        for (vmid, guest) in &world.guests {
            assert_eq!(guest.lock(), None, "{what}: guest {vmid}");
            assert!(guest.run.is_some(), "{what}: guest {vmid} does not run");
        }
        took
    }

    /// Begins to apply.
    fn begin(&self) -> Applying {
        let mut command = self.desk.command(&self.args(&["apply", "--yes"]));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let stderr = child.stderr.take().expect("a pipe");
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody listens any more when the test has seen enough.
                let _ = to.send(line);
            }
        });
        Applying { child, lines }
    }

    /// How long a whole run takes from its first event to the end of the process.
    fn whole_run(&self) -> Duration {
        let mut applying = self.begin();
        applying.wait_for_run();
        let start = Instant::now();
        assert_eq!(applying.child.wait().expect("it ends").code(), Some(0));
        start.elapsed()
    }
}

/// An `infra apply` under way; killed with what waits for it.
struct Applying {
    child: Child,
    lines: Receiver<String>,
}

impl Applying {
    /// Waits until it says that its run begins; nothing, if it ended before.
    fn wait_for_run(&self) {
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.starts_with("run ") {
                return;
            }
            said.push(line);
        }
        panic!("no run began: {said:#?}");
    }

    /// Whether it still ran when SIGKILL came.
    fn kill(mut self) -> bool {
        let _ = self.child.kill();
        self.child.wait().expect("it ends").code().is_none()
    }
}

impl Drop for Applying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was seen over many kills.
#[derive(Default)]
struct Tally {
    in_run: u32,
    before_run: u32,
    too_late: u32,
    with_lease: u32,
    with_task: u32,
    during: BTreeMap<String, u32>,
    recovery: Vec<Duration>,
}

impl Tally {
    fn count(&mut self, site: &Site, runs: &BTreeSet<RunId>, killed: bool) -> String {
        self.with_lease += u32::from(site.lease_is_held());
        self.with_task += u32::from(site.look().is_some_and(|w| w.tasks.iter().any(|task| task.is_running())));
        match site.cut_off(runs) {
            Some(steps) if killed => {
                self.in_run += 1;
                for step in &steps {
                    *self.during.entry(step.clone()).or_default() += 1;
                }
                format!("during {}", steps.join(", "))
            }
            _ if killed => {
                self.before_run += 1;
                "outside a run".to_owned()
            }
            _ => {
                self.too_late += 1;
                "after its end".to_owned()
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.in_run += other.in_run;
        self.before_run += other.before_run;
        self.too_late += other.too_late;
        self.with_lease += other.with_lease;
        self.with_task += other.with_task;
        for (step, times) in other.during {
            *self.during.entry(step).or_default() += times;
        }
        self.recovery.extend(other.recovery);
    }

    fn print(&self, name: &str) {
        let Self { in_run, before_run, too_late, with_lease, with_task, .. } = self;
        println!(
            "{name}: {in_run} kills in a run, {before_run} before or after one, {too_late} too late; \
             the lease was held after {with_lease}, tasks worked on after {with_task}"
        );
        for (step, times) in &self.during {
            println!("  {times:2} × {step}");
        }
        let slowest = self.recovery.iter().max().copied().unwrap_or_default();
        println!("  the slowest apply after a kill took {:.1} s", slowest.as_secs_f64());
    }
}

/// Kills once per round, each at its own random moment; every fifth round is a first apply.
fn kill_in(rounds: std::ops::Range<u64>, bare: Duration, edited: Duration) -> Tally {
    let mut tally = Tally::default();
    let mut site = None;
    for round in rounds {
        let mut random = fastrand::Rng::with_seed(2511 + round);
        let first = round % 5 == 0 || site.is_none();
        let site = match &mut site {
            Some(site) if !first => {
                Site::edit(site, round);
                site
            }
            slot => slot.insert(Site::served()),
        };
        let (held, runs) = (site.holdings(), site.runs());
        let moment = if first { bare } else { edited }.mul_f64(0.9 * random.f64());
        let applying = site.begin();
        // One in six anywhere from the start of the process on, the others within the run.
        if round % 6 != 4 {
            applying.wait_for_run();
        }
        std::thread::sleep(moment);
        let killed = applying.kill();
        let when = tally.count(site, &runs, killed);
        let what = format!("round {round}, killed after {moment:?} {when}");
        println!("{what}");
        tally.recovery.push(site.recovers(&held, &what));
    }
    tally
}

#[test]
fn killed_25_times_while_the_host_lives_on() {
    let site = Site::served();
    let bare = site.whole_run();
    site.edit(1);
    let edited = site.whole_run();
    println!("a first run takes {bare:?}, one after an edit {edited:?}");
    // Most of the time is spent waiting for the host, so two sites at a time do not get in each other's way.
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let halves = [0..13, 13..25].map(|rounds| scope.spawn(move || kill_in(rounds, bare, edited)));
        for half in halves {
            tally.add(half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    tally.print("the host lives on");
    assert!(tally.too_late <= 5, "too many kills came after the end");
    assert!(tally.in_run >= 12, "too few kills landed in a run");
    assert!(tally.with_lease > 0, "no kill left a lease behind: nothing is shown by its absence");
    assert!(tally.with_task > 0, "no kill left a task behind");
}

/// No guest is concerned by a download, yet the next plan depends on how it ends.
#[test]
fn killed_while_an_image_is_fetched() {
    let site = Site::served();
    let applying = site.begin();
    let start = Instant::now();
    let fetching =
        || site.look().is_some_and(|world| world.tasks.iter().any(|t| t.kind == "download" && t.is_running()));
    while !fetching() {
        assert!(start.elapsed() < PATIENCE, "nothing is fetched");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(applying.kill() && fetching(), "the download lives on");
    site.recovers(&BTreeMap::new(), "killed while an image is fetched");
}

#[test]
fn killed_with_the_host_that_loses_its_power() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut tally = Tally::default();
    let mut torsos = 0;
    let mut site = Site::in_process();
    for round in 0..4 {
        if round == 1 || round == 3 {
            site.edit(round);
        } else {
            site = Site::in_process();
        }
        let (held, runs) = (site.holdings(), site.runs());
        let applying = site.begin();
        applying.wait_for_run();
        if round % 2 == 0 {
            // The moment in which a container, later the VM, is being made.
            let start = Instant::now();
            while !site.half_made().iter().any(|vmid| (*vmid == 100) == (round > 0)) {
                assert!(start.elapsed() < PATIENCE, "nothing is being made");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        std::thread::sleep(Duration::from_millis(random.u64(0..20)));
        let killed = applying.kill();
        let when = tally.count(&site, &runs, killed);
        let cut = site.half_made();
        torsos += cut.len();
        let what = format!("round {round}, killed {when}, half made {cut:?}");
        println!("{what}");
        tally.recovery.push(site.recovers(&held, &what));
    }
    tally.print("the host loses its power");
    assert_eq!(tally.too_late, 0);
    assert!(torsos > 0, "no guest was half made: nothing is shown by their recovery");
}
