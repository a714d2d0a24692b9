//! Answers that get lost, tasks that warn, conditions that are waited for.

use super::*;

#[tokio::test]
async fn a_task_whose_id_got_lost_is_found_and_followed() {
    let host = Host::new(&[Trouble::LostAfter]);
    let seen = host.apply(vec![guest("104")], OnFailure::Keep).await;
    assert_eq!(seen.applied.ended, Ended::Done);
    assert_eq!(host.writes(), ["POST /nodes/hq/lxc"]);
    let found = seen.state.steps[&StepId("create-104".into())].task.clone().unwrap();
    assert_eq!(found.as_str(), host.world.lock().unwrap().tasks[0].0);
}

#[tokio::test]
async fn a_create_that_never_arrived_is_sent_again_after_looking() {
    let host = Host::new(&[Trouble::LostBefore]);
    let seen = host.apply(vec![guest("104")], OnFailure::Keep).await;
    assert_eq!(seen.applied.ended, Ended::Done);
    assert_eq!(host.writes().len(), 2);
    assert!(host.clock.slept() >= Duration::from_secs(10), "PVE may still wait for a lock of its own");
}

#[tokio::test]
async fn a_create_that_landed_late_makes_the_second_one_fail_and_is_done_all_the_same() {
    let host = Host::new(&[Trouble::LandsLate]);
    let seen = host.apply(vec![guest("104")], OnFailure::Keep).await;
    assert_eq!((seen.applied.ended, host.writes().len()), (Ended::Done, 2));
    assert_eq!(host.world.lock().unwrap().guests.len(), 1);
}

#[tokio::test]
async fn a_task_that_the_run_knows_already_is_not_taken_for_the_lost_one() {
    let host = Host::new(&[Trouble::None, Trouble::LostBefore]);
    let start = || Op::Task { request: endpoints::LXC_START.at(&["hq", "104"]).request(), landed: None };
    let seen = host.apply(vec![step("twice", vec![start(), start()])], OnFailure::Keep).await;
    assert_eq!((seen.applied.ended, host.writes().len()), (Ended::Done, 3));
}

#[tokio::test]
async fn a_write_that_landed_is_not_repeated_and_one_that_did_not_is() {
    for (trouble, writes) in [(Trouble::LostAfter, 1), (Trouble::LostBefore, 2)] {
        let host = Host::new(&[trouble]);
        let seen = host.apply(vec![step("memory", vec![set_memory("512")])], OnFailure::Keep).await;
        assert_eq!((seen.applied.ended, host.writes().len()), (Ended::Done, writes), "{trouble:?}");
        assert_eq!(host.world.lock().unwrap().memory, "512");
    }
}

#[tokio::test]
async fn a_lost_post_that_leaves_no_trace_is_not_guessed_at() {
    let host = Host::new(&[Trouble::LostAfter]);
    let op = Op::Call { request: endpoints::POOL_CREATE.at(&[]).set("poolid", "t").request(), landed: None };
    let pool = Step { undo: Undo::Ops { ops: vec![op.clone()] }, ..step("pool", vec![op]) };
    let seen = host.apply(vec![pool], OnFailure::Rollback).await;
    assert_eq!(host.writes().len(), 1, "neither sent again nor taken back");
    assert_eq!(seen.applied.ended, Ended::Stuck);
    assert_eq!(seen.applied.left[0].commands, ["pvesh create /pools --poolid t"]);
    assert!(seen.applied.left[0].why.contains("nobody can tell"));
}

#[tokio::test]
async fn a_host_that_went_away_is_not_taken_for_one_where_nothing_happened() {
    let host = Host::new(&[Trouble::LostAfter]);
    let gone = FakeApi::rule(|request| if request.method == Method::Post { Reply::Uncertain } else { Reply::NotSent });
    let door = Door { api: Arc::clone(&gone) as Arc<dyn Api>, shell: None };
    let doors =
        Doors::new(BTreeMap::from([("hq".parse().unwrap(), door)]), Arc::clone(&host.clock) as Arc<dyn Clock>, 3);
    let plan = plan_of(vec![guest("104")]);
    let clock = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let mut record = Record::start(&host.state, &plan, opening(), clock, |_| {}).unwrap();
    let options = Options { parallelism: 1, on_failure: OnFailure::Rollback };
    let applied = apply(&plan, &doors, &mut record, &host.stop, &options).await.unwrap();
    assert_eq!(applied.ended, Ended::Stuck);
    assert_eq!(gone.seen().iter().filter(|line| line.starts_with("POST")).count(), 1);
    assert!(gone.seen().iter().all(|line| !line.starts_with("DELETE")), "what may be nothing of ours is not removed");
}

#[tokio::test]
async fn warnings_of_a_task_are_kept() {
    let host = Host::new(&[]);
    let start = Op::Task { request: endpoints::LXC_START.at(&["hq", "104"]).request(), landed: None };
    let seen = host.apply(vec![step("start", vec![start])], OnFailure::Keep).await;
    assert_eq!(*seen.outcome("start"), Outcome::Warning { message: "WARNINGS: 1".into() });
    assert_eq!(seen.applied.ended, Ended::Done);
}

#[tokio::test]
async fn waiting_ends_with_what_it_means_and_looking_once_does_not_wait() {
    let status = |id: &str| Condition::Answer {
        request: endpoints::LXC_STATUS.at(&["hq", id]).request(),
        expect: vec![Expect::new("status", Matcher::Equals("running".into()))],
    };
    let wait = |within_s| Op::Await {
        condition: status("104"),
        within_s,
        otherwise: "it does not boot; see its console".into(),
        or_warn: false,
    };
    let host = Host::new(&[]);
    let seen = host.apply(vec![step("wait", vec![wait(60)])], OnFailure::Keep).await;
    let why = seen.why("wait");
    assert!(why.contains("see its console") && why.contains("stopped"), "{why}");
    assert!(host.clock.slept() >= Duration::from_secs(60) && host.clock.slept() < Duration::from_secs(61));
    let host = Host::new(&[]);
    host.apply(vec![step("look", vec![wait(0)])], OnFailure::Keep).await;
    assert_eq!(host.clock.slept(), Duration::ZERO);
}
