//! Compose projects as `docker compose` reads and makes them.
//!
//! Owns the reading of a `compose.yaml` that lies in a guest (YAML, variables, environment files), what is wrong with it in
//! the words of compose-go, and what `up` and `down` do to the guest's containers. Held to what docker compose 2.26 printed
//! with Docker 20.10 and Docker's CLI 28.2. Configuration that is mounted is no part of a container's hash: whoever changes
//! only such a file has `up` change nothing. Entries: [`run`], [`read`].

mod command;
mod environment;
mod project;
mod up;
mod values;
mod yaml;

pub use command::run;
pub use project::{Project, mount, published, read};
pub use values::{bytes, duration};
pub use yaml::parse as yaml;
