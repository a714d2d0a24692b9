//! User and group ids that root may give to containers.

use serde::{Deserialize, Serialize};

/// `/etc/subuid` and `/etc/subgid`, root's lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubIds {
    /// User ids: first one and how many.
    pub users: Vec<(u64, u64)>,
    /// Group ids: first one and how many.
    pub groups: Vec<(u64, u64)>,
}

impl SubIds {
    /// Whether one range of each holds `count` ids from `first` on.
    #[must_use]
    pub fn hold(&self, first: u64, count: u64) -> bool {
        [&self.users, &self.groups].into_iter().all(|ranges| Self::one_holds(ranges, first, count))
    }

    /// Whether one of these ranges holds `count` ids from `first` on.
    #[must_use]
    pub fn one_holds(ranges: &[(u64, u64)], first: u64, count: u64) -> bool {
        ranges.iter().any(|(start, size)| *start <= first && first.saturating_add(count) <= start.saturating_add(*size))
    }
}
