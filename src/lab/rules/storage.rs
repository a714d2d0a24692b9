//! `/storage`, `/nodes/N/storage` and `/nodes/N/aplinfo`: what there is to put things on, and fetching files.

use serde_json::{Value, json};

use super::super::world::{Storage, StorageKind, Volume, Work, conf, content_of, split_volid};
use super::endpoint::Access::{All, Any, Every};
use super::formats as f;
use super::param::{Kind, Param, optional as o, required, since_9, until_8};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Delete, Get, Post};

const TYPES: &[&str] = &[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
];
const TYPES_8: &[&str] = &[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "glusterfs",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
];
const BY_TYPE: &[Param] = &[since_9("type", Kind::Enum(TYPES)), until_8("type", Kind::Enum(TYPES_8))];
const NODE_LIST: &[Param] = &[
    o("content", Kind::List(f::contents)),
    o("enabled", Kind::Bool),
    o("format", Kind::Bool),
    o("storage", Kind::Format(f::storage_id)),
    o("target", Kind::Format(f::node)),
];
const CONTENT: &[Param] = &[o("content", Kind::Format(f::content)), o("vmid", Kind::Vmid)];
const DELAY: &[Param] = &[o("delay", Kind::Int { min: Some(1), max: Some(30) })];
const DOWNLOAD: &[Param] = &[
    required("content", Kind::Enum(&["iso", "vztmpl", "import"])),
    required("filename", Kind::Short { min: 0, max: 255 }),
    required("url", Kind::Pattern(is_url)),
    o("checksum", Kind::Text),
    o("checksum-algorithm", Kind::Enum(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])),
    o("compression", Kind::Text),
    o("verify-certificates", Kind::Bool),
];
const APPLIANCE: &[Param] =
    &[required("storage", Kind::Format(f::storage_id)), required("template", Kind::Short { min: 0, max: 255 })];
/// Options that PVE gives back as numbers.
const NUMBERS: &[&str] = &[
    "create-base-path",
    "create-subdirs",
    "krbd",
    "max-protected-backups",
    "mkdir",
    "nocow",
    "port",
    "saferemove",
    "shared",
    "snapshot-as-volume-chain",
    "sparse",
    "tagged_only",
];
const LOOK: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/storage", &[BY_TYPE], All, list),
    Endpoint::new(Get, "/storage/{storage}", &[], Every("/storage/{storage}", &["Datastore.Allocate"]), get),
    Endpoint::new(Get, "/nodes/{node}/storage", &[NODE_LIST], All, node_list),
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}/status", &[], Any("/storage/{storage}", LOOK), node_status),
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}/content", &[CONTENT], Any("/storage/{storage}", LOOK), content),
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}/content/{volume}", &[], All, volume),
    Endpoint::new(Delete, "/nodes/{node}/storage/{storage}/content/{volume}", &[DELAY], All, delete),
    Endpoint::new(
        Post,
        "/nodes/{node}/storage/{storage}/download-url",
        &[DOWNLOAD],
        Every("/storage/{storage}", &["Datastore.AllocateTemplate"]),
        download,
    ),
    Endpoint::new(Get, "/nodes/{node}/aplinfo", &[], All, appliances),
    Endpoint::new(
        Post,
        "/nodes/{node}/aplinfo",
        &[APPLIANCE],
        Every("/storage/{storage}", &["Datastore.AllocateTemplate"]),
        appliance,
    ),
];

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn missing(id: &str) -> Refusal {
    Refusal::failed(format!("storage '{id}' does not exist"))
}

fn config(call: &Call<'_>, id: &str, storage: &Storage) -> Value {
    let mut row = json!({
        "storage": id, "type": storage.type_name(), "content": storage.content_list(),
        "digest": conf::digest(&conf::storages(call.world)),
    });
    for (key, value) in conf::storage_keys(storage) {
        row[key] = json!(value);
    }
    for (key, value) in &storage.options {
        row[key] = if NUMBERS.contains(&key.as_str()) { number(value) } else { json!(value) };
    }
    if matches!(storage.kind, StorageKind::ZfsPool { sparse: true, .. }) {
        row["sparse"] = json!(1);
    }
    if storage.share().is_some() {
        row["shared"] = json!(1);
    }
    if !storage.nodes.is_empty() {
        row["nodes"] = json!(storage.nodes.iter().cloned().collect::<Vec<_>>().join(","));
    }
    if storage.disabled {
        row["disable"] = json!(1);
    }
    if storage.assumed {
        row["priority"] = json!(0);
    }
    row
}

fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |n| json!(n))
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let wanted = call.values.get("type");
    let visible = call.world.storages.iter().filter(|(id, storage)| {
        wanted.is_none_or(|w| w == storage.type_name()) && call.world.may(call.caller, &format!("/storage/{id}"), LOOK)
    });
    Ok(Value::Array(visible.map(|(id, storage)| config(call, id, storage)).collect()).into())
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage");
    let storage = call.world.storages.get(id).ok_or_else(|| missing(id))?;
    Ok(config(call, id, storage).into())
}

