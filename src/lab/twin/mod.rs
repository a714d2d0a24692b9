//! Twins: worlds that stand where a real site stood when it was looked at.
//!
//! Owns what becomes of an observation in the lab ([`of`]), the doors to it with the time that a real host would
//! take ([`TwinApi`], [`TwinShell`], [`TwinClock`], [`Tempo`]), and the question whether it is like the original
//! ([`unlike`]). What could not be taken over is said ([`Untwinned`]) and never made up in silence. Knows no plan.

mod access;
mod clock;
mod disks;
mod doors;
mod firewall;
mod guests;
mod hosts;
mod likeness;
mod original;
mod seed;
mod storages;
mod tempo;

pub use clock::TwinClock;
pub use doors::{Count, TwinApi, TwinShell};
pub use likeness::unlike;
pub use original::{Original, OriginalHost, Untwinned};
pub use seed::{Twin, of};
pub use tempo::Tempo;
