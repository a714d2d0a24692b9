//! `/nodes/N/storage/S/content`: what is on a storage.

use serde_json::{Value, json};

use super::super::super::world::{Storage, StorageKind, Volume, Work, content_of, split_volid};
use super::super::endpoint::Access::{All, Any, Every};
use super::super::param::{Kind, Param, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal, formats as f};
use super::visible::{self, volid};
use super::{LOOK, missing};
use crate::ports::Method::{Delete, Get, Post, Put};

const CONTENT: &[Param] = &[o("content", Kind::Format(f::content)), o("vmid", Kind::Vmid)];
const ALLOC: &[Param] = &[
    required("filename", Kind::Text),
    required("size", Kind::Pattern(is_size)),
    required("vmid", Kind::Vmid),
    o("format", Kind::Enum(&["raw", "qcow2", "subvol", "vmdk"])),
];
const ATTRIBUTES: &[Param] = &[o("notes", Kind::Text), o("protected", Kind::Bool)];
const DELAY: &[Param] = &[o("delay", Kind::Int { min: Some(1), max: Some(30) })];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}/content", &[CONTENT], Any("/storage/{storage}", LOOK), list),
    Endpoint::new(
        Post,
        "/nodes/{node}/storage/{storage}/content",
        &[ALLOC],
        Every("/storage/{storage}", &["Datastore.AllocateSpace"]),
        alloc,
    ),
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}/content/{volume}", &[], All, volume),
    Endpoint::new(Put, "/nodes/{node}/storage/{storage}/content/{volume}", &[ATTRIBUTES], All, attributes),
    Endpoint::new(Delete, "/nodes/{node}/storage/{storage}/content/{volume}", &[DELAY], All, delete),
];

fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['M', 'G']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The storage of the path, if it can be used on the node of the path.
///
/// # Errors
/// 500 if there is none, it is switched off, not for this node, or not there.
pub fn usable<'a>(call: &'a Call<'_>, id: &str) -> Result<&'a Storage, Refusal> {
    let storage = call.world.storages.get(id).ok_or_else(|| missing(id))?;
    let node = call.var("node");
    if !storage.serves(node) {
        return Err(format!("storage '{id}' is not available on node '{node}'").into());
    }
    if storage.disabled {
        return Err(format!("storage '{id}' is disabled").into());
    }
    match call.world.inactive(node, id, storage) {
        Some(why) => Err(why.into()),
        None => Ok(storage),
    }
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage");
    usable(call, id)?;
    let wanted = call.values.get("content");
    let vmid = call.values.int("vmid");
    let mut rows = Vec::new();
    for (name, volume) in call.world.volumes(call.var("node"), id) {
        let fits = wanted.is_none_or(|w| visible::content(&name, &volume) == w)
            && vmid.is_none_or(|vmid| volume.vmid.map(i64::from) == Some(vmid));
        // What the caller may not see is left out silently.
        if fits && visible::check(call, &format!("{id}:{name}")).is_ok() {
            rows.push(visible::row(call.world, id, &name, &volume));
        }
    }
    Ok(Value::Array(rows).into())
}

/// The name that a new image gets from the file name that was asked for.
fn image_name(storage: &Storage, name: &str, format: &str, vmid: u32) -> Result<String, String> {
    match &storage.kind {
        StorageKind::ZfsPool { .. } | StorageKind::Lvm { .. } | StorageKind::LvmThin { .. } => {
            let prefix = if format == "subvol" { "subvol" } else { "vm" };
            if name.starts_with(&format!("{prefix}-{vmid}-")) {
                Ok(name.to_owned())
            } else {
                Err(format!("illegal name '{name}' - should be '{prefix}-{vmid}-*'"))
            }
        }
        StorageKind::Pbs { .. } => Err(format!("can't allocate space in pbs storage '{name}'")),
        _ => {
            let ending = ["raw", "qcow2", "vmdk", "subvol"].into_iter().find(|e| name.ends_with(&format!(".{e}")));
            match ending {
                _ if name.contains('/') || name.contains(char::is_whitespace) => {
                    Err(format!("unable to parse volume filename '{name}'"))
                }
                None => Err(format!("unable to parse volume filename '{name}'")),
                Some(ending) if ending != format => {
                    Err(format!("illegal name '{name}' - wrong extension for format ('{ending} != '{format}')"))
                }
                Some(_) => Ok(name.to_owned()),
            }
        }
    }
}

