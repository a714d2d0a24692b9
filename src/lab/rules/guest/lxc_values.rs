//! Values of a container's configuration as they are stored.

use super::config;
use crate::lab::rules::split_list;
use crate::lab::world::property::indexed;
use crate::lab::world::{GuestKind, World};

/// A value as it goes into the configuration.
pub fn stored(world: &mut World, key: &str, value: &str) -> String {
    match indexed(key).map_or(key, |(stem, _)| stem) {
        "net" => config::lxc_net(world, value),
        "tags" => config::tags(world, value),
        "description" => config::description(GuestKind::Lxc, value),
        "nameserver" => split_list(value).collect::<Vec<_>>().join(" "),
        _ => config::number(GuestKind::Lxc, key, value),
    }
}
