//! The only place where templates are filled.
//!
//! Pure: values in, text out, undefined names are errors. What a value may be in the syntax of its target is decided in
//! one place per target: a value that means something there is quoted, and refused where no quoting can hold it.

mod bind;
mod caddy;
mod cloud_init;
mod everything;
mod extra_hosts;
mod fill;
mod host_ruleset;
mod models;
mod nftables;
mod serial;
mod stack;
mod traefik;
mod ufw;
mod yaml;

pub use bind::{FOLDER as ZONE_FOLDER, named_conf, zone, zone_after};
pub use caddy::{CaddyPlace, PasswordHashRefused, caddy_token, caddy_users, caddyfile};
pub use cloud_init::user_data;
pub use everything::{RenderError, Rendered, everything};
pub use extra_hosts::{extra_hosts, hosts_block};
pub use fill::Unwritable;
pub use host_ruleset::{Admission, HostRuleset};
pub use nftables::nftables;
pub use serial::{next_serial, serial_of};
pub use stack::{
    Content, SecretNotFit, StackFile, TemplateError, note_of, project, stack, stack_directory, staged_directory,
    staged_note_of,
};
pub use traefik::{TraefikPlace, traefik_dynamic, traefik_static};
pub use ufw::{Ufw, ufw};
pub use yaml::yaml;