fn state(call: &Call<'_>, id: &str, storage: &Storage) -> Value {
    let node = call.var("node");
    let active = call.world.is_active(node, id);
    let (total, free) = if active { call.world.space(node, id) } else { (0, 0) };
    json!({
        "type": storage.type_name(), "content": storage.content_list(),
        "enabled": u8::from(!storage.disabled && storage.serves(node)), "active": u8::from(active),
        "shared": u8::from(storage.is_shared()), "total": total, "used": total - free, "avail": free,
    })
}

fn node_list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let node = call.node();
    let contents: Option<Vec<&str>> = call.values.get("content").map(|c| f::split_list(c).collect());
    if call.values.get("storage").is_some_and(|id| !call.world.storages.contains_key(id)) {
        return Err(Refusal::param("storage", "No such storage."));
    }
    let target = call.values.get("target").filter(|target| *target != node);
    let mut rows = Vec::new();
    for (id, storage) in &call.world.storages {
        // What this node may not use is listed all the same, as not enabled; unless a content type is asked for.
        let usable = !storage.disabled && storage.serves(&node);
        let fits = !(call.values.flag("enabled") && storage.disabled)
            && call.values.get("storage").is_none_or(|s| s == id)
            && contents.as_ref().is_none_or(|wanted| usable && wanted.iter().any(|c| storage.content.contains(*c)))
            && target.is_none_or(|target| storage.is_shared() && storage.serves(&node) && storage.serves(target));
        if !fits || !call.world.may(call.caller, &format!("/storage/{id}"), LOOK) {
            continue;
        }
        let mut row = state(call, id, storage);
        row["storage"] = json!(id);
        #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
        if let (Some(used), Some(total)) = (row["used"].as_u64(), row["total"].as_u64().filter(|t| *t > 0)) {
            row["used_fraction"] = json!(used as f64 / total as f64);
        }
        rows.push(row);
    }
    Ok(Value::Array(rows).into())
}

fn node_status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage");
    let storage = call.world.storages.get(id).ok_or_else(|| Refusal::param("storage", "No such storage."))?;
    Ok(state(call, id, storage).into())
}

fn entry(storage: &str, zfs: bool, name: &str, volume: &Volume) -> Value {
    let content = if volume.format == "subvol" { "rootdir" } else { content_of(name) };
    let mut row = json!({
        "volid": format!("{storage}:{name}"), "content": content, "format": volume.format, "size": volume.size,
    });
    if matches!(content, "images" | "rootdir") {
        row["vmid"] = json!(volume.vmid);
        row["parent"] = Value::Null;
    }
    if zfs {
        row["name"] = json!(name);
    } else {
        row["ctime"] = json!(volume.ctime);
        if content == "images" {
            row["used"] = json!(volume.used);
        }
    }
    row
}

fn content(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage");
    if !call.world.storages.contains_key(id) {
        return Err(missing(id));
    }
    let wanted = call.values.get("content");
    let vmid = call.values.int("vmid");
    let zfs = call.world.is_zfs(id);
    let may_see_all = call.world.may(call.caller, &format!("/storage/{id}"), &["Datastore.Allocate"]);
    let mut rows = Vec::new();
    for (name, volume) in call.world.volumes(call.var("node"), id) {
        let row = entry(id, zfs, &name, &volume);
        let fits = wanted.is_none_or(|w| row["content"] == w)
            && vmid.is_none_or(|vmid| volume.vmid.map(i64::from) == Some(vmid));
        // Images of guests that the caller may not see are left out silently.
        let visible = may_see_all
            || volume.vmid.is_none_or(|vmid| call.world.may(call.caller, &format!("/vms/{vmid}"), &["VM.Config.Disk"]));
        if fits && visible {
            rows.push(row);
        }
    }
    Ok(Value::Array(rows).into())
}

/// The volume of the path: `local:iso/x.iso`, or `iso/x.iso` on the storage of the path.
fn volid(call: &Call<'_>) -> String {
    let volume = call.var("volume");
    if split_volid(volume).is_some() { volume.to_owned() } else { format!("{}:{volume}", call.var("storage")) }
}

