//! What the kernel and the boot loader show of a host as files: `/proc`, `/sys`, `/boot`, rendered from the world.
//!
//! Nothing is stored for them, and nothing is rendered that nobody looks at: [`entry`] makes the one thing that
//! a path names. Formats are those of recordings of real hosts. Whoever has no [`Machine`] shows nothing here.
//! Entry: [`entry`], [`link`].
//!
//! [`Machine`]: crate::lab::world::machine::Machine

mod boot;
mod devices;
mod groups;
mod messages;
mod modules;
mod proc;
mod sys;

pub(super) use messages::messages;
pub(super) use proc::mounts;

use crate::lab::world::{Node, World};

/// What a path names that is made up for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file and what is in it.
    File(String),
    /// A file of this size; what is in it is not modelled.
    Opaque(u64),
    /// A directory and the names in it.
    Directory(Vec<String>),
}

impl Entry {
    fn file(text: impl Into<String>) -> Option<Self> {
        Some(Self::File(text.into()))
    }

    /// A file of one line.
    fn line(text: impl std::fmt::Display) -> Option<Self> {
        Some(Self::File(format!("{text}\n")))
    }

    fn directory<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Option<Self> {
        Some(Self::Directory(names.into_iter().map(Into::into).collect()))
    }
}

/// What a view is made of.
#[derive(Clone, Copy)]
struct View<'a> {
    world: &'a World,
    name: &'a str,
    node: &'a Node,
}

/// Links of every host that are no kernel's.
const LINKS: &[(&str, &str)] = &[
    ("/etc/modules-load.d/modules.conf", "../modules"),
    ("/etc/mtab", "../proc/self/mounts"),
    ("/etc/os-release", "../usr/lib/os-release"),
    ("/proc/mounts", "self/mounts"),
];

fn view<'a>(world: &'a World, node: &'a str) -> Option<View<'a>> {
    let host = world.nodes.get(node).filter(|host| host.machine.is_installed())?;
    Some(View { world, name: node, node: host })
}

/// What a path names; links on the way were followed before.
pub(super) fn entry(world: &World, node: &str, path: &str) -> Option<Entry> {
    let parts: Vec<&str> = path.split('/').skip(1).filter(|part| !part.is_empty()).collect();
    if !matches!(parts.first(), Some(&("proc" | "sys" | "boot"))) {
        return None;
    }
    let view = view(world, node)?;
    match parts.split_first()? {
        (&"proc", rest) => proc::entry(view, rest),
        (&"sys", rest) => sys::entry(view, rest),
        (_, rest) => boot::entry(view, rest),
    }
}

/// What the link of a path points at, if it is one.
pub(super) fn link(world: &World, node: &str, path: &str) -> Option<String> {
    let known = LINKS.iter().find(|(link, _)| *link == path);
    if known.is_none() && !path.starts_with("/sys/") {
        return None;
    }
    let view = view(world, node)?;
    match known {
        Some((_, target)) => Some((*target).to_owned()),
        None => sys::link(view, &path.split('/').skip(2).collect::<Vec<_>>()),
    }
}

/// Names of links in a directory that is otherwise made of files.
pub(super) fn links_in(directory: &str) -> Vec<String> {
    let names = LINKS.iter().filter_map(|(link, _)| link.strip_prefix(directory)?.strip_prefix('/'));
    names.filter(|name| !name.contains('/')).map(str::to_owned).collect()
}
