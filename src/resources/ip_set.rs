//! IP sets in the words of the API: those of the datacenter and those of guests are changed alike.
//!
//! A set of ours is ours whole: whoever is in it and not declared could come in, so it goes.

use super::difference::Fields;
use super::operations::{answer, call_until, check};
use crate::model::observed::FirewallIpSet;
use crate::model::step::{Condition, Expect, Matcher, Op};
use crate::ports::Request;
use crate::proxmox::Endpoint;
use crate::proxmox::endpoints as api;

/// The endpoints of sets in one place.
#[derive(Debug, Clone, Copy)]
pub struct SetEndpoints {
    /// Lists sets.
    pub list: &'static Endpoint,
    /// Makes one, or gives one another comment.
    pub create: &'static Endpoint,
    /// Removes an empty one.
    pub delete: &'static Endpoint,
    /// Lists what is in one.
    pub read: &'static Endpoint,
    /// Adds to one.
    pub add: &'static Endpoint,
    /// Takes something out of one.
    pub remove: &'static Endpoint,
}

/// Those of the datacenter.
pub const DATACENTER: SetEndpoints = SetEndpoints {
    list: &api::IPSETS,
    create: &api::IPSET_CREATE,
    delete: &api::IPSET_DELETE,
    read: &api::IPSET,
    add: &api::IPSET_ENTRY_CREATE,
    remove: &api::IPSET_ENTRY_DELETE,
};

/// A set by its place and name.
#[derive(Debug, Clone, Copy)]
pub struct Set<'a> {
    /// Where it is.
    pub endpoints: &'a SetEndpoints,
    /// The parts of the path before its name.
    pub at: &'a [&'a str],
    /// Its name, in lower case.
    pub name: &'a str,
}

/// A change, and how to take it back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deed {
    /// What is done.
    pub ops: Vec<Op>,
    /// What takes it back.
    pub undo: Vec<Op>,
}

/// A set as fields, each entry one of them.
pub fn fields(set: &FirewallIpSet) -> Fields {
    let entries = set.entries.iter().map(|(cidr, entry)| {
        let value = if entry.nomatch { "exception" } else { "in" };
        (format!("entries[{}]", plain(cidr)), value.to_owned())
    });
    entries.chain([("comment".to_owned(), set.comment.clone())]).collect()
}

/// `10.0.0.5/32` is `10.0.0.5`; PVE takes one for the other.
fn plain(cidr: &str) -> &str {
    let suffix = if cidr.contains(':') { "/128" } else { "/32" };
    cidr.strip_suffix(suffix).unwrap_or(cidr)
}

impl Set<'_> {
    fn path(&self, more: &[&str]) -> Vec<String> {
        self.at.iter().chain([&self.name]).chain(more).map(|part| (*part).to_owned()).collect()
    }

    fn request(&self, endpoint: &Endpoint, more: &[&str]) -> api::Call {
        let path = self.path(more);
        endpoint.at(&path.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn listed(&self, matcher: fn(String, String) -> Matcher) -> Condition {
        let expect = matcher("name".to_owned(), self.name.to_owned());
        answer(self.endpoints.list.at(self.at), vec![Expect::new("", expect)])
    }

    fn holds(&self, cidr: &str, matcher: fn(String, String) -> Matcher) -> Condition {
        let expect = matcher("cidr".to_owned(), cidr.to_owned());
        answer(self.request(self.endpoints.read, &[]), vec![Expect::new("", expect)])
    }

    fn add(&self, cidr: &str, nomatch: bool, comment: &str) -> Op {
        let call = self.request(self.endpoints.add, &[]).set("cidr", cidr);
        let call = call.set_maybe("nomatch", nomatch.then_some(1));
        let request: Request = call.set_maybe("comment", Some(comment).filter(|text| !text.is_empty())).into();
        call_until(request, self.holds(cidr, Matcher::HasItem))
    }

    fn remove(&self, cidr: &str) -> Op {
        call_until(self.request(self.endpoints.remove, &[cidr]), self.holds(cidr, Matcher::LacksItem))
    }

    fn make(&self, comment: &str) -> Op {
        let call = self.endpoints.create.at(self.at).set("name", self.name);
        call_until(call.set("comment", comment), self.listed(Matcher::HasItem))
    }

    fn unmake(&self) -> Op {
        call_until(self.request(self.endpoints.delete, &[]), self.listed(Matcher::LacksItem))
    }

    /// PVE gives a set another comment only together with its name.
    fn comment(&self, comment: &str) -> Op {
        let call = self.endpoints.create.at(self.at).set("name", self.name).set("rename", self.name);
        super::operations::call(call.set("comment", comment))
    }

    /// Makes the set what it shall be: who is to be in it comes before anybody goes.
    pub fn turn_into(&self, there: Option<&FirewallIpSet>, wanted: &FirewallIpSet) -> Deed {
        let mut deed = Deed::default();
        match there {
            None => {
                deed.ops.push(self.make(&wanted.comment));
                deed.ops.push(check(self.listed(Matcher::HasItem), "the set was made and is not listed"));
                deed.undo.insert(0, self.unmake());
            }
            Some(there) if there.comment != wanted.comment => {
                deed.ops.push(self.comment(&wanted.comment));
                deed.undo.insert(0, self.comment(&there.comment));
            }
            Some(_) => {}
        }
        let entries = there.map(|there| &there.entries);
        let known = |cidr: &str| entries.into_iter().flatten().find(|(own, _)| plain(own) == plain(cidr));
        for (cidr, entry) in &wanted.entries {
            match known(cidr) {
                Some((_, there)) if there.nomatch == entry.nomatch => continue,
                // The same network as an exception: PVE knows it by its network alone.
                Some((own, there)) => {
                    deed.ops.push(self.remove(own));
                    deed.undo.insert(0, self.add(own, there.nomatch, &there.comment));
                }
                None => {}
            }
            deed.ops.push(self.add(cidr, entry.nomatch, &entry.comment));
            let there = self.holds(cidr, Matcher::HasItem);
            deed.ops.push(check(there, format!("{cidr} was added to `{}` and is not in it", self.name)));
            deed.undo.insert(0, self.remove(cidr));
        }
        for (cidr, entry) in entries.into_iter().flatten() {
            if !wanted.entries.keys().any(|own| plain(own) == plain(cidr)) {
                deed.ops.push(self.remove(cidr));
                deed.undo.insert(0, self.add(cidr, entry.nomatch, &entry.comment));
            }
        }
        deed
    }

    /// Removes the set: PVE removes only an empty one.
    pub fn gone(&self, there: &FirewallIpSet) -> Deed {
        let mut deed = Deed::default();
        for (cidr, entry) in &there.entries {
            deed.ops.push(self.remove(cidr));
            deed.undo.push(self.add(cidr, entry.nomatch, &entry.comment));
        }
        deed.ops.push(self.unmake());
        deed.ops.push(check(self.listed(Matcher::LacksItem), "the set is still listed"));
        deed.undo.insert(0, self.make(&there.comment));
        deed
    }
}
