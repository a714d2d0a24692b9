//! What is built: one host, what is outside of it, its guests with their cards and their `.fw` files; and what is
//! sent through it.
//!
//! Nothing here knows what a rule means.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A site, as Proxmox would be told of it.
#[derive(Debug, Clone)]
pub struct Site {
    /// `cluster.fw`, `host.fw`, `100.fw`.
    pub files: BTreeMap<String, String>,
    pub guests: Vec<Guest>,
    /// The network that the host is in, which Proxmox adds to its set `management`.
    pub local_network: String,
}

/// A VM or container.
#[derive(Debug, Clone)]
pub struct Guest {
    pub vmid: u32,
    pub vm: bool,
    /// Its cards: `net0`, `net1` … by their place.
    pub cards: Vec<Card>,
}

/// A guest's network card.
#[derive(Debug, Clone)]
pub struct Card {
    pub mac: [u8; 6],
    /// `firewall=1`.
    pub firewall: bool,
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
    /// Whether the guest's configuration names its address: only a container's does, and only then the address is
    /// in the implicit set of its `ipfilter`.
    pub named_v4: bool,
    pub named_v6: bool,
}

impl Guest {
    /// What the host calls the end of a card: `tap100i0`, `veth200i0`.
    pub fn port(&self, card: usize) -> String {
        format!("{}{}i{card}", if self.vm { "tap" } else { "veth" }, self.vmid)
    }
}

/// Who sends or is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A guest by its place in the site, and its card.
    Guest(usize, usize),
    Host,
    Outside,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub from: End,
    pub to: End,
    pub source: IpAddr,
    pub dest: IpAddr,
    pub load: Load,
    /// Sent by the card's second address, which no configuration knows.
    pub foreign_mac: bool,
}

/// What is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    Tcp { dport: u16 },
    Udp { dport: u16, sport: Option<u16> },
    Ping,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Accept,
    Drop,
    Reject,
}

impl Verdict {
    pub fn parse(text: &str) -> Self {
        match text {
            "ACCEPT" => Self::Accept,
            "DROP" => Self::Drop,
            "REJECT" => Self::Reject,
            other => panic!("no verdict: {other}"),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (proto, ports) = match self.load {
            Load::Tcp { dport } => ("tcp", format!(" to port {dport}")),
            Load::Udp { dport, sport: None } => ("udp", format!(" to port {dport}")),
            Load::Udp { dport, sport: Some(sport) } => ("udp", format!(" from port {sport} to port {dport}")),
            Load::Ping => ("echo request", String::new()),
        };
        let mac = if self.foreign_mac { " with another card's address" } else { "" };
        write!(f, "{proto} {} ({:?}) -> {} ({:?}){ports}{mac}", self.source, self.from, self.dest, self.to)
    }
}

/// `BC:24:11:00:02:01`, as Proxmox writes it.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02X}")).join(":")
}