fn volume(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let volid = volid(call);
    let id = call.var("storage");
    if !call.world.storages.contains_key(id) {
        return Err(missing(id));
    }
    call.need(&format!("/storage/{id}"), LOOK)?;
    let Some(found) = call.world.volume(call.var("node"), &volid) else {
        return Err(format!("volume_size_info on '{volid}' failed - no format").into());
    };
    let format = if found.format == "iso" || found.format.starts_with('t') { "raw" } else { &found.format };
    let path = call.world.volume_path(&volid);
    Ok(json!({"path": path, "format": format, "size": found.virtual_size.unwrap_or(found.size), "used": found.used})
        .into())
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let volid = volid(call);
    let id = call.var("storage").to_owned();
    if !call.world.storages.contains_key(&id) {
        return Err(missing(&id));
    }
    let (_, name) = split_volid(&volid).ok_or_else(|| format!("unable to parse volume ID '{volid}'"))?;
    let owner = call.world.volume(call.var("node"), &volid).and_then(|v| v.vmid);
    let path = format!("/storage/{id}");
    match owner {
        Some(vmid) => {
            call.need(&path, &["Datastore.Allocate", "Datastore.AllocateSpace"])?;
            call.need(&format!("/vms/{vmid}"), &["VM.Config.Disk"])?;
        }
        None => call.need(&path, &["Datastore.AllocateTemplate", "Datastore.Allocate"])?,
    }
    let work = Work::FreeVolume { storage: id.clone(), volume: name.to_owned() };
    if call.values.get("delay").is_none() {
        return Ok(call.spawn("imgdel", &id, 300, work));
    }
    // With a delay the call waits for the worker; deleting takes less than any delay that may be given.
    let node = call.node();
    let upid = call.world.spawn(&node, "imgdel", &id, call.caller, 0, work);
    super::work::finish(call.world, &upid);
    Ok(().into())
}

fn download(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, id) = (call.node(), call.var("storage").to_owned());
    let fetches = call.world.may(call.caller, &format!("/nodes/{node}"), &["Sys.AccessNetwork"])
        || (call.world.may(call.caller, "/", &["Sys.Audit"]) && call.world.may(call.caller, "/", &["Sys.Modify"]));
    if !fetches {
        return Err(Refusal::denied(""));
    }
    let storage = call.world.storages.get(&id).ok_or_else(|| missing(&id))?;
    let (content, file) = (call.values.text("content").to_owned(), call.values.text("filename").to_owned());
    if matches!(storage.kind, StorageKind::ZfsPool { .. }) {
        return Err(Refusal::param("storage", "can't upload to storage type 'zfspool'"));
    }
    if !storage.content.contains(&content) {
        return Err(Refusal::param(
            "content",
            format!("storage '{id}' is not configured for content-type '{content}'"),
        ));
    }
    if call.values.get("checksum").is_some() && call.values.get("checksum-algorithm").is_none() {
        return Err(Refusal::param("checksum-algorithm", "missing property required by 'checksum'"));
    }
    let endings: &[&str] = match content.as_str() {
        "iso" => &[".iso", ".img"],
        "vztmpl" => &[".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2", ".tar"],
        _ => &[".ova", ".ovf", ".qcow2", ".raw", ".vmdk"],
    };
    if !endings.iter().any(|end| file.ends_with(end)) {
        return Err(Refusal::param("filename", "wrong file extension"));
    }
    let checksum =
        call.values.get("checksum").map(|sum| (call.values.text("checksum-algorithm").to_owned(), sum.to_owned()));
    let url = call.values.text("url").to_owned();
    let volume = format!("{content}/{file}");
    let size = super::downloads::size(call.world, &url, &volume);
    // A hundred megabytes a second, and a second for the handshake.
    let real_ms = 1000 + i64::try_from(size / 100_000).unwrap_or(i64::MAX / 1000);
    let work = Work::Download { storage: id, volume, url, checksum };
    Ok(call.spawn("download", &file, real_ms, work))
}

fn appliances(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let rows = call.world.appliances.iter().map(|a| {
        json!({
            "template": a.template, "package": a.package, "version": a.version, "os": a.os, "section": a.section,
            "headline": a.headline, "type": "lxc", "architecture": "amd64", "sha512sum": a.sha512,
            "source": "http://download.proxmox.com/images", "infopage": "https://pve.proxmox.com/wiki/Linux_Container",
            "maintainer": "Proxmox Support Team <support@proxmox.com>", "description": a.headline,
            "location": format!("http://download.proxmox.com/images/{}/{}", a.section, a.template),
        })
    });
    Ok(Value::Array(rows.collect()).into())
}

fn appliance(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let template = call.values.text("template").to_owned();
    let id = call.values.text("storage").to_owned();
    let Some(found) = call.world.appliances.iter().find(|a| a.template == template) else {
        return Err(Refusal::param("template", "no such template"));
    };
    let (size, sum, section) = (found.size, found.sha512.clone(), found.section.clone());
    let storage = call.world.storages.get(&id).ok_or_else(|| missing(&id))?;
    if !storage.content.contains("vztmpl") {
        return Err(Refusal::param("storage", format!("storage '{id}' does not support templates")));
    }
    let url = format!("http://download.proxmox.com/images/{section}/{template}");
    let real_ms = 1000 + i64::try_from(size / 100_000).unwrap_or(i64::MAX / 1000);
    let checksum = Some(("sha512".to_owned(), sum));
    let work = Work::Download { storage: id, volume: format!("vztmpl/{template}"), url, checksum };
    Ok(call.spawn("download", &template, real_ms, work))
}
