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
mod host;
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
    Opaque {
        /// Bytes.
        size: u64,
        /// When it was last written, in milliseconds since the epoch.
        modified_ms: i64,
    },
    /// A directory and the names in it.
    Directory(Vec<String>),
}

impl Entry {
    fn opaque(size: u64, modified_ms: i64) -> Option<Self> {
        Some(Self::Opaque { size, modified_ms })
    }

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
    if !matches!(parts.first(), Some(&("proc" | "sys" | "boot" | "run" | "etc" | "usr" | "var"))) {
        return None;
    }
    let view = view(world, node)?;
    match parts.split_first()? {
        (&("run" | "etc" | "usr" | "var"), _) => host::entry(view, path),
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

/// Names in a directory that is otherwise made of files: links, and what is shown of the host itself.
pub(super) fn more_in(world: &World, node: &str, directory: &str) -> Vec<String> {
    let Some(view) = view(world, node) else { return Vec::new() };
    let links = LINKS.iter().map(|(link, _)| *link);
    let own = host::paths(view);
    let names =
        links.chain(own.iter().map(String::as_str)).filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
    names.filter_map(|name| name.split('/').next()).map(str::to_owned).collect()
}

/// Loaded modules, their sizes and who uses them.
pub(super) fn modules(world: &World, node: &str) -> Vec<(String, u64, Vec<&'static str>)> {
    view(world, node).map(modules::table).unwrap_or_default()
}
