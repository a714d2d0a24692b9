//! Fetching into a storage: `download-url` and the appliance index.

use serde_json::{Value, json};

use super::super::super::world::Work;
use super::super::endpoint::Access::{All, Every};
use super::super::param::{Kind, Param, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal, formats as f};
use super::{content, missing};
use crate::ports::Method::{Get, Post};

/// Algorithms of checksums that PVE takes.
pub const ALGORITHMS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
/// Content types that files can be fetched or sent for; snippets are not among them.
pub const CONTENTS: &[&str] = &["iso", "vztmpl", "import"];
const DOWNLOAD: &[Param] = &[
    required("content", Kind::Enum(CONTENTS)),
    required("filename", Kind::Short { min: 0, max: 255 }),
    required("url", Kind::Pattern(is_url)),
    o("checksum", Kind::Text),
    o("checksum-algorithm", Kind::Enum(ALGORITHMS)),
    o("compression", Kind::Text),
    o("verify-certificates", Kind::Bool),
];
const APPLIANCE: &[Param] =
    &[required("storage", Kind::Format(f::storage_id)), required("template", Kind::Short { min: 0, max: 255 })];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
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

/// Whether a text begins like a URL that PVE fetches.
pub fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Refuses who may not make the host ask the network.
///
/// # Errors
/// 403 without a path in it, as PVE says it where several privileges would do.
pub fn may_fetch(call: &Call<'_>) -> Result<(), Refusal> {
    let fetches = call.world.may(call.caller, &format!("/nodes/{}", call.var("node")), &["Sys.AccessNetwork"])
        || (call.world.may(call.caller, "/", &["Sys.Audit"]) && call.world.may(call.caller, "/", &["Sys.Modify"]));
    if fetches { Ok(()) } else { Err(Refusal::denied("")) }
}

/// The name that a file gets: PVE replaces what is not safe in one.
pub fn normal_name(name: &str) -> String {
    let leaf = name.rsplit(['/', '\\']).next().unwrap_or(name);
    leaf.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' }).collect()
}

/// Refuses a file whose name does not fit its content type.
///
/// # Errors
/// 400 for `filename`.
pub fn check_name(content: &str, file: &str) -> Result<(), Refusal> {
    let (endings, text): (&[&str], _) = match content {
        "iso" => (&[".iso", ".img"], "wrong file extension"),
        "vztmpl" => (&[".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2", ".tar"], "wrong file extension"),
        _ => (&[".ova", ".qcow2", ".raw", ".vmdk"], "invalid filename or wrong extension"),
    };
    let lower = if content == "iso" { file.to_ascii_lowercase() } else { file.to_owned() };
    let fits = endings.iter().any(|end| lower.len() > end.len() && lower.ends_with(end));
    if fits { Ok(()) } else { Err(Refusal::param("filename", text)) }
}

/// The pair of checksum and algorithm: neither goes without the other.
///
/// # Errors
/// 400 for the one that is not there.
pub fn checksum(call: &Call<'_>) -> Result<Option<(String, String)>, Refusal> {
    let get = |name: &str| call.values.get(name).map(str::to_owned);
    let lacks = |name: &str, by: &str| Refusal::param(name, format!("missing property required by '{by}'"));
    match (get("checksum-algorithm"), get("checksum")) {
        (Some(algorithm), Some(sum)) => Ok(Some((algorithm, sum))),
        (None, Some(_)) => Err(lacks("checksum-algorithm", "checksum")),
        (Some(_), None) => Err(lacks("checksum", "checksum-algorithm")),
        (None, None) => Ok(None),
    }
}

fn download(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    may_fetch(call)?;
    let id = call.var("storage").to_owned();
    let checksum = match call.values.get("checksum") {
        Some(_) => checksum(call)?,
        // Unlike an upload, a download takes an algorithm without a sum.
        None => None,
    };
    let what = call.values.text("content").to_owned();
    let storage = content::usable(call, &id)?;
    if storage.path().is_none() {
        let kind = storage.type_name();
        return Err(format!("can't upload to storage type '{kind}', not a file based storage!").into());
    }
    if !storage.content.contains(&what) {
        return Err(format!("storage '{id}' is not configured for content-type '{what}'").into());
    }
    let file = normal_name(call.values.text("filename"));
    check_name(&what, &file)?;
    let url = call.values.text("url").to_owned();
    let volume = format!("{what}/{file}");
    let size = super::super::downloads::size(call.world, &url, &volume);
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
