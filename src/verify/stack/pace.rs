//! How fast models answered when all was well last, and whether they still do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::verify::Verdict;
use crate::verify::proof::{Measured, Proof, ProofKind};

/// What is remembered of the last run in which all was well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastGood {
    /// Version of this format.
    pub format: u32,
    /// When it was.
    pub at: jiff::Timestamp,
    /// How fast each model answered, by what was asked.
    pub paces: BTreeMap<String, Pace>,
}

/// How fast a model answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Milliseconds from the request to the first token.
    pub first_token_ms: u64,
    /// Tokens a second after it.
    pub tokens_per_s: Option<f64>,
}

/// The share of the former speed below which it is called slower: two runs on the same GPU differ by some percent.
const SLOWER: f64 = 0.7;
/// How many times longer the first token may take, and how many milliseconds longer at least.
const LATER: u64 = 3;
const LATER_MS: u64 = 500;

impl LastGood {
    /// The version of this format.
    pub const FORMAT: u32 = 1;

    /// What is to be remembered of these proofs; nothing, if nothing was measured.
    #[must_use]
    pub fn of(proofs: &[Proof], at: jiff::Timestamp) -> Option<Self> {
        let pace = |own: &Measured| Pace { first_token_ms: own.first_token_ms, tokens_per_s: own.tokens_per_s };
        let measured = proofs.iter().filter(|proof| proof.of == ProofKind::Completion);
        let paces: BTreeMap<String, Pace> =
            measured.filter_map(|proof| Some((key(proof), pace(proof.measured.as_ref()?)))).collect();
        (!paces.is_empty()).then_some(Self { format: Self::FORMAT, at, paces })
    }
}

fn key(proof: &Proof) -> String {
    format!("{}: {}", proof.from, proof.what)
}

/// Whether models answer as fast as they did, one proof for each that was measured then and now.
#[must_use]
pub fn judge(before: &LastGood, proofs: &[Proof]) -> Vec<Proof> {
    let now = proofs.iter().filter(|proof| proof.of == ProofKind::Completion);
    let both = now.filter_map(|proof| Some((proof, proof.measured?, before.paces.get(&key(proof))?)));
    both.map(|(proof, now, then)| {
        let when = before.at.strftime("%F");
        let slower = match (now.tokens_per_s, then.tokens_per_s) {
            (Some(now), Some(then)) if now < then * SLOWER => {
                Some(format!("{now:.1} tokens/s, and {then:.1} on {when}"))
            }
            _ => None,
        };
        let later = now.first_token_ms > (then.first_token_ms * LATER).max(then.first_token_ms + LATER_MS);
        let later = later
            .then(|| format!("first token after {} ms, and {} ms on {when}", now.first_token_ms, then.first_token_ms));
        let came = match [slower, later].into_iter().flatten().collect::<Vec<_>>() {
            worse if worse.is_empty() => (Verdict::Pass, format!("as fast as on {when}")),
            worse => (Verdict::Warning, format!("slower than it was: {}", worse.join("; "))),
        };
        Proof::new(ProofKind::Pace, &proof.from, format!("speed of {}", proof.what), came)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(first_token_ms: u64, tokens_per_s: f64) -> Proof {
        let measured = Measured { first_token_ms, tokens_per_s: Some(tokens_per_s), ..Measured::default() };
        let proof = Proof::new(ProofKind::Completion, "hq", "m through g", (Verdict::Pass, String::new()));
        Proof { measured: Some(measured), ..proof }
    }

    #[test]
    fn slower_by_a_margin_is_told_with_both_numbers() {
        let before = LastGood::of(&[proof(200, 40.0)], jiff::Timestamp::UNIX_EPOCH).unwrap();
        let of = |now: Proof| judge(&before, &[now]).remove(0);
        assert_eq!(of(proof(260, 33.0)).verdict, Verdict::Pass, "two runs are never the same");
        let slow = of(proof(260, 11.5));
        assert_eq!(slow.verdict, Verdict::Warning);
        assert!(slow.says.contains("11.5 tokens/s, and 40.0 on 1970-01-01"), "{}", slow.says);
        assert!(of(proof(900, 40.0)).says.contains("first token after 900 ms, and 200 ms"));
        assert!(LastGood::of(&[], jiff::Timestamp::UNIX_EPOCH).is_none());
        assert!(judge(&LastGood { paces: BTreeMap::new(), ..before }, &[proof(1, 1.0)]).is_empty());
    }
}
