//! Who a TLS server is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::Invalid;

/// The SHA-256 of a server's certificate, as Proxmox shows it: 32 bytes in hex with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$"))]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// From the raw digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for Fingerprint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut digest = [0; 32];
        let mut parts = text.split(':');
        for byte in &mut digest {
            *byte = parts
                .next()
                .filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(invalid)?;
        }
        if parts.next().is_some() { Err(invalid()) } else { Ok(Self(digest)) }
    }
}

fn invalid() -> Invalid {
    Invalid::new("this is not a SHA-256 fingerprint of a certificate").hint(
        "on the host: `pvenode cert info`, or `openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem`",
    )
}

impl TryFrom<String> for Fingerprint {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back() {
        let fingerprint = Fingerprint::new([0xAB; 32]);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(fingerprint.to_string().to_lowercase().parse(), Ok(fingerprint));
        assert!("AB:CD".parse::<Fingerprint>().is_err());
        assert!(format!("{fingerprint}:AB").parse::<Fingerprint>().is_err());
    }
}
