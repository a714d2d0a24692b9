//! What was tried beside single connections: names, web sites, and what cannot be proved at all.

use schemars::JsonSchema;
use serde::Serialize;

use super::Verdict;

/// Something that was tried from inside a guest, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    /// What was measured, of what answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What was measured while a model answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// From the request to the first token, in milliseconds.
    pub first_token_ms: u64,
    /// Tokens a second after the first one; none, if too few came to tell.
    pub tokens_per_s: Option<f64>,
    /// Tokens of the answer.
    pub tokens: u64,
    /// The most memory of the GPU that was taken meanwhile, in MiB, as far as it was seen.
    pub gpu_memory_mib: Option<u64>,
    /// How busy the GPU was at most, in percent, as far as it was seen.
    pub gpu_busy_percent: Option<u64>,
}

impl Proof {
    /// What was tried somewhere, and what follows.
    pub(super) fn new(
        of: ProofKind,
        from: impl ToString,
        what: impl ToString,
        (verdict, says): (Verdict, String),
    ) -> Self {
        Self { of, from: from.to_string(), what: what.to_string(), verdict, says, measured: None }
    }
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
    /// A service runs: its containers are up and well.
    Service,
    /// A container runs the image that was pinned.
    Image,
    /// What is published of a service is what flows ask for, and nothing else.
    Published,
    /// A service answers where its health is asked for.
    Answer,
    /// A container finds those that it uses by name.
    ContainerName,
    /// The disks of a guest have room.
    Space,
    /// The GPU of a guest is there and driven.
    Gpu,
    /// Nobody else takes the memory of a GPU that models need.
    GpuRoom,
    /// A model is where the inventory says.
    Model,
    /// A model answers, through its gateway where it has one.
    Completion,
    /// A model answers on the GPU, and not on the CPU.
    GpuUse,
    /// A model takes as many tokens as the inventory says.
    Context,
    /// A model answers as fast as it did.
    Pace,
    /// A model makes vectors.
    Embedding,
    /// A model writes down speech.
    Transcription,
    /// A request is recorded.
    Record,
    /// A request is recorded as its tenant's.
    Tenant,
    /// A tenant is held to its limits.
    Limit,
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
            Self::Service => "service",
            Self::Image => "image",
            Self::Published => "published",
            Self::Answer => "answer",
            Self::ContainerName => "container-name",
            Self::Space => "space",
            Self::Gpu => "gpu",
            Self::GpuRoom => "gpu-room",
            Self::Model => "model",
            Self::Completion => "completion",
            Self::GpuUse => "gpu-use",
            Self::Context => "context",
            Self::Pace => "pace",
            Self::Embedding => "embedding",
            Self::Transcription => "transcription",
            Self::Record => "record",
            Self::Tenant => "tenant",
            Self::Limit => "limit",
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
