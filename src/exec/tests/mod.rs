//! Runs against a made-up host that loses answers, fails and remembers.

mod commands;
mod lost;
mod rollback;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::Utf8PathBuf;

use super::testing::{opening, plan_of, step};
use super::{Applied, Ended, OnFailure, Options, Record, Stop, apply, journal};
use crate::client::testing::{FakeApi, FakeClock, FakeShell, Reply, output};
use crate::client::{Door, Doors};
use crate::event::{Event, Outcome, RunId, RunOutcome, RunState, What, fold};
use crate::model::step::{Condition, Expect, Matcher, Op, Step, StepId, Undo};
use crate::plan::Plan;
use crate::ports::{Api, Clock, Method, Request, Shell, TransportError};
use crate::proxmox::endpoints;

/// What goes wrong with the next writes: one entry per write, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// It never arrives, and we cannot tell.
    LostBefore,
    /// It is carried out and its answer gets lost.
    LostAfter,
    /// It lingers, its answer gets lost, and it is carried out just before the next write.
    LandsLate,
    /// It is refused.
    Refused,
    /// Its task fails.
    TaskFails,
}

type Hook = Box<dyn FnMut(&Request) + Send>;
/// What a command does: its exit code and whether it had its effect.
type Ran = Result<(i32, bool), TransportError>;

#[derive(Default)]
struct World {
    guests: BTreeSet<String>,
    running: BTreeSet<String>,
    tasks: Vec<(String, String, String)>,
    trouble: Vec<Trouble>,
    writes: Vec<String>,
    memory: String,
    hook: Option<Hook>,
    lingering: Option<Request>,
}

const NODE_NOW: i64 = 1_795_000_000;

impl World {
    fn task(&mut self, kind: &str, id: &str, exit: &str) -> Reply {
        let upid = format!("UPID:hq:{:08X}:0001EC48:6B01672F:{kind}:{id}:infra@pve!tok:", self.tasks.len() + 1);
        self.tasks.push((upid.clone(), kind.to_owned(), exit.to_owned()));
        Reply::data(&format!("\"{upid}\""))
    }

    fn write(&mut self, request: &Request) -> Reply {
        self.writes.push(format!("{} {}", request.method, request.path));
        let trouble = if self.trouble.is_empty() { Trouble::None } else { self.trouble.remove(0) };
        match trouble {
            Trouble::LostBefore => return Reply::Uncertain,
            Trouble::LandsLate => {
                self.lingering = Some(request.clone());
                return Reply::Uncertain;
            }
            Trouble::Refused => return Reply::status(500, "out of luck"),
            Trouble::TaskFails => return self.task("vzcreate", "104", "unable to create CT 104 - no space left"),
            Trouble::None | Trouble::LostAfter => {}
        }
        if let Some(late) = self.lingering.take() {
            self.carry_out(&late);
        }
        let reply = self.carry_out(request);
        if trouble == Trouble::LostAfter { Reply::Uncertain } else { reply }
    }

