//! Values that name something else of the inventory.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{Origin, Subnet};
use crate::diag::Invalid;
use crate::model::{GuestName, PortName, ServiceName};

/// A service of a guest, written as `guest/service`, or one port of it: `guest/service/port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9-]+/[a-z0-9-]+(/[a-z0-9-]+)?$"))]
pub struct ServiceRef {
    /// Who offers it.
    pub guest: GuestName,
    /// What it is.
    pub service: ServiceName,
    /// Only this port of it.
    pub port: Option<PortName>,
}

impl TryFrom<String> for ServiceRef {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let (guest, service) = text.split_once('/').ok_or_else(|| {
            Invalid::new(format!("`{}` does not name a service", text.escape_debug()))
                .hint("write guest and service, such as `plan-hq/ollama`")
        })?;
        let LocalService { service, port } = service.to_owned().try_into()?;
        Ok(Self { guest: guest.parse()?, service, port })
    }
}

/// A service of this guest, or one port of it: `service/port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[a-z0-9-]+(/[a-z0-9-]+)?$"))]
pub struct LocalService {
    /// What it is.
    pub service: ServiceName,
    /// Only this port of it.
    pub port: Option<PortName>,
}

impl TryFrom<String> for LocalService {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        match text.split_once('/') {
            None => Ok(Self { service: text.parse()?, port: None }),
            Some((service, port)) => Ok(Self { service: service.parse()?, port: Some(port.parse()?) }),
        }
    }
}

impl fmt::Display for LocalService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.port {
            None => self.service.fmt(f),
            Some(port) => write!(f, "{}/{port}", self.service),
        }
    }
}

/// Who a service is exposed to: a network, an address, a guest of this inventory, or `internet`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum Viewer {
    /// Whoever has a public address.
    Internet,
    /// A network or a single address.
    Net(IpNet),
    /// A guest.
    Guest(GuestName),
}

impl TryFrom<String> for Viewer {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if text == INTERNET {
            return Ok(Self::Internet);
        }
        Ok(match Peer::try_from(text)? {
            Peer::Net(net) => Self::Net(net),
            Peer::Guest(guest) => Self::Guest(guest),
        })
    }
}

/// Somewhere outside: a network, an address, or `internet`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum Destination {
    /// Every public address.
    Internet,
    /// A network or a single address.
    Net(IpNet),
}

impl TryFrom<String> for Destination {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if text == INTERNET { Ok(Self::Internet) } else { text.parse::<Origin>().map(|origin| Self::Net(origin.0)) }
    }
}

const INTERNET: &str = "internet";

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
