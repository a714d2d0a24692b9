//! Who may talk to whom. Whatever no flow says is denied.
//!
//! Everything that opens a way is derived from this one list: firewall rules, tailnet policy, routes. What is
//! reachable and no flow says is an error; so is a flow that something in between does not let through. Answers come
//! back by themselves, and what is no connection (ICMP errors, neighbour discovery) is nobody's flow.

use std::fmt;

use ipnet::IpNet;

use crate::diag::Span;
use crate::model::{GuestName, HostName, PortName, PortRange, ServiceName, Transport};

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
    /// A network, or one address of it; guests that happen to be in it are not meant.
    Network(IpNet),
    /// Whatever is in no network of [`Blueprint::inside`](super::Blueprint::inside): public addresses that are not of
    /// this inventory.
    Internet,
    /// Members of the tailnet, in the words of its policy: `tag:phone`, `group:staff`, `autogroup:member`, a login.
    Tailnet(String),
}

/// What declared a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowOrigin {
    /// A guest `uses` a port of a service of another.
    Uses(ServiceName, PortName),
    /// A guest `exposes` a port of a service.
    Exposes(ServiceName, PortName),
    /// A site leads to a port: `routes`.
    Route(String),
    /// `ingress`: visitors to the reverse proxy, and the proxy to whoever says who they are.
    Ingress,
    /// `access` over the tailnet, to a port of a service.
    Access(ServiceName, PortName),
    /// A guest may reach what is outside: `internet`.
    Internet,
    /// A guest looks up names, at its host's `network.dns`.
    Names,
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
