//! An OPNsense on loopback: the API of its Unbound as far as host overrides and their aliases go.
//!
//! Owns its state ([`OpnSense`]), the API ([`api`]) with the checks of the real model, and its TLS server ([`served`]).
//! Shares no line with our client. Facts are from opnsense/core: `Unbound/Api/SettingsController.php` and
//! `Unbound/Unbound.xml`, `Base/ApiMutableModelControllerBase.php`, `Base/ApiControllerBase.php`,
//! `Base/UIModelGrid.php`, `Core/Type.php`; what is not there is not found.

pub mod api;
mod fields;
pub mod served;
pub mod state;

pub use served::ServedOpnSense;
pub use state::{Alias, Host, OpnSense};
