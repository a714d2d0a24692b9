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
    format!("managed by infra: {inventory}/{addr}")
}

/// The notes of a guest: what the operator wrote, then our line.
pub fn notes(inventory: &EnvironmentName, addr: &Addr, notes: &str) -> String {
    let line = notes_line(inventory, addr);
    match notes.trim_end() {
        "" => line,
        notes => format!("{notes}\n\n{line}"),
    }
}

/// Whether a guest is ours.
pub fn owns(inventory: &EnvironmentName, addr: &Addr, listing: &GuestListing, config: Option<&GuestConfig>) -> bool {
    let tag = owner_tag(inventory);
    let line = notes_line(inventory, addr);
    let noted = config
        .and_then(|config| config.active("description"))
        .is_some_and(|notes| notes.lines().any(|written| written.trim() == line));
    noted || listing.tags.iter().any(|written| written == tag.as_str())
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
