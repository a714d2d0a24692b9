//! Who may talk to whom. Whatever no flow says is denied.
//!
//! Everything that opens a way is derived from this one list: firewall rules, tailnet policy, routes. What is
//! reachable and no flow says is an error; so is a flow that something in between does not let through.

use std::fmt;

use ipnet::IpNet;

use crate::diag::Span;
use crate::model::{GuestName, HostName, PortRange, ServiceName, Transport};

/// Something may talk to something on these ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Who opens the connection.
    pub from: Party,
    /// Who is connected to.
    pub to: Party,
    /// How.
    pub transport: Transport,
    /// On which ports of `to`.
    pub ports: PortRange,
    /// What declared it.
    pub why: FlowOrigin,
    /// Where it was declared.
    pub span: Span,
}

/// One end of a flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A guest of this inventory.
    Guest(GuestName),
    /// A Proxmox VE host of this inventory.
    Host(HostName),
    /// A network, or one address of it, that is no guest's.
    Network(IpNet),
    /// Whatever is outside every network of this inventory.
    Internet,
    /// Members of the tailnet, in the words of its policy: `tag:phone`, `group:staff`, `autogroup:member`, a login.
    Tailnet(String),
}

/// What declared a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowOrigin {
    /// A guest `uses` a service of another.
    Uses(ServiceName),
    /// A guest `exposes` a service.
    Exposes(ServiceName),
    /// A site leads to a port: `routes`.
    Route(String),
    /// `access` over the tailnet.
    Access,
    /// A guest may reach what is outside: `internet`.
    Internet,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(guest) => guest.fmt(f),
            Self::Host(host) => host.fmt(f),
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => network.addr().fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::Internet => f.write_str("internet"),
            Self::Tailnet(who) => f.write_str(who),
        }
    }
}
