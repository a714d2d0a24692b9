//! What was tried beside single connections: names, web sites, and what cannot be proved at all.

use schemars::JsonSchema;
use serde::Serialize;

use super::Verdict;

/// Something that was tried from inside a guest, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Proof {
    /// Of what.
    pub of: ProofKind,
    /// The guest that it was tried in; `guests`, if it is about all of them.
    pub from: String,
    /// What was tried, such as `plan.example.com at 10.0.0.1`.
    pub what: String,
    /// What follows.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub says: String,
}

/// Of what something is a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProofKind {
    /// A name server answers a question over UDP.
    NameServer,
    /// The guest's own system finds a name.
    Name,
    /// A web site answers as it should.
    Site,
    /// Ways over UDP.
    Udp,
    /// Ways over IPv6.
    Ipv6,
}

impl ProofKind {
    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameServer => "name-server",
            Self::Name => "name",
            Self::Site => "site",
            Self::Udp => "udp",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// What a script printed between its marks `= KEY CODE`: lines and exit code, by key.
#[must_use]
pub(super) fn between_marks(stdout: &str) -> Vec<(String, i32, String)> {
    let mut found = Vec::new();
    let mut lines = String::new();
    for line in stdout.lines() {
        let mark = line.strip_prefix("= ").and_then(|mark| mark.rsplit_once(' '));
        match mark.and_then(|(key, code)| Some((key, code.parse().ok()?))) {
            Some((key, code)) => found.push((key.to_owned(), code, std::mem::take(&mut lines))),
            None => {
                lines.push_str(line);
                lines.push('\n');
            }
        }
    }
    found
}

/// The exit code of `timeout` for what took too long, and of a shell for a program that is not there.
pub(super) const TIMED_OUT: i32 = 124;
/// `timeout` itself ends with this, too.
pub(super) const NO_PROGRAM: i32 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_mark_belongs_to_it() {
        let text = "10.0.0.20 a.example.com\n= a.example.com 0\n= b.example.com 2\nlost\n";
        let found = between_marks(text);
        assert_eq!(found[0], ("a.example.com".into(), 0, "10.0.0.20 a.example.com\n".into()));
        assert_eq!((found[1].1, found[1].2.as_str(), found.len()), (2, "", 2));
    }
}
