//! The way back, and stopping.

use super::*;
use crate::model::guard::{Guard, GuardAct};

#[tokio::test]
async fn a_failure_is_taken_back_in_reverse_order() {
    let host = Host::new(&[Trouble::None, Trouble::None, Trouble::Refused]);
    let memory = Step { undo: Undo::Ops { ops: vec![set_memory("256")] }, ..step("memory", vec![set_memory("512")]) };
    let steps = vec![
        guest("104"),
        after(memory, &["create-104"]),
        after(guest("105"), &["memory"]),
        after(guest("106"), &["create-105"]),
    ];
    let seen = host.apply(steps, OnFailure::Rollback).await;
    assert_eq!(seen.applied, Applied { ended: Ended::RolledBack, left: Vec::new() });
    assert_eq!(
        host.writes(),
        [
            "POST /nodes/hq/lxc",
            "PUT /nodes/hq/lxc/104/config",
            "POST /nodes/hq/lxc",
            "PUT /nodes/hq/lxc/104/config",
            "DELETE /nodes/hq/lxc/104"
        ],
        "what was refused is not taken back"
    );
    assert!(host.world.lock().unwrap().guests.is_empty());
    assert!(seen.why("create-105").contains("out of luck"));
    assert_eq!(seen.why("create-106"), "it needs create-105, which failed");
    assert_eq!(seen.state.outcome, Some(RunOutcome::RolledBack));
}

#[tokio::test]
async fn kept_on_failure_means_that_everything_stands() {
    let host = Host::new(&[Trouble::None, Trouble::TaskFails]);
    let seen = host.apply(vec![guest("104"), after(guest("105"), &["create-104"])], OnFailure::Keep).await;
    assert_eq!(seen.applied.ended, Ended::Failed);
    assert!(host.world.lock().unwrap().guests.contains("104"));
    let Outcome::Failed { why, hint } = seen.outcome("create-105") else { panic!() };
    assert!(why.contains("no space left") && hint.as_deref().unwrap().contains("free space"), "{why}");
}

#[tokio::test]
async fn an_undo_that_fails_leaves_the_commands_and_what_it_stands_on() {
    let host = Host::new(&[Trouble::None, Trouble::None, Trouble::None, Trouble::Refused, Trouble::Refused]);
    let steps = vec![
        guest("104"),
        guest("105"),
        after(guest("106"), &["create-104"]),
        after(guest("107"), &["create-106", "create-105"]),
    ];
    let seen = host.apply(steps, OnFailure::Rollback).await;
    assert_eq!(seen.applied.ended, Ended::Stuck);
    let left: Vec<_> = seen.applied.left.iter().map(|left| (left.step.0.as_str(), left.commands.join("; "))).collect();
    assert_eq!(
        left,
        [
            ("create-106", "pvesh delete /nodes/hq/lxc/106".to_owned()),
            ("create-104", "pvesh delete /nodes/hq/lxc/104".to_owned())
        ]
    );
    assert!(!host.world.lock().unwrap().guests.contains("105"), "what does not depend on it is still taken back");
    assert_eq!(seen.state.outcome, Some(RunOutcome::Stuck));
}

