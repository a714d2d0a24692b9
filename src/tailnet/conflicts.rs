//! Names that the inventory and the rest of a policy both define, and not alike.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::Policy;
use super::wanted::member_tags;
use crate::blueprint::Blueprint;

/// A name with two meanings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// `group:staff`, `tag:phone`.
    pub name: String,
    /// Who the inventory says; nothing for the tag of a guest, which is nobody else's to define.
    pub ours: Option<Vec<String>>,
    /// Who the rest of the policy says.
    pub theirs: Vec<String>,
}

/// Groups and tags of the inventory that the rest of a policy defines otherwise, and tags of guests that it defines
/// at all: then another section has the same tag, and its rules would be about our guest. What both define alike is
/// left to the others.
#[must_use]
pub fn conflicts(blueprint: &Blueprint, outside: &Policy) -> Vec<Conflict> {
    let Some(tailnet) = &blueprint.tailnet else { return Vec::new() };
    let differ = |own: &BTreeMap<String, Vec<String>>, others: &BTreeMap<String, Vec<String>>| {
        let both = own.iter().filter_map(|(name, ours)| Some((name, ours, others.get(name)?)));
        let set = |who: &[String]| who.iter().map(|one| one.to_lowercase()).collect::<BTreeSet<_>>();
        let differing = both.filter(|(_, ours, theirs)| set(ours) != set(theirs));
        let conflict = |(name, ours, theirs): (&String, &Vec<String>, &Vec<String>)| Conflict {
            name: name.clone(),
            ours: Some(ours.clone()),
            theirs: theirs.clone(),
        };
        differing.map(conflict).collect::<Vec<_>>()
    };
    let mut conflicts = differ(&tailnet.groups, &outside.groups);
    conflicts.extend(differ(&tailnet.tags, &outside.tag_owners));
    let guests = member_tags(blueprint).into_iter().filter_map(|name| {
        let theirs = outside.tag_owners.get(&name)?.clone();
        Some(Conflict { name, ours: None, theirs })
    });
    conflicts.extend(guests);
    conflicts
}
