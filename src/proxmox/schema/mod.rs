//! The API description that a Proxmox VE host publishes of itself, and requests held against it.
//!
//! Owns [`ApiSchema`]: `/pve-docs/api-viewer/apidoc.js` as types ([`ApiSchema::parse`]), and what of a
//! request the host would refuse for its form ([`ApiSchema::check`]). Pure. It follows what
//! `PVE::JSONSchema` does with the same description (pve-common `src/PVE/JSONSchema.pm`), and checks
//! nothing that the description does not say: a format that is only a name there is checked if it is one
//! of the base formats of `PVE::JSONSchema`, and otherwise named in [`Checked::unchecked`].
//!
//! What it cannot know: whether a storage, a node or a guest is there, and what this token may do.

mod check;
mod formats;
mod options;
mod parse;
mod pattern;
mod problem;
mod property;
mod tree;

pub use parse::SchemaError;
pub use problem::{Checked, Fault, Problem, Unchecked};
pub use property::{Format, Property, Type};
pub use tree::{ApiSchema, Call, Parameters, Route};
