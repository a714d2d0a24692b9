//! What is rendered for services, run for real: a Docker engine with compose in system containers, on a network of the
//! suite's own.
//!
//! No registry is reached from where this runs, and the catalogue's images are gigabytes. So images of their names are
//! made, whose programs a small one of the suite's own stands in for ([`images`] says what it does); engine, compose,
//! networks, health checks, files and their owners are the real thing. Until there is health, it is asked for every second here.
//!
//! `cargo xtask test` makes the guest (`xtask/src/engine_real.rs`).

mod behaviour;
mod ground;
mod images;
mod projects;
mod registry;
mod servers;

pub use projects::LEFT_OUT;
