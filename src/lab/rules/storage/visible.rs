//! Who may look at a volume, and how PVE prints one.

use serde_json::{Value, json};

use super::super::super::world::{Volume, World, content_of, split_volid};
use super::super::{Call, Refusal};

/// Content type of a volume, as lists show it.
#[must_use]
pub fn content(name: &str, volume: &Volume) -> &'static str {
    if volume.format == "subvol" { "rootdir" } else { content_of(name) }
}

/// A volume by its full id, or by its name on the storage of the path.
///
/// # Errors
/// 400 if it names another storage, or nothing that could be a volume.
pub fn volid(call: &Call<'_>) -> Result<String, Refusal> {
    let (volume, storage) = (call.var("volume"), call.var("storage"));
    if !volume.contains(':') {
        return Ok(format!("{storage}:{volume}"));
    }
    match split_volid(volume) {
        Some((named, _)) if named == storage => Ok(volume.to_owned()),
        Some((named, _)) => Err(Refusal::param("volume", format!("storage ID mismatch ({named} != {storage})\n"))),
        None => Err(Refusal::param("volume", format!("unable to parse volume ID '{volume}'\n"))),
    }
}

/// Owner by the name of a volume, which PVE goes by whether there is such a volume or not.
#[must_use]
pub fn owner(world: &World, node: &str, volid: &str) -> Option<u32> {
    let (_, name) = split_volid(volid)?;
    world.volume(node, volid).and_then(|v| v.vmid).or_else(|| {
        let leaf = name.rsplit('/').next()?;
        let after = |mark: &str| leaf.split_once(mark).map(|(_, rest)| rest);
        let rest = after("vzdump-qemu-").or_else(|| after("vzdump-lxc-")).or_else(|| after("vm-"));
        let rest = rest.or_else(|| after("subvol-")).or_else(|| after("base-")).or_else(|| after("basevol-"))?;
        rest.split(['-', '.']).next()?.parse().ok()
    })
}

/// Refuses who may not read a volume.
///
/// # Errors
/// 403, or 500 for what only the storage's administrator may see.
pub fn check(call: &Call<'_>, volid: &str) -> Result<(), Refusal> {
    let Some((id, name)) = split_volid(volid) else { return Ok(()) };
    let path = format!("/storage/{id}");
    if call.world.may(call.caller, &path, &["Datastore.Allocate"]) {
        return Ok(());
    }
    match (content_of(name), owner(call.world, call.var("node"), volid)) {
        ("iso" | "vztmpl" | "import", _) => call.need(&path, &["Datastore.AllocateSpace", "Datastore.Audit"]),
        ("backup", Some(vmid)) => {
            call.need(&path, &["Datastore.AllocateSpace"])?;
            call.need(&format!("/vms/{vmid}"), &["VM.Backup"])
        }
        ("images" | "rootdir", Some(vmid)) => {
            call.need(&path, &["Datastore.Audit"])?;
            call.need(&format!("/vms/{vmid}"), &["VM.Config.Disk"])
        }
        _ => Err(format!("missing privileges to access {volid}").into()),
    }
}

/// A volume as lists show it.
#[must_use]
pub fn row(world: &World, storage: &str, name: &str, volume: &Volume) -> Value {
    let content = content(name, volume);
    let mut row = json!({
        "volid": format!("{storage}:{name}"), "content": content, "format": volume.format, "size": volume.size,
    });
    let block = world.is_block(storage);
    if matches!(content, "images" | "rootdir") {
        row["vmid"] = json!(volume.vmid);
        // Logical volumes have no parents that PVE would know of.
        if !block || world.is_zfs(storage) {
            row["parent"] = Value::Null;
        }
    }
    if world.is_zfs(storage) {
        row["name"] = json!(name);
        return row;
    }
    row["ctime"] = json!(volume.ctime);
    if content == "images" && !block {
        row["used"] = json!(volume.used);
    }
    if content == "backup" {
        row["vmid"] = json!(volume.vmid);
        if let Some(guest) = ["qemu", "lxc"].iter().find(|kind| name.contains(&format!("vzdump-{kind}-"))) {
            row["subtype"] = json!(guest);
        }
        if let Some(first) = volume.notes.as_deref().and_then(|n| n.lines().next()).filter(|n| !n.is_empty()) {
            row["notes"] = json!(first);
        }
        if volume.protected {
            row["protected"] = json!(1);
        }
    }
    row
}
