//! Whether the key that a host presents is the one it should have.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use super::known_hosts::{Known, lookup};
use super::target::{SshSettings, SshTarget};

/// What is known about a host before we talk to it.
#[derive(Debug, Clone)]
pub(super) struct HostKeys {
    pinned: Option<PublicKey>,
    known: Known,
}

/// Why a host is not believed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// With the key that was presented.
    pub why: String,
    /// How to accept it, or what it may mean.
    pub hint: String,
}

impl HostKeys {
    /// Collects them from the target or, if it names none, from the known hosts file.
    pub fn of(target: &SshTarget, settings: &SshSettings) -> Result<Self, Refusal> {
        let pinned = match &target.host_key {
            None => None,
            Some(line) => Some(PublicKey::from_openssh(line.trim()).map_err(|e| Refusal {
                why: format!("`{line}` is not an SSH public key: {e}"),
                hint: "give the host's key as `ssh-keyscan -t ed25519 HOST` shows it, without the name: `ssh-ed25519 AAAA…`"
                    .to_owned(),
            })?),
        };
        let text = match &settings.known_hosts {
            Some(path) => std::fs::read(path).unwrap_or_default(),
            None => Vec::new(),
        };
        let known = lookup(&String::from_utf8_lossy(&text), &target.host, target.port);
        Ok(Self { pinned, known })
    }

    /// Algorithms to ask the host for: what we can compare with comes first, or it would present
    /// another of its keys and look like a stranger.
    pub fn algorithms(&self) -> Cow<'static, [Algorithm]> {
        let mut wanted: Vec<Algorithm> = Vec::new();
        let known = match &self.pinned {
            Some(key) => std::slice::from_ref(key),
            None => &self.known.trusted[..],
        };
        for algorithm in known.iter().map(PublicKey::algorithm) {
            match algorithm {
                Algorithm::Rsa { .. } => wanted.extend(RSA),
                other => wanted.push(other),
            }
        }
        if self.pinned.is_none() {
            wanted.extend(USUAL);
            wanted.extend(RSA);
        }
        let mut seen = Vec::new();
        for algorithm in wanted {
            if !seen.contains(&algorithm) {
                seen.push(algorithm);
            }
        }
        Cow::Owned(seen)
    }

    /// Believes the host or says why not.
    pub fn check(&self, presented: &PublicKey) -> Result<(), Refusal> {
        let same = |key: &PublicKey| key.key_data() == presented.key_data();
        let line = line(presented);
        if self.known.revoked.iter().any(same) {
            return Err(Refusal {
                why: format!("the host presents a key that the known hosts file revokes: {line}"),
                hint: "find out who answers there before anything else".to_owned(),
            });
        }
        if let Some(pinned) = &self.pinned {
            if same(pinned) {
                return Ok(());
            }
            return Err(Refusal {
                why: format!(
                    "the host key is not the one in the inventory (expected {}, seen {line})",
                    self::line(pinned)
                ),
                hint: format!(
                    "if the host was reinstalled, compare with `cat /etc/ssh/ssh_host_*_key.pub` on its console and set `host_key: \"{line}\"`"
                ),
            });
        }
        if self.known.trusted.iter().any(same) {
            return Ok(());
        }
        if let Some(other) = self.known.trusted.iter().find(|key| key.algorithm() == presented.algorithm()) {
            return Err(Refusal {
                why: format!(
                    "the host key is not the one in the known hosts file (expected {}, seen {line})",
                    self::line(other)
                ),
                hint: "somebody may be in between; if the host was reinstalled, remove the old line with `ssh-keygen -R HOST`"
                    .to_owned(),
            });
        }
        Err(Refusal {
            why: format!("the host is unknown; it presents {line}"),
            hint: format!(
                "compare with `cat /etc/ssh/ssh_host_*_key.pub` on its console, then set `host_key: \"{line}\"` in the inventory"
            ),
        })
    }
}

/// A key without its comment.
fn line(key: &PublicKey) -> String {
    PublicKey::from(key.key_data().clone()).to_openssh().unwrap_or_else(|_| "a key that cannot be shown".to_owned())
}

const RSA: [Algorithm; 2] =
    [Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }];

const USUAL: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];
