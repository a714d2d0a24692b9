//! Reading a `known_hosts` file as `sshd(8)` describes it: plain, hashed, `[host]:port`, patterns, markers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PublicKey;
use sha1::{Digest, Sha1};

/// What a file says about one host.
#[derive(Debug, Default, Clone)]
pub(super) struct Known {
    /// Keys that prove it.
    pub trusted: Vec<PublicKey>,
    /// Keys that must never be accepted.
    pub revoked: Vec<PublicKey>,
}

/// Collects the keys of one host. Lines that cannot be read are skipped, as OpenSSH does, and lines
/// of certificate authorities too: we offer no certificate algorithms.
pub(super) fn lookup(text: &str, host: &str, port: u16) -> Known {
    let name = if port == 22 { host.to_ascii_lowercase() } else { format!("[{}]:{port}", host.to_ascii_lowercase()) };
    let mut known = Known::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (marker, rest) = match line.split_once(char::is_whitespace) {
            Some((marker, rest)) if marker.starts_with('@') => (Some(marker), rest.trim_start()),
            _ => (None, line),
        };
        let Some((hosts, key)) = rest.split_once(char::is_whitespace) else { continue };
        if !hosts_match(hosts, &name) {
            continue;
        }
        let Ok(key) = PublicKey::from_openssh(key.trim()) else { continue };
        match marker {
            None => known.trusted.push(key),
            Some("@revoked") => known.revoked.push(key),
            Some(_) => {}
        }
    }
    known
}

fn hosts_match(hosts: &str, name: &str) -> bool {
    let mut matched = false;
    for pattern in hosts.split(',') {
        if let Some(negated) = pattern.strip_prefix('!') {
            if glob(negated.to_ascii_lowercase().as_bytes(), name.as_bytes()) {
                return false;
            }
        } else if let Some(hashed) = pattern.strip_prefix("|1|") {
            matched |= hash_matches(hashed, name);
        } else {
            matched |= glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
        }
    }
    matched
}

fn hash_matches(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    match (STANDARD.decode(salt), STANDARD.decode(hash)) {
        (Ok(salt), Ok(hash)) => hmac_sha1(&salt, name.as_bytes()) == hash[..],
        _ => false,
    }
}

/// RFC 2104. It hides host names in a file, nothing depends on its strength here.
fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..20].copy_from_slice(&Sha1::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha1::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}

/// `*` is any run of characters, `?` exactly one.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        ([b'?', rest @ ..], [_, text @ ..]) => glob(rest, text),
        ([p, rest @ ..], [t, text @ ..]) if p == t => glob(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn trusted(text: &str, host: &str, port: u16) -> Vec<String> {
        lookup(text, host, port).trusted.iter().map(|k| k.to_openssh().unwrap()).collect()
    }

    #[test]
    fn plain_names_addresses_and_ports_are_told_apart() {
        let text = format!("# comment\n\nhq,192.168.10.2 {A}\n[hq]:2222 {B} a comment\n");
        assert_eq!(trusted(&text, "hq", 22), [A]);
        assert_eq!(trusted(&text, "HQ", 22), [A]);
        assert_eq!(trusted(&text, "192.168.10.2", 22), [A]);
        assert_eq!(trusted(&text, "hq", 2222).len(), 1);
        assert!(trusted(&text, "hq2", 22).is_empty());
        assert!(trusted(&text, "192.168.10.2", 2222).is_empty());
    }

    #[test]
    fn hashed_names_are_found() {
        // RFC 2202, test case 1, as OpenSSH would write it
        let key = [0x0b_u8; 20];
        let hash = hmac_sha1(&key, b"Hi There");
        assert_eq!(hash[..4], [0xb6, 0x17, 0x31, 0x86]);
        let line = |name: &str| {
            format!("|1|{}|{} {A}", STANDARD.encode(key), STANDARD.encode(hmac_sha1(&key, name.as_bytes())))
        };
        assert_eq!(trusted(&line("hq"), "hq", 22), [A]);
        assert!(trusted(&line("hq"), "hq", 2222).is_empty());
        assert_eq!(trusted(&line("[hq]:2222"), "hq", 2222), [A]);
        assert!(trusted("|1|broken ssh-ed25519 AAAA", "hq", 22).is_empty());
    }

    #[test]
    fn patterns_negation_and_markers_hold() {
        let text = format!("*.lab,!bad.lab {A}\n@revoked * {B}\n@cert-authority * {B}\n");
        assert_eq!(trusted(&text, "good.lab", 22), [A]);
        assert!(trusted(&text, "bad.lab", 22).is_empty());
        assert_eq!(lookup(&text, "x", 22).revoked.len(), 1);
    }

    #[test]
    fn a_line_that_cannot_be_read_hides_no_other() {
        let text = format!("hq ssh-ed25519 AAAA\nhq\nhq {A}\n");
        assert_eq!(trusted(&text, "hq", 22), [A]);
    }
}
