//! A tailnet's policy file and API as values: what is written, what is read, what it lets through.
//!
//! Owns the HuJSON text ([`Hujson`]), our marked section of it ([`Section`], [`edit`]), the typed policy
//! ([`Policy`]) with its evaluator ([`Policy::decide`]), what a blueprint asks of it ([`wanted`]) and the requests to
//! the control plane ([`requests`]). Pure: sends nothing, reads no secret, knows no clock. The lab has an evaluator of
//! its own and shares no line with this one.

mod assertions;
mod conflicts;
mod decide;
mod edit;
mod hujson;
mod leaks;
mod lockout;
mod policy;
mod presence;
pub mod requests;
mod section;
mod wanted;

pub use conflicts::{Conflict, conflicts};
pub use decide::{Decision, Packet};
pub use edit::{EditError, Found, edit, find, remove, was_written, without_default};
pub use hujson::{Hujson, Malformed, normalised};
pub use leaks::{Leak, LeakKind, leaks};
pub use lockout::{Cut, Path, cuts, losses, paths};
pub use policy::{Policy, Rule, RuleKind, SshRule, TestCase};
pub use presence::Presence;
pub use section::{Block, Section};
pub use wanted::{has_terminals, members, tag_of, wanted};
