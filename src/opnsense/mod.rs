//! Host overrides of an OPNsense's Unbound as values: how ours are known, and the requests to its API.
//!
//! Pure: sends nothing, reads no secret. The lab has an OPNsense of its own and shares no line with this.
//! Facts: `Unbound/Api/SettingsController.php`, `Base/ApiMutableModelControllerBase.php` and
//! `Unbound/Unbound.xml` of opnsense/core.

mod mark;
pub mod requests;

pub use mark::{is_ours, marked, split, uuid, waiting};
