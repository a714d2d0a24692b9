//! Names: zones that a guest serves, and where names are written into containers instead.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{Domain, Email, RecordData, RecordName};
use crate::diag::Spanned;
use crate::model::GuestName;

/// Names of guests and sites.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Dns {
    /// Zones that BIND serves, by name.
    pub zones: Option<BTreeMap<Spanned<Domain>, Spanned<Zone>>>,
    /// Whether names are also written into containers, where those ask no name server of ours; not unless given.
    pub extra_hosts: Option<Spanned<bool>>,
}

/// A zone. Sites of `routes` below it lead to the reverse proxy; everything else is written here.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Zone {
    /// The guest that BIND runs in.
    #[schemars(required)]
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
