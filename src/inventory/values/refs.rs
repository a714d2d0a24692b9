//! Values that name something else of the inventory.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::text::Subnet;
use crate::diag::Invalid;
use crate::model::{GuestName, ServiceName};

/// A service of a guest, written as `guest/service`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9-]+/[a-z0-9-]+$"))]
pub struct ServiceRef {
    /// Who offers it.
    pub guest: GuestName,
    /// What it is.
    pub service: ServiceName,
}

impl TryFrom<String> for ServiceRef {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let (guest, service) = text.split_once('/').ok_or_else(|| {
            Invalid::new(format!("`{}` does not name a service", text.escape_debug()))
                .hint("write guest and service, such as `plan-hq/ollama`")
        })?;
        Ok(Self { guest: guest.parse()?, service: service.parse()? })
    }
}

/// One end of a firewall rule: a network, an address, or a guest of this inventory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum Peer {
    /// A network or a single address.
    Net(IpNet),
    /// The address of a guest.
    Guest(GuestName),
}

impl TryFrom<String> for Peer {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        if text.contains('/') {
            return text.parse::<Subnet>().map(|subnet| Self::Net(subnet.0));
        }
        text.parse().map(Self::Guest).map_err(|_: Invalid| {
            Invalid::new(format!("`{}` is neither a network nor an address nor a guest", text.escape_debug()))
                .hint("write `10.0.0.0/24`, `10.0.0.10`, or the name of a guest such as `plan-hq`")
        })
    }
}
