//! New secrets, out of the generator that TLS uses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::error::Failure;
use crate::blueprint::Generate;
use crate::inventory::SecretKind;

const LETTERS_AND_DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A new secret. Whatever its kind, every character of it may stand in every file that we write.
pub(super) fn make(how: Generate) -> Result<SecretString, Failure> {
    let length = how.length as usize;
    Ok(match how.kind {
        SecretKind::Password => drawn(LETTERS_AND_DIGITS, length)?,
        SecretKind::Hex => drawn(HEX, length)?,
        SecretKind::Base64 => {
            let mut bytes = vec![0; length];
            random(&mut bytes)?;
            STANDARD.encode(bytes)
        }
    }
    .into())
}

/// Characters, each as likely as every other one.
fn drawn(alphabet: &[u8], length: usize) -> Result<String, Failure> {
    // A byte beyond the last whole round of the alphabet would favour its beginning.
    let fair = 256 - 256 % alphabet.len();
    let mut out = String::with_capacity(length);
    let mut bytes = [0; 64];
    while out.len() < length {
        random(&mut bytes)?;
        let fitting = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        out.extend(fitting.map(|byte| char::from(alphabet[byte % alphabet.len()])).take(length - out.len()));
    }
    Ok(out)
}

fn random(bytes: &mut [u8]) -> Result<(), Failure> {
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(bytes).map_err(|_| Failure::new("this machine gives out no random numbers"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn made(length: u32, kind: SecretKind) -> String {
        make(Generate { length, kind }).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn secrets_are_as_long_as_asked_for_and_of_what_was_asked_for() {
        for length in [16, 31, 128] {
            let password = made(length, SecretKind::Password);
            assert!(password.len() == length as usize && password.chars().all(|c| c.is_ascii_alphanumeric()));
            let hex = made(length, SecretKind::Hex);
            assert!(hex.len() == length as usize && hex.chars().all(|c| "0123456789abcdef".contains(c)));
            assert_eq!(STANDARD.decode(made(length, SecretKind::Base64)).unwrap().len(), length as usize);
        }
    }

    #[test]
    fn no_two_are_alike_and_every_character_occurs() {
        let many: BTreeSet<String> = (0..200).map(|_| made(32, SecretKind::Password)).collect();
        assert_eq!(many.len(), 200);
        let used: BTreeSet<char> = many.iter().flat_map(|text| text.chars()).collect();
        assert_eq!(used.len(), 62);
    }
}
