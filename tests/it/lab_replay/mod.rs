//! Exchanges recorded from a real Proxmox VE 9.2 API, all of them, replayed against the lab in recorded order.
//!
//! They go through the HTTP server of the lab, byte for byte as they were sent. Compared are status, reason phrase,
//! headers, bodies of errors, and the data with types and values (`varying.rs` names what cannot be the same twice).
//! A row is agreed, listed (`listed.tsv`: a limit of the recordings explains it) or failed; nothing is skipped.
//! `INFRA_FIDELITY=write` writes the counts into `docs/fidelity.md`, `INFRA_REPLAY=SEQ` shows both answers of a row.

mod compare;
mod mutations;
mod recording;
mod replay;
mod unrecorded;
mod varying;
mod verdict;
pub mod wire;
mod world;

use crate::fidelity;
use replay::Replayed;
use verdict::Verdict;

fn run() -> Option<Replayed> {
    let Some(rows) = recording::rows() else {
        println!("not run: no recordings (set INFRA_SHARED)");
        return None;
    };
    assert_eq!(rows.len(), 934);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Some(runtime.block_on(replay::replay(&rows)))
}

#[test]
fn recorded_exchanges_come_out_the_same() {
    let Some(replayed) = run() else { return };
    let mut verdict = Verdict::of(&replayed.outcomes, &verdict::listed());
    println!("{}", verdict.table());
    let asked = std::env::var("INFRA_REPLAY").unwrap_or_default();
    for outcome in replayed.outcomes.iter().filter(|o| o.row.seq.to_string() == asked) {
        println!("{:#?}\n{}", outcome.row, outcome.row.response.json);
        println!("{:#?}\n{}", outcome.differences, String::from_utf8_lossy(&outcome.actual.body));
    }
    verdict.wrong.extend(fidelity::stale("replay", &verdict.markdown()));
    assert!(replayed.refused.is_empty(), "unrecorded steps were refused:\n{}", replayed.refused.join("\n"));
    let sum = verdict.sum();
    assert_eq!(sum.all(), 934);
    assert!(sum.listed * 20 < sum.all(), "{} of {} are listed", sum.listed, sum.all());
    assert!(verdict.wrong.is_empty(), "{} are wrong:\n{}", verdict.wrong.len(), verdict.wrong.join("\n"));
}
