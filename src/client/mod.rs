//! Talking to one host: what to send again, what never, and how to follow a task.
//!
//! Owns [`Session`] (calls over `ports::Api` with the retries that are safe), [`CallError`] with its
//! advice, and [`Doors`], the two doors of every host. Knows no resource and makes no decision about
//! what to change: `observe` reads through it, `exec` acts through it.

mod description;
mod doors;
mod error;
mod fork;
mod hint;
mod inside;
mod neighbours;
mod session;
mod task;
#[cfg(test)]
pub(crate) mod testing;

pub use description::{Description, PATH as DESCRIPTION_PATH, describe};
pub use doors::{Door, Doors};
pub use error::CallError;
pub use inside::{InGuest, answered};
pub use session::{Session, Wait};
pub use task::{TaskEnd, TaskWatch};
