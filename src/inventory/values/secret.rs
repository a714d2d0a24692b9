//! Values that tell where secrets are.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::macros::text_value;
use crate::diag::Invalid;

text_value!(
    /// The name of a secret, as it follows `secret:`.
    SecretKey(String), "^[A-Za-z0-9_][A-Za-z0-9_.-]*$", |text| match text.strip_prefix("secret:") {
        Some(name) => Err(Invalid::new("this is written without `secret:` here").hint(format!("write `{name}`"))),
        None if is_secret_name(text) => Ok(text.to_owned()),
        None => Err(Invalid::new(format!("`{}` is not the name of a secret", text.escape_debug()))
            .hint("use letters, digits, `.`, `-`, `_`, such as `hq-token`")),
    }
);

/// Whether a text can be the name of a secret. It becomes the name of a file, so it does not begin with a dot, and
/// reaches programs as an argument, so it does not begin with a dash.
pub(super) fn is_secret_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

text_value!(
    /// Where a secret is with whoever keeps it: a path, a key, a reference.
    SecretPlace(String), "^[^-\\s].*$", |text| {
        let good = !text.is_empty()
            && text.trim() == text
            && !text.starts_with('-')
            && !text.contains(char::is_control)
            && !text.split('/').any(|part| part == "..");
        match good {
            true => Ok(text.to_owned()),
            false => Err(Invalid::new(format!("`{}` is no place of a secret", text.escape_debug()))
                .hint("write one line that does not begin with `-` and has no `..`, such as `infra/hq-token`")),
        }
    }
);

text_value!(
    /// Whom something is encrypted for with age.
    Recipient(String), "^(age1[a-z0-9]+|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+.*)$", |text| {
        // age(1): X25519 and plugin recipients are Bech32, SSH keys are taken as `authorized_keys` has them.
        let bech32 = text.strip_prefix("age1").is_some_and(|rest| {
            rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        let mut words = text.split(' ');
        let ssh = matches!(words.next(), Some("ssh-ed25519" | "ssh-rsa"))
            && words.next().is_some_and(|key| {
                key.len() > 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
            });
        if text.starts_with("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
            return Err(Invalid::new("this is a private key, not whom to encrypt for")
                .hint("write the public key, which `age-keygen -y FILE` prints; make a new pair: this has been in a file"));
        }
        match (bech32 || ssh) && !text.contains(char::is_control) {
            true => Ok(text.to_owned()),
            false => Err(Invalid::new("this is nobody whom age can encrypt for")
                .hint("write `age1…`, or `ssh-ed25519 AAAA…` of an SSH key")),
        }
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_a_file_or_an_argument_cannot_lead_elsewhere() {
        for good in ["hq-token", "A_b.c", "0"] {
            assert!(good.parse::<SecretKey>().is_ok(), "{good}");
        }
        for wrong in ["", "..", ".x", "-x", "a/b", "a b", "secret:x", "a\nb", "ä"] {
            assert!(wrong.parse::<SecretKey>().is_err(), "{wrong}");
        }
        for good in ["op://Private/hq token/token", "infra/hq", "litellm.key"] {
            assert!(good.parse::<SecretPlace>().is_ok(), "{good}");
        }
        for wrong in ["", "-o/x", "a/../b", " a", "a\nb"] {
            assert!(wrong.parse::<SecretPlace>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_private_key_is_no_recipient() {
        let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        assert!(good.parse::<Recipient>().is_ok());
        let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@example";
        assert!(ssh.parse::<Recipient>().is_ok());
        for wrong in ["AGE-SECRET-KEY-1QQQQ", "-----BEGIN OPENSSH PRIVATE KEY-----", "alice", "age1", "ssh-ed25519"] {
            let refused = wrong.parse::<Recipient>().unwrap_err();
            assert!(!refused.to_string().contains("QQQQ"), "{refused}");
        }
    }
}
