//! Names: zones that a guest serves, and where names are written into containers instead.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{Domain, Email, HttpsUrl, LocalPath, RecordData, RecordName, SecretName};
use crate::diag::Spanned;
use crate::model::{Fingerprint, GuestName};

/// Names of guests and sites.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Dns {
    /// Zones by name: in BIND of a guest, or among the host overrides of an OPNsense.
    pub zones: Option<BTreeMap<Spanned<Domain>, Spanned<Zone>>>,
    /// The OPNsense whose Unbound answers for the zones without a guest.
    pub opnsense: Option<Spanned<OpnSense>>,
    /// Whether names are also written into containers, where those ask no name server of ours; not unless given.
    pub extra_hosts: Option<Spanned<bool>>,
}

/// A zone. Sites of `routes` below it lead to the reverse proxy; everything else is written here.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Zone {
    /// The guest that BIND runs in; without one, the zone is kept by `opnsense`.
    pub guest: Option<Spanned<GuestName>>,
    /// Who looks after it; `hostmaster@` the zone unless given.
    pub email: Option<Spanned<Email>>,
    /// Seconds that others may keep an answer; 300 unless given.
    #[schemars(range(min = 1, max = 604_800))]
    pub ttl: Option<Spanned<u32>>,
    /// Whether each guest has a name in it; it has unless said otherwise.
    pub guests: Option<Spanned<bool>>,
    /// Further names below the zone (`@` is the zone itself): an address, or a name that it stands for. A name that ends
    /// in a dot is complete, another one is below the zone.
    #[schemars(example = &r#"{"nas": "10.2.0.5", "files": "nas"}"#)]
    pub records: Option<BTreeMap<Spanned<RecordName>, Spanned<RecordData>>>,
}

/// An OPNsense, as far as names go. Its API has keys of two parts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct OpnSense {
    /// Where its web interface is.
    #[schemars(required, example = &"https://10.0.0.1")]
    pub url: Option<Spanned<HttpsUrl>>,
    /// The first part of an API key.
    #[schemars(required, example = &"secret:opnsense-key")]
    pub key: Option<Spanned<SecretName>>,
    /// The second part.
    #[schemars(required, example = &"secret:opnsense-secret")]
    pub secret: Option<Spanned<SecretName>>,
    /// SHA-256 of its certificate; a public CA vouches for it unless this or `ca_file` is given.
    pub fingerprint: Option<Spanned<Fingerprint>>,
    /// PEM file of the CA that signed its certificate.
    pub ca_file: Option<Spanned<LocalPath>>,
}
