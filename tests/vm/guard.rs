//! Safety rule 6 on a real kernel, a real systemd and a real sshd: a change that locks us out is taken back, also by
//! a host that nobody asks, also after a reboot; one that does not is confirmed and leaves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use infra::adapters::SystemClock;
use infra::client::{Door, Doors};
use infra::event::{Event, Outcome, RunId, What};
use infra::exec::{self, Ended, OnFailure, Options, Record, Stop};
use infra::model::change::{Action, Change, Risk, Via};
use infra::model::guard::{Guard, GuardAct, GuardedFile};
use infra::model::step::{Op, Step, StepId, Undo};
use infra::model::{Addr, HostName};
use infra::plan::{Plan, Scope};
use infra::ports::{Api, BoxFuture, Clock, Command, Request, Response, Shell, TransportError};

use crate::machine::{door, good, on_runtime};

const FILE: &str = "/etc/nftables.conf";

const HOME: &str = "/var/lib/infra/guard/firewall";

/// What only Proxmox has; the machine's own door is the one that counts.
struct NoApi;

impl Api for NoApi {
    fn send<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async { Ok(Response { status: 200, reason: "OK".to_owned(), body: b"{\"data\":{}}".to_vec() }) })
    }

    fn anew(&self) -> Option<Arc<dyn Api>> {
        Some(Arc::new(Self))
    }
}

fn host() -> HostName {
    "vm".parse().unwrap()
}

/// As a stateful firewall does it: connections that stand live on, and of the new ones only some get in.
fn rules(verdict: &str) -> String {
    format!(
        "flush ruleset\ntable inet guard {{\n chain input {{\n  type filter hook input priority 0;\n  \
         ct state established,related accept\n  iif lo accept\n  tcp dport 22 {verdict}\n }}\n}}\n"
    )
}

fn ops(verdict: &str, seconds: u32) -> Vec<Op> {
    let guard = Guard {
        name: "firewall".to_owned(),
        files: vec![GuardedFile { path: FILE.to_owned(), present: true }],
        then: vec![vec!["nft".to_owned(), "-f".to_owned(), FILE.to_owned()]],
        seconds,
    };
    let part = |act| Op::Guard { guard: guard.clone(), act };
    vec![
        part(GuardAct::Arm),
        Op::PutFile { path: FILE.to_owned(), content: rules(verdict).into(), mode: 0o755 },
        Op::Exec { argv: vec!["nft".to_owned(), "-f".to_owned(), FILE.to_owned()] },
        part(GuardAct::Reconnect { hosts: vec![host()], after_s: 1, within_s: 15 }),
        part(GuardAct::Disarm),
    ]
}

fn plan(ops: Vec<Op>) -> Plan {
    let addr: Addr = "host_firewall.vm".parse().unwrap();
    let step = Step {
        id: StepId::new(&addr, "set"),
        addr: addr.clone(),
        title: "set the firewall".to_owned(),
        host: host(),
        via: Via::Ssh,
        ops,
        undo: Undo::nothing("a test"),
        risk: Risk::Reachability,
        needs: Vec::new(),
        exclusive: Vec::new(),
    };
    let change = Change {
        addr,
        action: Action::Update,
        reason: "test".to_owned(),
        via: Via::Ssh,
        risk: Risk::Reachability,
        drift: false,
        fields: Vec::new(),
    };
    Plan {
        format: Plan::FORMAT,
        infra: "test".to_owned(),
        inventory: "vm-test".parse().unwrap(),
        scope: Scope::default(),
        changes: vec![change],
        steps: vec![step],
        preconditions: BTreeMap::new(),
        orphans: Vec::new(),
        gaps: Vec::new(),
        notes: Vec::new(),
        memory: BTreeMap::new(),
    }
}

async fn run(shell: &Arc<dyn Shell>, ops: Vec<Op>) -> (Ended, Vec<String>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let door = Door { api: Arc::new(NoApi), shell: Some(Arc::clone(shell)) };
    let doors = Doors::new([(host(), door)].into(), Arc::clone(&clock), 1);
    let state = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    let sink = |event: &Event| {
        if let What::StepFinished { outcome: Outcome::Failed { why, .. }, .. } = &event.what {
            failures.push(why.clone());
        }
    };
    let plan = plan(ops);
    let opening = exec::Opening { run: RunId::new(clock.now(), 1), verb: "prepare".into(), operator: "test@vm".into() };
    let mut record = Record::start(Utf8Path::from_path(state.path()).unwrap(), &plan, opening, clock, sink).unwrap();
    let options = Options { parallelism: 1, on_failure: OnFailure::Keep };
    let applied = exec::apply(&plan, &doors, &mut record, &Stop::default(), &options).await.unwrap();
    drop(record);
    (applied.ended, failures)
}

