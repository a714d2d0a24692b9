//! Whatever is asked for, one apply makes it so, and a second one finds nothing to do.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::random_inventory::{changed, guests, inventory};
use crate::rig::{Rig, blueprint};
use infra::exec::Ended;
use infra::lab::world::Version;

/// The same cases on every machine and in every run.
fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn converges(rig: &Rig, yaml: &str) -> Result<(), String> {
    let blueprint = blueprint(yaml).map_err(|problems| format!("{problems:#?}"))?;
    let run = rig.apply(&blueprint).await;
    if run.ended != Ended::Done {
        return Err(format!("{:?}: {:#?}", run.ended, run.failures));
    }
    let again = rig.plan(&blueprint).await.map_err(|problems| format!("{problems:#?}"))?;
    if again.changes.is_empty() && again.gaps.is_empty() {
        Ok(())
    } else {
        Err(format!("a second plan is not empty: {:#?} {:#?}", again.changes, again.gaps))
    }
}

#[test]
fn random_inventories_converge_in_one_apply() {
    runner(40)
        .run(&guests(), |guests| {
            let rig = Rig::new(0);
            runtime().block_on(converges(&rig, &inventory(&guests))).map_err(TestCaseError::fail)
        })
        .unwrap();
}

/// The same inventories against the older releases, in fewer cases: what differs is what hosts take and say.
#[test]
fn random_inventories_converge_on_every_release() {
    for version in [Version::V8_4, Version::V9_1] {
        let two = guests().prop_flat_map(|before| (Just(before.clone()), changed(&before)));
        runner(12)
            .run(&two, |(before, after)| {
                let rig = Rig::of(version, 0);
                runtime().block_on(async {
                    converges(&rig, &inventory(&before)).await.map_err(TestCaseError::fail)?;
                    converges(&rig, &inventory(&after)).await.map_err(TestCaseError::fail)
                })
            })
            .unwrap();
    }
}

#[test]
fn random_changes_converge_in_one_apply() {
    let two = guests().prop_flat_map(|before| (Just(before.clone()), changed(&before)));
    runner(40)
        .run(&two, |(before, after)| {
            let rig = Rig::new(0);
            runtime().block_on(async {
                converges(&rig, &inventory(&before)).await.map_err(TestCaseError::fail)?;
                converges(&rig, &inventory(&after)).await.map_err(TestCaseError::fail)
            })
        })
        .unwrap();
}
