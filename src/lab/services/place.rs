//! A container, and what it can see of the world: its variables, its files, its neighbours.

use crate::lab::world::{Container, Docker, Guest, World};

/// A container of a guest, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The guest.
    pub vmid: u32,
    /// The container's name, such as `ollama-ollama-1`.
    pub name: String,
}

impl Place {
    /// The container of that name in a guest.
    #[must_use]
    pub fn new(vmid: u32, name: impl Into<String>) -> Self {
        Self { vmid, name: name.into() }
    }

    /// Its guest.
    #[must_use]
    pub fn guest<'w>(&self, world: &'w World) -> Option<&'w Guest> {
        world.guests.get(&self.vmid)
    }

    /// Its engine.
    #[must_use]
    pub fn docker<'w>(&self, world: &'w World) -> Option<&'w Docker> {
        self.guest(world)?.docker.as_ref()
    }

    /// The container itself.
    #[must_use]
    pub fn container<'w>(&self, world: &'w World) -> Option<&'w Container> {
        self.docker(world)?.containers.get(&self.name)
    }

    /// The same, to be changed.
    pub fn container_mut<'w>(&self, world: &'w mut World) -> Option<&'w mut Container> {
        world.guests.get_mut(&self.vmid)?.docker.as_mut()?.containers.get_mut(&self.name)
    }

    /// A variable that it was given.
    #[must_use]
    pub fn env<'w>(&self, world: &'w World, name: &str) -> Option<&'w str> {
        self.container(world)?.environment.get(name).map(String::as_str)
    }

    /// A file that is mounted into it, by its path there, as it was when the container was started.
    #[must_use]
    pub fn file(&self, world: &World, path: &str) -> Option<String> {
        let container = self.container(world)?;
        if let Some(read) = container.read.get(path) {
            return Some(String::from_utf8_lossy(&read.content).into_owned());
        }
        let (mount, rest) = container.behind(path)?;
        // A mounted file that was not there at the start is a directory.
        let inside = mount.kind == "bind" && !rest.is_empty();
        self.guest(world)?.text(&format!("{}{rest}", mount.source)).filter(|_| inside)
    }

    /// What it keeps below a path in it, by key; what is in no mount goes with the container, and is in its memory here.
    #[must_use]
    pub fn kept<'w>(&self, world: &'w World, path: &str, key: &str) -> Option<&'w serde_json::Value> {
        let container = self.container(world)?;
        match container.store(path) {
            Some(store) => self.docker(world)?.stores.get(&store)?.kept.get(key),
            None => container.memory_of.get(key),
        }
    }

    /// Keeps a value below a path in it, with what all of it takes on disk from now on, in bytes.
    pub fn keep(&self, world: &mut World, path: &str, key: &str, value: serde_json::Value, bytes: u64) {
        let store = self.container(world).and_then(|container| container.store(path));
        let Some(docker) = world.guests.get_mut(&self.vmid).and_then(|guest| guest.docker.as_mut()) else { return };
        if let Some(store) = store {
            let store = docker.stores.entry(store).or_default();
            store.kept.insert(key.to_owned(), value);
            store.bytes = bytes;
        } else if let Some(container) = docker.containers.get_mut(&self.name) {
            container.memory_of.insert(key.to_owned(), value);
        }
    }

    /// Ports that its health check asks.
    pub(super) fn exposed(&self, world: &World) -> Vec<u16> {
        let check = self.container(world).and_then(|container| container.check.as_ref());
        check.iter().flat_map(|check| check.test.iter()).flat_map(|word| Self::ports_in(word)).collect()
    }

    /// Ports of its own that a command line asks.
    #[must_use]
    pub fn ports_in(line: &str) -> Vec<u16> {
        let port = |(at, host): (usize, &str)| {
            let rest = line[at + host.len()..].strip_prefix([':', '/'])?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        line.match_indices("127.0.0.1").chain(line.match_indices("localhost")).filter_map(port).collect()
    }
}