fn alloc(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage").to_owned();
    let name = call.values.text("filename").to_owned();
    let size = call.values.text("size");
    let kib = match size.strip_suffix('G') {
        Some(gib) => gib.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << 20)),
        None => match size.strip_suffix('M') {
            Some(mib) => mib.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << 10)),
            None => size.parse().ok(),
        },
    };
    let bytes = kib.and_then(|kib: u64| kib.checked_mul(1 << 10));
    let bytes = bytes.ok_or_else(|| Refusal::param("size", format!("unable to parse size '{size}'")))?;
    let of_name = ["raw", "qcow2", "vmdk"].into_iter().find(|e| name.ends_with(&format!(".{e}")));
    let format = call.values.get("format").map(str::to_owned);
    if let (Some(given), Some(found)) = (&format, of_name)
        && given != found
    {
        return Err(Refusal::param("format", format!("different storage formats ({given} != {found})")));
    }
    let format = format.or(of_name.map(str::to_owned)).unwrap_or_else(|| "raw".to_owned());
    let vmid = call.values.int("vmid").and_then(|v| u32::try_from(v).ok()).unwrap_or_default();
    let storage = usable(call, &id)?;
    let leaf = image_name(storage, &name, &format, vmid)?;
    let block = call.world.is_block(&id);
    let future = if block { format!("{id}:{leaf}") } else { format!("{id}:{vmid}/{leaf}") };
    let node = call.node();
    if call.world.volume(&node, &future).is_some() {
        let path = call.world.volume_path(&future).unwrap_or_default();
        return Err(match call.world.dataset_of(&future) {
            Some(dataset) => format!("zfs error: cannot create '{dataset}': dataset already exists"),
            None if block => format!("lvcreate '{leaf}' error:   Logical Volume \"{leaf}\" already exists"),
            None => format!("disk image '{path}' already exists"),
        }
        .into());
    }
    Ok(call.world.allocate(&node, &id, vmid, &leaf, &format, bytes)?.into())
}

fn found(call: &Call<'_>, volid: &str) -> Result<Volume, Refusal> {
    let id = call.var("storage");
    if !call.world.storages.contains_key(id) {
        return Err(missing(id));
    }
    visible::check(call, volid)?;
    let found = call.world.volume(call.var("node"), volid);
    found.ok_or_else(|| format!("volume_size_info on '{volid}' failed - no format").into())
}

fn volume(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let volid = volid(call)?;
    let found = found(call, &volid)?;
    let is_image = matches!(found.format.as_str(), "raw" | "qcow2" | "vmdk" | "subvol");
    let format = if is_image { &found.format } else { "raw" };
    let mut row = json!({
        "path": call.world.volume_path(&volid), "format": format, "size": found.virtual_size.unwrap_or(found.size),
        "used": found.used,
    });
    if split_volid(&volid).is_some_and(|(_, name)| content_of(name) == "backup") {
        row["notes"] = json!(found.notes.unwrap_or_default());
        row["protected"] = json!(u8::from(found.protected));
    }
    Ok(row.into())
}

fn attributes(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let volid = volid(call)?;
    found(call, &volid)?;
    let backup = split_volid(&volid).is_some_and(|(_, name)| content_of(name) == "backup");
    let notes = call.values.get("notes").map(str::to_owned);
    let protected = call.values.get("protected").map(|p| p == "1");
    if !backup {
        return match (notes, protected) {
            (Some(_), _) => Err("only backups can have notes".into()),
            (None, Some(_)) => Err("only backups support attribute 'protected'".into()),
            (None, None) => Ok(().into()),
        };
    }
    let node = call.node();
    if let Some(volume) = call.world.volume_mut(&node, &volid) {
        if let Some(notes) = notes {
            volume.notes = Some(notes).filter(|n| !n.is_empty());
        }
        if let Some(protected) = protected {
            volume.protected = protected;
        }
    }
    Ok(().into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let volid = volid(call)?;
    let id = call.var("storage").to_owned();
    if !call.world.storages.contains_key(&id) {
        return Err(missing(&id));
    }
    let (_, name) = split_volid(&volid).ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
    let node = call.node();
    let owner = visible::owner(call.world, &node, &volid);
    let path = format!("/storage/{id}");
    match owner.filter(|_| content_of(name) == "backup") {
        Some(vmid) => {
            call.need(&path, &["Datastore.AllocateSpace"])?;
            call.need(&format!("/vms/{vmid}"), &["VM.Backup"])?;
        }
        None => call.need(&path, &["Datastore.Allocate"])?,
    }
    let task_id = owner.map_or_else(|| id.clone(), |vmid| format!("{vmid}@{id}"));
    let work = Work::FreeVolume { storage: id.clone(), volume: name.to_owned() };
    if call.values.get("delay").is_none() {
        return Ok(call.spawn("imgdel", &task_id, 300, work));
    }
    // With a delay the call waits for the worker; deleting takes less than any delay that may be given.
    let upid = call.world.spawn(&node, "imgdel", &task_id, call.caller, 0, work);
    super::super::work::finish(call.world, &upid);
    match call.world.task(&upid).and_then(|task| task.exit()).filter(|exit| *exit != "OK") {
        Some(exit) => Err(exit.to_owned().into()),
        None => Ok(().into()),
    }
}
