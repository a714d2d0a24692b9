//! The Docker engine of guests: its daemon, images, networks, containers, and the `docker` program.
//!
//! Owns what the engine does to [`Docker`](super::world::Docker) and how it shows it, in the words of Docker 28; what an
//! image's processes do is `lab::services`', what compose files mean is `lab::compose`'s. Whoever waits here moves the
//! world's clock on, at its pace, as `sleep` does. What containers of Proxmox do to Docker is in [`lxc`].

pub mod command;
pub mod daemon;
pub mod engine;
mod format;
mod inspect;
mod list;
pub mod lxc;
pub mod network;
pub mod registry;
mod run;
pub mod state;

pub use list::{ago, compose_row};
pub use registry::reachable as registry_reach;
pub use state::{Shown, shown};
