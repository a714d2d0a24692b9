//! Public SSH keys.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::macros::text_value;
use crate::diag::Invalid;

text_value!(
    /// A public SSH key in one line, such as `ssh-ed25519 AAAA… you@laptop`.
    PublicKey(String), "^(ssh-|ecdsa-|sk-)[^ ]+ [A-Za-z0-9+/=]+( .*)?$", public_key
);

fn public_key(text: &str) -> Result<String, Invalid> {
    use base64::Engine as _;

    if text.contains("PRIVATE KEY") {
        return Err(Invalid::new("this is a private key")
            .hint("remove it, and make a new pair if this file was ever shared; the public one ends in `.pub`"));
    }
    let line = text.trim();
    let mut parts = line.split(' ');
    let (kind, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let known = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let hint = "copy the whole line of a `.pub` file, such as `ssh-ed25519 AAAA… you@laptop`";
    if !known.contains(&kind) || line.contains(['\n', '\r']) {
        return Err(Invalid::new("this is not a public SSH key").hint(hint));
    }
    // The body names its own kind: four bytes of length, then the name.
    let blob = base64::engine::general_purpose::STANDARD.decode(body).ok();
    let inside = blob.as_deref().and_then(|blob| {
        let len = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?);
        blob.get(4..4usize.checked_add(usize::try_from(len).ok()?)?)
    });
    if inside == Some(kind.as_bytes()) && blob.is_some_and(|blob| blob.len() > kind.len() + 8) {
        Ok(line.to_owned())
    } else {
        Err(Invalid::new(format!("this public SSH key is damaged: what follows `{kind}` is not such a key")).hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_looked_into() {
        let good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me@laptop";
        assert_eq!(good.parse::<PublicKey>().unwrap().0, good);
        for wrong in [
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "ssh-ed25519 AAAA",
            "ssh-ed25519",
            "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "",
        ] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza";
        assert!(!private.parse::<PublicKey>().unwrap_err().to_string().contains("b3Blb"));
    }
}