#[tokio::test]
async fn what_is_not_there_any_more_needs_no_undo() {
    let host = Host::new(&[Trouble::None, Trouble::Refused]);
    let gone = Step { undo: Undo::Ops { ops: vec![destroy("999")] }, ..step("gone", vec![create("104")]) };
    let seen = host.apply(vec![gone, after(guest("105"), &["gone"])], OnFailure::Rollback).await;
    assert_eq!(seen.applied.ended, Ended::RolledBack);
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_stuck_and_says_so() {
    let host = Host::new(&[Trouble::None, Trouble::Refused]);
    let grown = Step { undo: Undo::irreversible("disks only grow"), ..step("grow", vec![set_memory("512")]) };
    let seen = host.apply(vec![grown, after(guest("105"), &["grow"])], OnFailure::Rollback).await;
    assert_eq!(seen.applied.ended, Ended::Stuck);
    assert!(seen.applied.left[0].why.contains("disks only grow") && seen.applied.left[0].commands.is_empty());
}

#[tokio::test]
async fn an_operation_is_on_disk_before_it_is_sent() {
    let host = Host::new(&[]);
    let (state, checked) = (host.state.clone(), Arc::new(Mutex::new(0)));
    let count = Arc::clone(&checked);
    host.world.lock().unwrap().hook = Some(Box::new(move |request| {
        let events = journal::events(&state, &"t".parse().unwrap(), &RunId("r1".into())).unwrap();
        let title = format!("{} {}", request.method, request.path);
        assert!(
            matches!(&events.last().unwrap().what, What::OpStarted { title: begun, .. } if *begun == title),
            "{events:?}"
        );
        *count.lock().unwrap() += 1;
    }));
    let steps = vec![guest("104"), after(step("memory", vec![set_memory("512"), set_memory("513")]), &["create-104"])];
    host.apply(steps, OnFailure::Keep).await;
    assert_eq!(*checked.lock().unwrap(), 3);
}

#[tokio::test]
async fn nothing_is_sent_that_cannot_be_written_down() {
    let host = Host::new(&[]);
    let plan: Plan = plan_of(vec![guest("104")]);
    let clock = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let mut record = Record::start(&host.state, &plan, opening(), clock, |_| {}).unwrap();
    record.fill_the_disk();
    let options = Options { parallelism: 4, on_failure: OnFailure::Rollback };
    assert!(apply(&plan, &host.doors(), &mut record, &host.stop, &options).await.is_err());
    assert!(host.writes().is_empty());
}

#[tokio::test]
async fn stopping_once_finishes_what_runs_and_begins_nothing_more() {
    let host = Host::new(&[]);
    let soon = host.stop.soon.clone();
    host.world.lock().unwrap().hook = Some(Box::new(move |_| soon.cancel()));
    let steps = vec![guest("104"), after(guest("105"), &["create-104"])];
    let seen = host.apply(steps, OnFailure::Rollback).await;
    assert_eq!(seen.applied.ended, Ended::Interrupted);
    assert_eq!(*seen.outcome("create-104"), Outcome::Done);
    assert_eq!(seen.why("create-105"), "not begun, as the run was stopped");
    assert_eq!(host.writes().len(), 1, "what was done stands");
}

#[tokio::test]
async fn stopping_twice_drops_everything_and_the_journal_tells_where_it_stood() {
    let host = Host::new(&[]);
    let now = host.stop.now.clone();
    host.world.lock().unwrap().hook = Some(Box::new(move |_| now.cancel()));
    let seen = host.apply(vec![guest("104")], OnFailure::Rollback).await;
    assert_eq!(seen.applied.ended, Ended::Interrupted);
    let step = &seen.state.steps[&StepId("create-104".into())];
    assert_eq!(step.outcome, None);
    assert!(!step.op.as_ref().unwrap().2, "its operation began and is not known to have ended");
    assert!(matches!(seen.events.last().unwrap().what, What::RunFinished { outcome: RunOutcome::Interrupted }));
}

#[tokio::test]
async fn what_no_host_takes_back_is_put_back_at_once_if_a_host_is_not_reached_anew() {
    let host = Host::new(&[]);
    let guard = Guard { name: "tailnet".to_owned(), files: Vec::new(), then: Vec::new(), seconds: 0 };
    let act = GuardAct::Reconnect { hosts: vec!["hq".parse().unwrap()], after_s: 0, within_s: 0 };
    let ops = vec![set_memory("512"), Op::Guard { guard, act }];
    let memory = Step { undo: Undo::Ops { ops: vec![set_memory("256")] }, ..step("memory", ops) };
    let seen = host.apply(vec![guest("104"), after(memory, &["create-104"])], OnFailure::Keep).await;
    assert_eq!(seen.applied.ended, Ended::Failed);
    assert!(seen.why("memory").contains("was put back"), "{}", seen.why("memory"));
    let memory = "PUT /nodes/hq/lxc/104/config";
    assert_eq!(host.writes(), ["POST /nodes/hq/lxc", memory, memory]);
}
