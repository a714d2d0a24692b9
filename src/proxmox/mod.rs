//! The Proxmox VE API as values: endpoints, option strings, answers, errors. Pure.
//!
//! Owns what a request must look like ([`endpoints`]) and what an answer means ([`answer`]). Sends
//! nothing: a request is a value of `ports`, and who sends it is `observe` or `exec`.

pub mod answer;
pub mod endpoints;
pub mod firewall_file;
pub mod options;
pub mod privileges;
pub mod schema;
pub mod storage_file;
pub mod task_type;

pub use answer::{Failure, FailureKind};
pub use endpoints::Endpoint;
pub use schema::ApiSchema;
