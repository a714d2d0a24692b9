//! YAML text into typed values, with places.
//!
//! Owns the spanned tree ([`Node`]), the way from text to it ([`parse`]) and from it to any type that
//! derives `Deserialize` ([`decode`]). Knows no key of the inventory. Never stops at the first
//! problem and never panics, whatever the text holds.

mod access;
mod build;
mod decode;
mod error;
mod merge_key;
mod scalar;
mod spanned;
mod tree;

pub use build::{Ids, parse};
pub use decode::{Broken, Decoded, decode};
pub use tree::{Entry, Node, Scalar, Value};