/// What somebody who is not in yet gets to hear; nothing, if they do not get in.
async fn anew(shell: &Arc<dyn Shell>, argv: &[&str]) -> Option<(i32, String)> {
    let output = shell.anew()?.run(&Command::new(argv.iter().copied())).await.ok()?;
    Some((output.code, String::from_utf8(output.stdout).unwrap()))
}

async fn within(seconds: u64, shell: &Arc<dyn Shell>, argv: &[&str], holds: impl Fn(i32, &str) -> bool) -> u64 {
    let began = Instant::now();
    loop {
        if anew(shell, argv).await.is_some_and(|(code, said)| holds(code, &said)) {
            return began.elapsed().as_secs();
        }
        assert!(began.elapsed() < Duration::from_secs(seconds), "{argv:?} within {seconds} s");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[test]
fn a_real_host_takes_back_what_locks_us_out() {
    let Some(ssh) = door() else { return };
    let shell: Arc<dyn Shell> = Arc::new(ssh);
    on_runtime(async {
        let plain = door().unwrap();
        let open: &[&[&str]] =
            &[&["sh", "-c", "printf 'flush ruleset\\n' > /etc/nftables.conf; nft -f /etc/nftables.conf"]];
        good(&plain, open).await;

        let (ended, failures) = run(&shell, ops("accept", 300)).await;
        assert_eq!(ended, Ended::Done, "{failures:#?}");
        let timer = anew(&shell, &["systemctl", "is-active", "infra-guard-firewall.timer"]).await.unwrap();
        println!("machine: confirmed; its timer is {}, exit code {}", timer.1.trim(), timer.0);
        assert_eq!(timer.1, "inactive\n");
        let left =
            anew(&shell, &["find", "/etc/systemd/system", HOME, "-name", "*infra-guard*", "-o", "-path", HOME]).await;
        assert_eq!(left.unwrap().1, "", "nothing of the guard is left");

        let began = Instant::now();
        let (ended, failures) = run(&shell, ops("drop", 300)).await;
        println!("machine: locked out, after {} s: {}", began.elapsed().as_secs(), failures.join("; "));
        assert_eq!(ended, Ended::Failed);
        assert!(failures[0].contains("has taken the change back and can be reached again"), "{failures:#?}");
        assert_eq!(anew(&shell, &["cat", FILE]).await.unwrap().1, rules("accept"), "as it was before");

        // Whoever made it dies: no Reconnect, no Disarm.
        let cut: Vec<Op> = ops("drop", 200).into_iter().take(3).collect();
        assert_eq!(run(&shell, cut).await.0, Ended::Done);
        assert!(anew(&shell, &["true"]).await.is_none(), "nobody new gets in");
        let took = within(500, &shell, &["test", "-e", &format!("{HOME}/reverted")], |code, _| code == 0).await;
        println!("machine: left alone, it took the change back by itself; reachable again {took} s later");
        assert_eq!(anew(&shell, &["cat", FILE]).await.unwrap().1, rules("accept"));

        // And with a reboot in between; what was loaded into the kernel is gone then, the file is not.
        let cut: Vec<Op> = ops("drop", 200).into_iter().take(2).collect();
        assert_eq!(run(&shell, cut).await.0, Ended::Done);
        assert_eq!(anew(&shell, &["cat", FILE]).await.unwrap().1, rules("drop"));
        const BOOT: &[&str] = &["cat", "/proc/sys/kernel/random/boot_id"];
        let before = anew(&shell, BOOT).await.unwrap().1;
        let _ = shell.run(&Command::new(["systemctl", "reboot"]).limit(Duration::from_secs(20))).await;
        let up = within(900, &shell, BOOT, |code, said| code == 0 && said != before).await;
        let pending = anew(&shell, &["ls", "-1", HOME]).await.unwrap().1;
        println!("machine: rebooted within {up} s; the guard is there: {}", pending.trim().replace('\n', " "));
        assert!(pending.contains("armed") || pending.contains("revert"), "{pending}");
        let took = within(500, &shell, &["test", "-e", &format!("{HOME}/reverted")], |code, _| code == 0).await;
        println!("machine: {took} s later it took the change back");
        assert_eq!(anew(&shell, &["cat", FILE]).await.unwrap().1, rules("accept"));
        let enabled = anew(&shell, &["systemctl", "is-enabled", "infra-guard-firewall.timer"]).await.unwrap().1;
        assert_eq!(enabled, "disabled\n", "the next boot has nothing to do");
    });
}
