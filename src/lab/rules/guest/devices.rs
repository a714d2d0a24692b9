//! Device nodes of a host that containers may be given.

use crate::lab::world::World;

/// Whether a device node is there: those of every Linux, and those of bound drivers.
#[must_use]
pub fn device_exists(world: &World, node: &str, path: &str) -> bool {
    let always =
        ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/net/tun", "/dev/kvm", "/dev/fuse", "/dev/zfs"];
    let Some(host) = world.nodes.get(node) else { return false };
    let driver = |name: &str| host.pci.values().any(|d| d.driver.as_deref() == Some(name));
    always.contains(&path)
        || host.files.contains_key(path)
        || (path.starts_with("/dev/nvidia") && driver("nvidia"))
        || (path.starts_with("/dev/dri/") && (driver("i915") || driver("amdgpu")))
}
