//! `/storage`, `/nodes/N/storage` and what is fetched into it.
//!
//! Which options a type of storage takes is a table in [`options`]; everything that is answered comes from the
//! world's storages and volumes.

mod config;
mod content;
mod fetch;
mod metadata;
mod options;
mod params;
mod prune;
mod status;
mod upload;
mod visible;

use super::{Endpoint, Refusal};
pub use upload::{forget, import, receive};

/// The rows of this area.
pub const ROWS: &[&[Endpoint]] = &[
    config::ENDPOINTS,
    status::ENDPOINTS,
    content::ENDPOINTS,
    prune::ENDPOINTS,
    upload::ENDPOINTS,
    fetch::ENDPOINTS,
    metadata::ENDPOINTS,
];

/// Who has either may look at a storage.
const LOOK: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

fn missing(id: &str) -> Refusal {
    Refusal::failed(format!("storage '{id}' does not exist"))
}
