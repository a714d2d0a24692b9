//! The one integration-test binary: each suite is a module.

mod cli;
mod https_real;
mod observe_recorded;
mod sh_real;
mod ssh_real;
