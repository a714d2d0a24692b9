//! Exchanges recorded from a real Proxmox VE 9.2 API, all of them, replayed against the lab in recorded order.
//!
//! They go through the HTTP server of the lab, byte for byte as they were sent. Compared are status, reason phrase,
//! headers, bodies of errors, and the data with types and values (`varying.rs` names what cannot be the same twice).
//! A row is agreed, listed (`listed.tsv`: a limit of the recordings explains it) or failed; nothing is skipped.
//! `open.txt` holds the rows that the lab does not serve yet. `INFRA_REPLAY=open` prints what differs in those,
//! `INFRA_REPLAY=prune` takes out of the file what agrees meanwhile and writes the counts into `docs/fidelity.md`, `INFRA_REPLAY=SEQ` shows both answers of a row.

mod compare;
mod document;
mod mutations;
mod recording;
mod replay;
mod unrecorded;
mod varying;
mod verdict;
pub mod wire;
mod world;

use std::collections::BTreeSet;
use std::path::Path;

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

fn open() -> BTreeSet<u32> {
    let lines = include_str!("open.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()).map(|seq| seq.parse().unwrap()).collect()
}

/// Takes rows out of `open.txt` that agree meanwhile; it never puts one in.
fn prune(replayed: &Replayed, verdict: &Verdict) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lab_replay/open.txt");
    let text = std::fs::read_to_string(&file).unwrap();
    let stays = |line: &&str| {
        let seq = line.split_whitespace().next().and_then(|seq| seq.parse().ok());
        seq.is_none_or(|seq: u32| verdict.differ.contains(&seq) || replayed.outcomes.iter().all(|o| o.row.seq != seq))
    };
    let kept: String = text.lines().filter(stays).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, kept).unwrap();
}

#[test]
fn recorded_exchanges_come_out_the_same() {
    let Some(replayed) = run() else { return };
    let mut verdict = Verdict::of(&replayed.outcomes, &verdict::listed(), &open());
    println!("{}", verdict.table());
    let asked = std::env::var("INFRA_REPLAY").unwrap_or_default();
    if asked == "open" {
        println!("{}", verdict.open.join("\n"));
    }
    if asked == "prune" {
        prune(&replayed, &verdict);
        let left = open().into_iter().filter(|seq| verdict.differ.contains(seq)).collect();
        return document::write(&Verdict::of(&replayed.outcomes, &verdict::listed(), &left));
    }
    for outcome in replayed.outcomes.iter().filter(|o| o.row.seq.to_string() == asked) {
        println!("{:#?}\n{}", outcome.row, outcome.row.response.json);
        println!("{:#?}\n{}", outcome.differences, String::from_utf8_lossy(&outcome.actual.body));
    }
    verdict.wrong.extend(document::stale(&verdict));
    let refused = &replayed.refused;
    assert!(refused.len() <= REFUSED_YET, "{} unrecorded steps were refused:\n{}", refused.len(), refused.join("\n"));
    for line in refused {
        println!("not done yet: {line}");
    }
    assert_eq!(verdict.sum().all() + verdict.wrong.iter().filter(|w| w.contains("take it out")).count(), 934);
    assert!(verdict.wrong.is_empty(), "{} are wrong:\n{}", verdict.wrong.len(), verdict.wrong.join("\n"));
}

/// Steps of `unrecorded.tsv` that the lab cannot do yet.
const REFUSED_YET: usize = 100;
