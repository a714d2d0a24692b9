//! "Can A reach B on port P", answered with the chain of rules that decides.
//!
//! Owns the [`Network`] that packets pass, its compilation to the chains that Proxmox itself makes ([`Solver`]) and the
//! [`Decision`] about a [`Packet`]; beside the bridge, the [`Tailnet`] by its own policy. Pure: what is there is given, what should be follows from the blueprint. It knows
//! pve-firewall's iptables variant (8.4 and 9.x by default); `docs/isolation.md` says what is not modelled.

mod address;
mod builtin;
mod chain;
mod compile;
mod decide;
mod desired;
mod findings;
mod mac;
mod macros;
mod matrix;
#[cfg(test)]
mod matrix_tests;
mod network;
mod observed;
mod origin;
mod places;
mod protocol;
mod question;
mod reach;
mod rule;
mod site;
mod tables;
mod tailnet;
#[cfg(test)]
mod tests;

pub use address::Version;
pub use compile::Skipped;
pub use decide::{Decision, Hop, HopPlace, Packet, Solver, decide, verdict_word};
pub use findings::{denied_flows, exposed, open_now, problems, undeclared};
pub use mac::Mac;
pub use macros::names as macro_names;
pub use matrix::{Matrix, Opening, Side};
pub use network::{End, Guest, Host, Network, Nic};
pub use origin::Origin;
pub use places::Places;
pub use protocol::Payload;
pub use question::{Answer, Endpoint, Over, PolicyAnswer, Question};
pub use reach::PortSet;
pub use site::{Leg, LegKind, guest_endpoint, legs};
pub use tailnet::{Tailnet, TailnetOpening};
