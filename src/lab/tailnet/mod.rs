//! A tailnet's control plane on loopback: Tailscale's API as far as policies, keys and devices go.
//!
//! Owns its state ([`Tailnet`]), the judge of policies ([`judge`]), the API ([`api`]) and its TLS server ([`served`]).
//! Shares no line with our client or our evaluator. Facts are from Tailscale's published API description
//! (<https://tailscale.com/api>), its client libraries, and from what Headscale's tests recorded of the real one in
//! April 2026 (`hscontrol/policy/v2/testdata`); what was not found there is refused rather than guessed at.

pub mod api;
mod hujson;
pub mod judge;
pub mod served;
pub mod state;
mod uplink;

pub use served::ServedTailnet;
pub use state::{Device, Tailnet};
pub use uplink::{ControlPlane, Uplink};
