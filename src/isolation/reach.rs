//! Which ports are open, as exact sets: a chain is walked once with all 65,535 ports at a time.
//!
//! What is not in the set is closed for each and every port, so the answer is no sample. Entry: [`PortSet`] and
//! [`through`]. That it agrees with walking single packets is held by tests over all recorded configurations.

use std::fmt;

use super::chain::{Link, Sight, Then};
use crate::model::PortRange;

/// Ports, as ranges in order that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortSet(Vec<(u16, u16)>);

impl PortSet {
    /// Every port but 0, which no service listens on.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![(1, u16::MAX)])
    }

    /// Those of ranges in any order.
    #[must_use]
    pub fn of(ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut ranges: Vec<(u16, u16)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if u32::from(first) <= u32::from(*end) + 1 => *end = (*end).max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// One range.
    #[must_use]
    pub fn range(range: PortRange) -> Self {
        Self(vec![(range.first(), range.last())])
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has a port.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// The lowest port.
    #[must_use]
    pub fn first(&self) -> Option<u16> {
        self.0.first().map(|(first, _)| *first)
    }

    /// How many ports there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(first, last)| u32::from(*last) - u32::from(*first) + 1).sum()
    }

    /// What is in either.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied())
    }

    /// What is in both.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|(a, b)| other.0.iter().map(move |(c, d)| ((*a).max(*c), (*b).min(*d))));
        Self::of(pairs)
    }

    /// What is not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for (first, last) in &self.0 {
            let mut from = Some(*first);
            for (gone, until) in &other.0 {
                let Some(start) = from.filter(|_| gone <= last && until >= first) else { continue };
                if *gone > start {
                    left.push((start, gone - 1));
                }
                from = until.checked_add(1).map(|next| next.max(start)).filter(|next| next <= last);
            }
            left.extend(from.map(|start| (start, *last)));
        }
        Self::of(left)
    }
}

/// `22, 8000:8100`; `all` and `none` in words.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::all() {
            return f.write_str("all");
        }
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}:{last}")? }
        }
        Ok(())
    }
}

impl serde::Serialize for PortSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Packets that differ in nothing but their destination port and the mark that they carry.
#[derive(Debug, Clone, Default)]
pub(super) struct Packets {
    pub marked: PortSet,
    pub unmarked: PortSet,
}

impl Packets {
    pub fn ports(&self) -> PortSet {
        self.marked.and(&self.unmarked)
    }

    pub fn add(&mut self, other: &Self) {
        self.marked = self.marked.and(&other.marked);
        self.unmarked = self.unmarked.and(&other.unmarked);
    }
}

/// What becomes of packets in a chain; the rest is refused.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Accepted there and then.
    pub accepted: Packets,
    /// Undecided: whoever jumped here goes on with them.
    pub undecided: Packets,
}

/// Walks a chain with many ports at a time. The destination port of `sight` is not looked at.
pub(super) fn through(chain: &[Link], sight: Sight<'_>, packets: Packets) -> Sorted {
    let mut sorted = Sorted::default();
    let mut here = packets;
    for link in chain {
        if here.ports().is_empty() {
            break;
        }
        if !link.when.fits(sight) {
            continue;
        }
        let ports =
            if link.when.dport.is_empty() { PortSet::all() } else { PortSet::of(link.when.dport.iter().copied()) };
        let unmarked = if link.when.marked { PortSet::default() } else { here.unmarked.within(&ports) };
        let hit = Packets { marked: here.marked.within(&ports), unmarked };
        here.marked = here.marked.without(&hit.marked);
        here.unmarked = here.unmarked.without(&hit.unmarked);
        match &link.then {
            Then::Accept => sorted.accepted.add(&hit),
            Then::Drop | Then::Reject => {}
            Then::Return => sorted.undecided.add(&hit),
            Then::Unmark => here.unmarked = here.unmarked.and(&hit.ports()),
            Then::MarkAndLeave => sorted.undecided.marked = sorted.undecided.marked.and(&hit.ports()),
            Then::Jump(chain) => {
                let inner = through(chain, sight, hit);
                sorted.accepted.add(&inner.accepted);
                here.add(&inner.undecided);
            }
        }
    }
    sorted.undecided.add(&here);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u16, u16)]) -> PortSet {
        PortSet::of(ranges.iter().copied())
    }

    #[test]
    fn sets_of_ports_are_what_their_ports_are() {
        let sets = [
            set(&[]),
            PortSet::all(),
            set(&[(1, 1)]),
            set(&[(5, 9), (12, 20)]),
            set(&[(7, 15)]),
            set(&[(65535, 65535), (20, 22)]),
            set(&[(9, 12), (13, 13)]),
        ];
        let ports = || (0..=25).chain([65534, 65535]);
        for a in &sets {
            for b in &sets {
                for port in ports() {
                    let (in_a, in_b) = (a.contains(port), b.contains(port));
                    assert_eq!(a.and(b).contains(port), in_a || in_b, "{a} and {b}: {port}");
                    assert_eq!(a.within(b).contains(port), in_a && in_b, "{a} within {b}: {port}");
                    assert_eq!(a.without(b).contains(port), in_a && !in_b, "{a} without {b}: {port}");
                }
                assert_eq!(a.without(b).len() + a.within(b).len(), a.len());
            }
        }
        assert_eq!(set(&[(9, 12), (13, 13)]).to_string(), "9:13");
    }
}
