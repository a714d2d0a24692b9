//! Keys of a container's configuration: who may set them.
//!
//! What PVE lets only root@pam do, and the privilege per key. A token of root@pam is not root@pam (9.2.11).

use std::collections::BTreeMap;

use super::devices;
use super::disks::{self, Source};
use crate::lab::rules::Refusal;
use crate::lab::world::property::{Properties, indexed, truth};
use crate::lab::world::{Caller, World};

/// Parameters of a request that are not part of the configuration.
pub const NOT_CONFIG: &[&str] = &[
    "bwlimit",
    "force",
    "ha-managed",
    "ignore-unpack-errors",
    "ostemplate",
    "password",
    "pool",
    "restore",
    "ssh-public-keys",
    "start",
    "storage",
    "unique",
    "vmid",
    "delete",
    "digest",
    "revert",
];

/// Privileges that a key asks for, any of which will do.
#[must_use]
pub fn privileges(key: &str) -> &'static [&'static str] {
    match indexed(key).map_or(key, |(stem, _)| stem) {
        "cores" | "cpuunits" | "cpulimit" => &["VM.Config.CPU"],
        "rootfs" | "mp" | "unused" => &["VM.Config.Disk"],
        "memory" | "swap" => &["VM.Config.Memory"],
        "net" | "nameserver" | "searchdomain" | "hostname" => &["VM.Config.Network"],
        _ => &["VM.Config.Options"],
    }
}

/// What PVE lets only `root@pam` do to containers; a token of root is not root (9.2.11).
pub fn root_only(
    caller: &Caller,
    unprivileged: bool,
    key: &str,
    value: Option<&str>,
    old: Option<&str>,
) -> Result<(), Refusal> {
    if caller.is_root_pam() {
        return Ok(());
    }
    let refuse = |what: &str| Err(Refusal::denied(&format!("{what} is only allowed for root@pam")));
    match indexed(key).map_or(key, |(stem, _)| stem) {
        // Taking a bind mount away is allowed, setting it again just as it is, is not.
        "rootfs" | "mp" => match value.map(|v| disks::source(disks::normal(v, "volume").get("").unwrap_or_default())) {
            Some(Source::Path(path)) if path.starts_with("/dev/") => refuse("mount point type device"),
            Some(Source::Path(path)) if path.starts_with('/') => refuse("mount point type bind"),
            _ => Ok(()),
        },
        "features" if !unprivileged && value != old => refuse("changing feature flags for privileged container"),
        "features" => {
            let flags = |text: Option<&str>| {
                let mut fields = Properties::parse(text.unwrap_or_default());
                fields.take("nesting");
                let mut on: Vec<(String, String)> =
                    fields.0.into_iter().filter(|(k, v)| k == "mount" || truth(v)).collect();
                on.sort();
                on
            };
            if flags(value) == flags(old) { Ok(()) } else { refuse("changing feature flags (except nesting)") }
        }
        "dev" => refuse("configuring device passthrough"),
        "hookscript" => refuse("changing the hookscript"),
        _ => Ok(()),
    }
}

/// Whether the device nodes that are named are there.
///
/// # Errors
/// PVE's text for the first that is not.
pub fn check_devices(world: &World, node: &str, params: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (_, value) in params.iter().filter(|(k, _)| indexed(k).is_some_and(|(stem, _)| stem == "dev")) {
        let path = disks::normal(value, "path").get("").unwrap_or_default().to_owned();
        if !devices::device_exists(world, node, &path) {
            return Err(format!("Device {path} does not exist").into());
        }
    }
    Ok(())
}
