//! The command line: flags in, an exit code out.
//!
//! Owns the verbs (one file each under `commands`), what flags and environment mean together
//! (`settings`), the making of adapters (`context`) and the translation of every error for a person
//! (`error`). Decides nothing about hosts: a verb calls the pipeline and gives its answer to `ui`.
//! Entry: [`main`].

mod args;
mod command_line;
mod commands;
mod consent;
mod context;
mod descriptions;
mod error;
mod execution;
mod exit;
mod hardware;
mod judging;
mod lab;
mod lease;
mod load;
mod memory;
mod planning;
mod reboot;
mod rehearsing;
mod run;
mod secrets;
mod seen;
mod settings;
mod signals;
mod verb;

pub use command_line::Cli;
pub use error::CommandError;
pub use exit::Exit;
pub use lab::scenario as lab_scenario;
pub use run::main;
