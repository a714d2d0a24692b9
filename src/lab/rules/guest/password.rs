//! Passwords as PVE keeps them: SHA-256 crypt of the C library, `$5$salt$hash`.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ROUNDS: u32 = 5000;

/// Whether a text is a hash already: those are kept as they are.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    let parts: Vec<&str> = text.split('$').collect();
    parts.len() >= 4 && parts[0].is_empty() && matches!(parts[1], "1" | "5" | "6" | "2a" | "2y")
}

/// A salt of eight characters out of a random number.
#[must_use]
pub fn salt(mut random: u64) -> String {
    let mut out = String::new();
    for _ in 0..8 {
        out.push(char::from(ALPHABET[usize::try_from(random & 63).unwrap_or_default()]));
        random >>= 6;
    }
    out
}

/// Hashes a password with a salt.
#[must_use]
pub fn hash(password: &str, salt: &str) -> String {
    let (key, salt_bytes) = (password.as_bytes(), salt.as_bytes());
    let alternate = Sha256::new().chain_update(key).chain_update(salt_bytes).chain_update(key).finalize();
    let mut first = Sha256::new().chain_update(key).chain_update(salt_bytes);
    first.update(repeat(&alternate, key.len()));
    let mut bits = key.len();
    while bits > 0 {
        if bits & 1 == 1 {
            first.update(alternate);
        } else {
            first.update(key);
        }
        bits >>= 1;
    }
    let mut sum = first.finalize();
    let mut of_key = Sha256::new();
    for _ in 0..key.len() {
        of_key.update(key);
    }
    let p = repeat(&of_key.finalize(), key.len());
    let mut of_salt = Sha256::new();
    for _ in 0..16 + usize::from(sum[0]) {
        of_salt.update(salt_bytes);
    }
    let s = repeat(&of_salt.finalize(), salt_bytes.len());
    for round in 0..ROUNDS {
        let mut next = Sha256::new();
        let odd = round & 1 == 1;
        if odd {
            next.update(&p)
        } else {
            next.update(sum)
        }
        if round % 3 != 0 {
            next.update(&s);
        }
        if round % 7 != 0 {
            next.update(&p);
        }
        if odd {
            next.update(sum)
        } else {
            next.update(&p)
        }
        sum = next.finalize();
    }
    let mut out = format!("$5${salt}$");
    let (mut a, mut b, mut c) = (0, 10, 20);
    for _ in 0..10 {
        push(&mut out, u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]), 4);
        (a, b, c) = (c + 1, a + 1, b + 1);
    }
    push(&mut out, u32::from(sum[31]) << 8 | u32::from(sum[30]), 3);
    out
}

fn repeat(block: &[u8], length: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(length).collect()
}

fn push(out: &mut String, mut bits: u32, characters: u32) {
    for _ in 0..characters {
        out.push(char::from(ALPHABET[usize::try_from(bits & 63).unwrap_or_default()]));
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_c_library() {
        assert_eq!(hash("Hello world!", "saltstring"), "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5");
    }

    #[test]
    fn a_hash_is_known_from_a_password() {
        assert!(is_hash("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"));
        assert!(!is_hash("secret$5"));
    }
}
