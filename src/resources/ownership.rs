//! How what is ours is told from what is not (safety rule 1).
//!
//! A guest is ours when it carries the tag `infra-<inventory>` or our line in its notes; either will
//! do, so that losing one of them is drift and not disownment. A pool, mapping or group is ours when
//! its comment ends in our mark, a dataset when its user property `infra:owner` names the inventory.

use crate::model::observed::{GuestConfig, GuestListing};
use crate::model::{Addr, EnvironmentName, Tag};

/// The tag that every guest of an inventory carries.
#[must_use]
pub fn owner_tag(inventory: &EnvironmentName) -> Tag {
    format!("infra-{inventory}").parse().expect("an environment name is a lower-case DNS label")
}

/// The last line of a guest's notes.
pub fn notes_line(inventory: &EnvironmentName, addr: &Addr) -> String {
    format!("{}{inventory}/{addr}", notes_prefix())
}

fn notes_prefix() -> &'static str {
    "managed by infra: "
}

/// The notes of a guest: what the operator wrote, then our line.
pub fn notes(inventory: &EnvironmentName, addr: &Addr, notes: &str) -> String {
    let line = notes_line(inventory, addr);
    match notes.trim_end() {
        "" => line,
        notes => format!("{notes}\n\n{line}"),
    }
}

/// Whose a guest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This very resource.
    Us,
    /// Another resource, as our line in its notes says.
    Other(String),
    /// Nobody that we know.
    Stranger,
}

/// Whose a guest is. Our line in its notes names the resource; the tag alone tells only the inventory, and
/// counts where that line is gone.
pub fn owner(inventory: &EnvironmentName, addr: &Addr, listing: &GuestListing, config: Option<&GuestConfig>) -> Owner {
    let line = notes_line(inventory, addr);
    let prefix = notes_prefix();
    let notes = config.and_then(|config| config.active("description")).unwrap_or_default();
    let mut lines = notes.lines().map(str::trim).filter(|written| written.starts_with(prefix)).peekable();
    if lines.peek().is_some() {
        let written: Vec<&str> = lines.collect();
        return if written.contains(&line.as_str()) {
            Owner::Us
        } else {
            Owner::Other(written[0][prefix.len()..].to_owned())
        };
    }
    let tag = owner_tag(inventory);
    if listing.tags.iter().any(|written| written == tag.as_str()) { Owner::Us } else { Owner::Stranger }
}

/// Whether a guest is ours.
#[must_use]
pub fn owns(inventory: &EnvironmentName, addr: &Addr, listing: &GuestListing, config: Option<&GuestConfig>) -> bool {
    owner(inventory, addr, listing, config) == Owner::Us
}

/// The mark at the end of a comment.
pub fn mark(inventory: &EnvironmentName) -> String {
    format!("(infra: {inventory})")
}

/// A comment with our mark at its end.
pub fn marked(inventory: &EnvironmentName, comment: &str) -> String {
    format!("{} {}", comment.trim(), mark(inventory)).trim_start().to_owned()
}

/// Whether a comment carries our mark.
pub fn is_marked(inventory: &EnvironmentName, comment: &str) -> bool {
    comment.trim_end().ends_with(&mark(inventory))
}
