//! A rehearsal says beforehand what an apply then does.

use std::collections::BTreeSet;

use infra::blueprint::Blueprint;
use infra::exec::{Ended, OnFailure, Stop};
use infra::plan::{Memory, Plan, Scope};
use infra::rehearsal::{Report, Request, Verdict, rehearse};

use crate::random_inventory::{RandomGuest, inventory};
use crate::rig::{Rig, blueprint};

pub fn guest(vm: bool) -> RandomGuest {
    RandomGuest {
        vm,
        cores: 2,
        memory_mib: 4096,
        disk_gib: 20,
        running: true,
        onboot: true,
        order: Some(1),
        tags: vec!["one".into()],
        notes: "notes".into(),
        nesting: true,
        keyctl: true,
        swap_mib: 512,
        tun: true,
        datasets: vec![(Some(2), Some("zstd"), false)],
        inbound: "drop",
        outbound: "accept",
        ports: vec![22, 443],
        grouped: true,
        gpu: vm,
    }
}

fn read(guests: &[RandomGuest]) -> Blueprint {
    blueprint(&inventory(guests)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Rehearses the plan of `goal`, as a command would.
async fn rehearsed(rig: &Rig, goal: &Blueprint) -> (Plan, Report) {
    let observed = rig.observe(goal).await;
    let plan = rig.plan(goal).await.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let request = Request {
        blueprint: goal,
        observed: &observed,
        plan: &plan,
        memory: &Memory::new(),
        scope: &Scope::default(),
        allow_destroy: &BTreeSet::new(),
        unfinished: &rig.unfinished(goal),
        parallelism: 4,
        now: infra::ports::Clock::now(&*rig.clock),
    };
    let report = rehearse(&request).unwrap();
    (plan, report)
}

#[test]
fn a_clean_rehearsal_of_a_bare_host_is_a_clean_apply() {
    run(async {
        let rig = Rig::new(0);
        let goal = read(&[guest(true), guest(false)]);
        let before = rig.site.requests();
        let (plan, report) = rehearsed(&rig, &goal).await;
        println!("{} requests to look", rig.site.requests() - before);
        println!("{report:#?}");
        assert_eq!(report.verdict(), Verdict::Clean);
        assert_eq!(report.unlike, Vec::<String>::new());
        let done = rig.carry_out(&goal, plan, OnFailure::Keep, &Stop::default()).await;
        assert_eq!(done.ended, Ended::Done, "{:?}", done.failures);
        let (plan, report) = rehearsed(&rig, &goal).await;
        assert!(plan.is_empty());
        assert_eq!(report.unlike, Vec::<String>::new());
    });
}
