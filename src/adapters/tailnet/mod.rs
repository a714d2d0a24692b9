//! A tailnet's control plane over HTTPS, in the dialect of Tailscale or of Headscale.
//!
//! Owns how the house's own requests ([`crate::tailnet::requests`]) are said to either, and how answers come back in
//! the envelope that everything else reads. A policy is written only over the very text that it was planned from, by
//! `If-Match`; Headscale has no such thing, so that there a moment is left between looking and writing. Must not retry.
//! Facts: <https://tailscale.com/api>, <https://headscale.net/stable/ref/api/>.

mod api;
mod devices;
#[cfg(test)]
mod headscale_fields;
mod keys;

pub use api::{Dialect, TailnetApi, TailnetError, TailnetTarget};
