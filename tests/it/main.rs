//! The one integration-test binary: each suite is a module.

mod cli;
mod https_real;
mod sh_real;
mod ssh_real;
