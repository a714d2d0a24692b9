//! Runs that end before their time: by Ctrl-C in the last look, by a lease that is gone.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Stdio};

use infra::lab::Scenario;
use infra::lab::faults::Fault;

use crate::desk::{Desk, Served, send};
use crate::lab_alone::GUESTS;

/// A run in a process of its own.
struct Applying {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Applying {
    fn start(desk: &Desk, reach: &[&str]) -> Self {
        let mut command = desk.command(&[&["apply", "--yes"], reach].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// Reads what it says until a line holds this.
    fn says(&mut self, words: &str) -> bool {
        self.lines.by_ref().map_while(Result::ok).any(|line| line.contains(words))
    }

    /// Waits until it ended: exit code, stdout, the rest of stderr.
    fn end(self) -> (Option<i32>, String, String) {
        let Self { child, lines } = self;
        let err: Vec<String> = lines.map_while(Result::ok).collect();
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), err.join("\n"))
    }
}

/// A lab without an inventory, with guests beside it.
fn desk(change: impl FnOnce(&mut Scenario)) -> (Desk, Served) {
    let desk = Desk::empty();
    let mut scenario = Scenario { any_download: true, ..Scenario::example() };
    change(&mut scenario);
    std::fs::write(desk.path("lab.json"), serde_json::to_string(&scenario).expect("JSON")).expect("a file");
    std::fs::write(desk.path("my-guests.yaml"), GUESTS).expect("a file");
    let lab = Served::start(&desk, &["--scenario", "lab.json"]);
    (desk, lab)
}

#[test]
fn ctrl_c_in_the_last_look_ends_it_and_nothing_is_claimed() {
    let (desk, lab) = desk(|_| {});
    let reach = ["-i", lab.inventory(), "-i", "my-guests.yaml"];
    // The host is frozen as soon as the last look is announced. Where that look was quicker, once more.
    for round in 0..20 {
        let memory = format!("memory: {}GiB", 2 + round);
        std::fs::write(desk.path("my-guests.yaml"), GUESTS.replace("memory: 1GiB", &memory)).expect("a file");
        let mut apply = Applying::start(&desk, &reach);
        assert!(apply.says("looking again"));
        lab.signal("STOP");
        send(&apply.child, "INT");
        // Leases cannot be given back to a frozen host either.
        send(&apply.child, "INT");
        let mut ended = apply.child.try_wait().expect("it is ours");
        while ended.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(20));
            send(&apply.child, "INT");
            ended = apply.child.try_wait().expect("it is ours");
        }
        lab.signal("CONT");
        let (code, out, _) = apply.end();
        if code == Some(0) {
            continue;
        }
        assert_eq!(code, Some(130), "{out}");
        assert!(out.contains("Interrupted:") && out.contains("everything was done, not proven"), "{out}");
        let with = |args: &[&'static str]| [args, &reach[..]].concat();
        assert!(desk.run(0, &["history"]).lines().next().is_some_and(|line| line.contains("interrupted")));
        assert!(desk.run(0, &with(&["plan"])).starts_with("No changes."), "it was done");
        desk.run(0, &with(&["apply", "--yes"]));
        return;
    }
    panic!("every last look was over before it could be interrupted");
}

#[test]
fn who_holds_the_lease_is_said_and_it_is_taken_away_only_when_asked_to() {
    // Twenty seconds for the image: longer than a holder of a lease is silent.
    let (desk, lab) = desk(|scenario| scenario.pace = 230);
    let reach = ["-i", lab.inventory(), "-i", "my-guests.yaml"];
    let unlock = |code: i32, more: &[&str]| desk.run(code, &[&["unlock"], &reach[..], more].concat());
    assert_eq!(unlock(0, &[]), "pve1: nobody holds the lease\n");

    let mut apply = Applying::start(&desk, &reach);
    while !unlock_line(&desk, &reach).contains("held by ada@") {
        assert!(apply.child.try_wait().expect("it is ours").is_none(), "the run was over before it was seen");
    }
    assert!(unlock(64, &[]).contains("for `infra apply`"), "without a terminal nothing is taken away");
    let said = unlock(0, &["--yes"]);
    assert!(said.contains("held by ada@") && said.ends_with("pve1: the lease is free\n"), "{said}");
    assert_eq!(unlock(0, &[]), "pve1: nobody holds the lease\n");

    assert!(apply.says("the lease was lost: somebody removed the lease"), "while the run goes on");
    let (code, out, err) = apply.end();
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("run.lease-lost") && err.contains("somebody removed the lease"), "{err}");
}

fn unlock_line(desk: &Desk, reach: &[&str]) -> String {
    let output = desk.command(&[&["unlock"], reach].concat()).output().expect("the program starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_was_done_before_a_failure_stands_unless_asked_to_be_taken_back() {
    let failing = |flags: &[&str]| {
        let fault = Fault::Task { kind: "vzcreate".to_owned(), nth: 1, text: "no space left".to_owned() };
        let (desk, lab) = desk(|scenario| scenario.faults.push(fault));
        let reach = ["-i", lab.inventory(), "-i", "my-guests.yaml"];
        let (code, out, err) = Applying::start(&desk, &[&reach[..], flags].concat()).end();
        assert!(err.contains("no space left"), "{err}");
        let pool = desk.run(0, &[&["plan"], &reach[..]].concat()).contains("pool.pve1");
        (code, out, pool)
    };
    let (code, out, pool_is_missing) = failing(&[]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("what was done stands") && !pool_is_missing, "{out}");

    let (code, out, pool_is_missing) = failing(&["--on-failure", "rollback"]);
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("what was done was taken back") && pool_is_missing, "{out}");
}
