//! "Can A reach B on port P": every network that leads from one to the other, with what decides on each.
//!
//! Owns who is meant by the two ends and one answer for each pair of addresses on a bridge, and one for the tailnet if
//! both are members of it. Whoever has two ways reaches if one of them is open.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::address::Version;
use super::decide::{Decision, Packet, Solver, verdict_word};
use super::network::End;
use super::protocol::Payload;
use super::reach::PortSet;
use super::tailnet::Tailnet;
use crate::blueprint::Verdict;
use crate::model::Transport;

/// One end of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// As it was asked for.
    pub name: String,
    /// Its addresses on bridges.
    pub addresses: Vec<(End, IpAddr)>,
    /// Its names in the tailnet; none, if it is no member.
    pub members: Vec<String>,
}

/// A network that leads somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// A bridge of a host, guarded by Proxmox's firewall.
    Bridge,
    /// The tailnet, guarded by its policy.
    Tailnet,
}

/// What becomes of packets from one to the other over one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Answer {
    /// The network.
    pub over: Over,
    /// Its name: a bridge, or `tailnet`.
    pub network: String,
    /// From where: an address, or a name of the tailnet.
    pub source: String,
    /// To where.
    pub dest: String,
    /// Which ports of TCP are open; only if no port was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub tcp: Option<PortSet>,
    /// Which ports of UDP are open; only if no port was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub udp: Option<PortSet>,
    /// What is shown, such as `tcp 4000`.
    pub shown: String,
    /// Whether that gets through.
    pub passes: bool,
    /// What decides on a bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What decides in the tailnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyAnswer>,
}

/// What a tailnet's policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PolicyAnswer {
    /// `accept` or `drop`.
    pub verdict: &'static str,
    /// The rule that decides, with its line.
    pub rule: String,
}

/// What is asked, and of what.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q, 'a> {
    /// Bridges.
    pub solver: &'q Solver<'a>,
    /// The tailnet, if there is one and it is known.
    pub tailnet: Option<&'q Tailnet>,
    /// The port; without it, all that are open are listed.
    pub port: Option<(u16, Transport)>,
}

/// A port that nobody uses (`discard`): stands for anything else.
const ANY_OTHER: u16 = 9;

impl Question<'_, '_> {
    /// One answer for each pair of addresses of one version, and one for the tailnet.
    #[must_use]
    pub fn ask(&self, from: &Endpoint, to: &Endpoint) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (source_end, source) in &from.addresses {
            for (dest_end, dest) in &to.addresses {
                if Version::of(*dest) == Version::of(*source) && source_end != dest_end {
                    answers.push(self.bridge((source_end, *source), (dest_end, *dest)));
                }
            }
        }
        let both = !from.members.is_empty() && !to.members.is_empty() && from.members != to.members;
        answers.extend(self.tailnet.filter(|_| both).map(|tailnet| self.policy(tailnet, &from.members, &to.members)));
        answers
    }

    fn bridge(&self, (from, source): (&End, IpAddr), (to, dest): (&End, IpAddr)) -> Answer {
        let with = |transport, port| Packet {
            from: from.clone(),
            source,
            mac: None,
            to: to.clone(),
            dest,
            payload: match transport {
                Transport::Tcp => Payload::tcp(port),
                Transport::Udp => Payload::udp(port),
            },
        };
        let (tcp, udp) = self.open(|transport| self.solver.open_ports(&with(transport, ANY_OTHER)));
        let (port, transport) = self.shown(tcp.as_ref(), udp.as_ref());
        let decision = self.solver.decide(&with(transport, port));
        Answer {
            over: Over::Bridge,
            network: self.bridge_of(from, to),
            source: source.to_string(),
            dest: dest.to_string(),
            tcp,
            udp,
            shown: format!("{transport} {port}"),
            passes: decision.passes(),
            decision: Some(decision),
            policy: None,
        }
    }

    fn policy(&self, tailnet: &Tailnet, from: &[String], to: &[String]) -> Answer {
        let (tcp, udp) = self.open(|transport| tailnet.open_ports(from, to, transport));
        let (port, transport) = self.shown(tcp.as_ref(), udp.as_ref());
        let decision = tailnet.decide(from, to, transport, port);
        let passes = decision.is_reachable();
        let verdict = verdict_word(if passes { Verdict::Accept } else { Verdict::Drop });
        Answer {
            over: Over::Tailnet,
            network: "tailnet".to_owned(),
            source: from.join(", "),
            dest: to.join(", "),
            tcp,
            udp,
            shown: format!("{transport} {port}"),
            passes,
            decision: None,
            policy: Some(PolicyAnswer { verdict, rule: decision.to_string() }),
        }
    }

    fn open(&self, ports: impl Fn(Transport) -> PortSet) -> (Option<PortSet>, Option<PortSet>) {
        match self.port {
            Some(_) => (None, None),
            None => (Some(ports(Transport::Tcp)), Some(ports(Transport::Udp))),
        }
    }

    /// The port whose way is shown: the one that was asked about, else the first open one.
    fn shown(&self, tcp: Option<&PortSet>, udp: Option<&PortSet>) -> (u16, Transport) {
        let first = |set: Option<&PortSet>, transport| Some((set?.first()?, transport));
        let open = || first(tcp, Transport::Tcp).or_else(|| first(udp, Transport::Udp));
        self.port.or_else(open).unwrap_or((ANY_OTHER, Transport::Tcp))
    }

    /// The bridge that is passed last; a host that is asked from outside is reached over its uplink.
    fn bridge_of(&self, from: &End, to: &End) -> String {
        let network = self.solver.network();
        let card = |end: &End| match end {
            End::Guest { name, nic } => Some(network.guests.get(name)?.nic(*nic)?.bridge.clone()),
            _ => None,
        };
        let host = |end: &End| match end {
            End::Host(host) => Some(network.hosts.get(host)?.uplink.clone()),
            _ => None,
        };
        let named = card(to).or_else(|| card(from)).or_else(|| host(to)).or_else(|| host(from));
        named.unwrap_or_else(|| "no bridge of ours".to_owned())
    }
}
