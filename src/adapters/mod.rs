//! The doors of `ports`, opened for real: HTTPS with a pinned or CA-checked server, SSH, the clock.
//!
//! Owns every socket of this program and the trust decisions that go with it; must not know what is
//! asked over them. Nothing here retries: [`Https`] and [`Ssh`] send once and say exactly how far a
//! failed request came. Only `cli` makes adapters; everybody else sees the ports.

mod clock;
mod descriptions;
pub mod files;
pub mod hardware_lock;
mod https;
mod opnsense;
mod registry;
mod ssh;
mod tailnet;
mod tls;
mod traced;

pub use clock::SystemClock;
pub use descriptions::DescriptionCache;
pub use https::{Https, HttpsError, HttpsTarget};
pub use opnsense::{OpnSenseApi, OpnSenseError, OpnSenseTarget};
pub use registry::{Registries, RegistryError, logins};
pub use ssh::{Ssh, SshSettings, SshTarget};
pub use tailnet::{Dialect, TailnetApi, TailnetError, TailnetTarget};
pub use tls::Trust;
pub use traced::Traced;