    fn carry_out(&mut self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method, &parts[..]) {
            (Method::Post, ["nodes", "hq", "lxc"]) => {
                let id = request.params.iter().find(|(name, _)| name == "vmid").unwrap().1.clone();
                if self.guests.insert(id.clone()) {
                    self.task("vzcreate", &id, "OK")
                } else {
                    Reply::status(500, &format!("CT {id} already exists on node 'hq'"))
                }
            }
            (Method::Delete, ["nodes", "hq", "lxc", id]) => {
                if self.guests.remove(*id) {
                    self.task("vzdestroy", id, "OK")
                } else {
                    Reply::status(500, &format!("Configuration file 'nodes/hq/lxc/{id}.conf' does not exist"))
                }
            }
            (Method::Post, ["nodes", "hq", "lxc", id, "status", "start"]) => {
                self.running.insert((*id).to_owned());
                self.task("vzstart", id, "WARNINGS: 1")
            }
            (Method::Put, ["nodes", "hq", "lxc", _, "config"]) => {
                self.memory.clone_from(&request.params[0].1);
                Reply::data("null")
            }
            (Method::Post, ["pools"]) => Reply::data("null"),
            _ => panic!("unexpected {} {}", request.method, request.path),
        }
    }

    fn read(&self, request: &Request) -> Reply {
        let parts: Vec<&str> = request.path.split('/').skip(1).collect();
        match &parts[..] {
            ["version"] => Reply::data(r#"{"version":"9.2.11"}"#),
            ["nodes", "hq", "time"] => Reply::data(&format!(r#"{{"time":{NODE_NOW}}}"#)),
            ["nodes", "hq", "tasks"] => {
                let kind = &request.params.iter().find(|(name, _)| name == "typefilter").unwrap().1;
                // an old task of the same kind is always there and never the one that is looked for
                let old =
                    r#"{"upid":"UPID:hq:000000FF:0001EC48:6B01672F:vzcreate:104:infra@pve!tok:","starttime":1000}"#;
                let rows = self.tasks.iter().filter(|(_, k, _)| k == kind);
                let rows: Vec<String> = rows
                    .map(|(upid, _, _)| format!(r#"{{"upid":"{upid}","starttime":{NODE_NOW}}}"#))
                    .chain([old.to_owned()])
                    .collect();
                Reply::data(&format!("[{}]", rows.join(",")))
            }
            ["nodes", "hq", "tasks", upid, "status"] => {
                let upid = upid.replace("%3A", ":").replace("%40", "@").replace("%21", "!");
                match self.tasks.iter().find(|(known, _, _)| *known == upid) {
                    Some((_, _, exit)) => Reply::data(&format!(r#"{{"status":"stopped","exitstatus":"{exit}"}}"#)),
                    None => Reply::status(400, "no such task"),
                }
            }
            ["nodes", "hq", "tasks", _, "log"] => Reply::data("[]"),
            ["nodes", "hq", "lxc"] => {
                let rows: Vec<String> = self.guests.iter().map(|id| format!(r#"{{"vmid":{id}}}"#)).collect();
                Reply::data(&format!("[{}]", rows.join(",")))
            }
            ["nodes", "hq", "lxc", _, "config"] => Reply::data(&format!(r#"{{"memory":"{}"}}"#, self.memory)),
            ["nodes", "hq", "lxc", id, "status", "current"] => {
                let status = if self.running.contains(*id) { "running" } else { "stopped" };
                Reply::data(&format!(r#"{{"status":"{status}"}}"#))
            }
            _ => panic!("unexpected GET {}", request.path),
        }
    }
}

fn exists(id: &str) -> Condition {
    let is = Matcher::HasItem("vmid".into(), id.into());
    Condition::Answer { request: endpoints::NODE_LXC.at(&["hq"]).request(), expect: vec![Expect::new("", is)] }
}

fn create(id: &str) -> Op {
    Op::Task { request: endpoints::LXC_CREATE.at(&["hq"]).set("vmid", id).request(), landed: Some(exists(id)) }
}

fn destroy(id: &str) -> Op {
    Op::Task { request: endpoints::LXC_DELETE.at(&["hq", id]).request(), landed: None }
}

fn set_memory(value: &str) -> Op {
    let request = endpoints::LXC_CONFIG.at(&["hq", "104"]).request();
    let landed = Condition::Answer { request, expect: vec![Expect::new("memory", Matcher::Equals(value.into()))] };
    Op::Call {
        request: endpoints::LXC_CONFIG_SET.at(&["hq", "104"]).set("memory", value).request(),
        landed: Some(landed),
    }
}

fn guest(id: &str) -> Step {
    Step { undo: Undo::Ops { ops: vec![destroy(id)] }, ..step(&format!("create-{id}"), vec![create(id)]) }
}

fn after(mut step: Step, needs: &[&str]) -> Step {
    step.needs = needs.iter().map(|need| StepId((*need).to_owned())).collect();
    step
}

struct Host {
    world: Arc<Mutex<World>>,
    clock: Arc<FakeClock>,
    shell: Option<Arc<FakeShell>>,
    stop: Stop,
    state: Utf8PathBuf,
    _dir: tempfile::TempDir,
}

struct Seen {
    applied: Applied,
    state: RunState,
    events: Vec<Event>,
}

impl Host {
    fn new(trouble: &[Trouble]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            world: Arc::new(Mutex::new(World { trouble: trouble.to_vec(), ..World::default() })),
            clock: FakeClock::new(),
            shell: None,
            stop: Stop::default(),
            state: Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap(),
            _dir: dir,
        }
    }

    fn doors(&self) -> Doors {
        let world = Arc::clone(&self.world);
        let api = FakeApi::rule(move |request| {
            let mut world = world.lock().unwrap();
            if request.method == Method::Get {
                return world.read(request);
            }
            if let Some(mut hook) = world.hook.take() {
                hook(request);
                world.hook = Some(hook);
            }
            world.write(request)
        });
        let shell = self.shell.clone().map(|shell| shell as Arc<dyn Shell>);
        let door = Door { api: api as Arc<dyn Api>, shell };
        Doors::new(BTreeMap::from([("hq".parse().unwrap(), door)]), Arc::clone(&self.clock) as Arc<dyn Clock>, 3)
    }

    async fn apply(&self, steps: Vec<Step>, on_failure: OnFailure) -> Seen {
        let plan = plan_of(steps);
        let mut events = Vec::new();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let run = RunId("r1".into());
        let mut record =
            Record::start(&self.state, &plan, opening(), clock, |event| events.push(event.clone())).unwrap();
        let options = Options { parallelism: 4, on_failure };
        let applied = apply(&plan, &self.doors(), &mut record, &self.stop, &options).await.unwrap();
        let state = record.state().clone();
        drop(record);
        let written = journal::events(&self.state, &plan.inventory, &run).unwrap();
        assert_eq!(written, events, "the journal holds what was shown, in that order");
        assert_eq!(fold(&events), state);
        Seen { applied, state, events }
    }

    fn writes(&self) -> Vec<String> {
        self.world.lock().unwrap().writes.clone()
    }
}

impl Seen {
    fn outcome(&self, step: &str) -> &Outcome {
        self.state.steps[&StepId(step.to_owned())].outcome.as_ref().unwrap()
    }

    fn why(&self, step: &str) -> String {
        match self.outcome(step) {
            Outcome::Failed { why, .. } | Outcome::Skipped { why } => why.clone(),
            other => panic!("{step}: {other:?}"),
        }
    }
}
