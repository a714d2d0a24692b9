//! `POST /nodes/N/storage/S/upload`: files that are sent.
//!
//! As on a real host the server puts the body into a temporary file first and passes its name on; a worker moves it
//! into the storage.

use sha2::Digest as _;

use super::super::super::world::{File, Volume, Work, World, conf};
use super::super::endpoint::Access::Every;
use super::super::param::{Kind, Param, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal, downloads};
use super::content;
use super::fetch::{ALGORITHMS, CONTENTS, check_name, checksum, normal_name};
use crate::ports::Method::Post;

const UPLOAD: &[Param] = &[
    required("content", Kind::Enum(CONTENTS)),
    required("filename", Kind::Short { min: 0, max: 255 }),
    o("checksum", Kind::Text),
    o("checksum-algorithm", Kind::Enum(ALGORITHMS)),
    o("tmpfilename", Kind::Pattern(is_temporary)),
];
const TEMPORARY: &str = "/var/tmp/pveupload-";

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::new(
    Post,
    "/nodes/{node}/storage/{storage}/upload",
    &[UPLOAD],
    Every("/storage/{storage}", &["Datastore.AllocateTemplate"]),
    upload,
)];

fn is_temporary(path: &str) -> bool {
    path.strip_prefix(TEMPORARY).is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Keeps what was sent on the node that it was sent to; gives the name of the file.
pub fn receive(world: &mut World, content: Vec<u8>) -> String {
    let path = format!("{TEMPORARY}{:016x}{:016x}", world.next_random(), world.next_random());
    let modified_ms = world.now_ms;
    if let Some(node) = world.nodes.values_mut().next() {
        node.files.insert(path.clone(), File { content, mode: 0o644, modified_ms, ..File::default() });
    }
    path
}

/// Removes what was sent, if nobody took it.
pub fn forget(world: &mut World, path: &str) {
    for node in world.nodes.values_mut() {
        node.files.remove(path);
    }
}

/// Hex digest of what was sent.
fn sum(algorithm: &str, content: &[u8]) -> Option<String> {
    Some(match algorithm {
        "sha1" => conf::hex(&sha1::Sha1::digest(content)),
        "sha224" => conf::hex(&sha2::Sha224::digest(content)),
        "sha256" => conf::hex(&sha2::Sha256::digest(content)),
        "sha384" => conf::hex(&sha2::Sha384::digest(content)),
        "sha512" => conf::hex(&sha2::Sha512::digest(content)),
        _ => return None,
    })
}

fn upload(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, node) = (call.var("storage").to_owned(), call.node());
    let wanted = checksum(call)?;
    let what = call.values.text("content").to_owned();
    let storage = content::usable(call, &id)?;
    if storage.path().is_none() {
        return Err(format!("can't upload to storage type '{}'", storage.type_name()).into());
    }
    let takes = storage.content.contains(&what);
    let from = call.values.get("tmpfilename").ok_or("missing temporary file name")?.to_owned();
    let sent = call.world.nodes.values_mut().find_map(|n| n.files.remove(&from));
    let sent = sent.ok_or_else(|| format!("temporary file '{from}' does not exist"))?;
    let file = normal_name(call.values.text("filename"));
    check_name(&what, &file)?;
    if !takes {
        return Err(format!("storage '{id}' does not support '{what}' content").into());
    }
    let checksum = match wanted {
        None => None,
        Some((algorithm, expected)) => {
            let got = sum(&algorithm, &sent.content).ok_or("the lab does not know MD5: use another checksum")?;
            Some((algorithm, expected, got))
        }
    };
    let volume = format!("{what}/{file}");
    let size = sent.content.len() as u64;
    let entry = Volume {
        format: downloads::format_of(&volume).to_owned(),
        size,
        used: size,
        sha256: sum("sha256", &sent.content),
        ctime: call.world.now(),
        ..Volume::default()
    };
    let real_ms = 500 + i64::try_from(size / 500_000).unwrap_or(i64::MAX / 1000);
    let work = Work::Upload { storage: id, volume, from, entry: Box::new(entry), checksum };
    let upid = call.world.spawn(&node, "imgcopy", "", call.caller, real_ms, work);
    Ok(upid.into())
}

/// What the worker does with a file that was sent: PVE overwrites what has the name already.
///
/// # Errors
/// When the sum is another.
pub fn import(
    world: &mut World,
    node: &str,
    volid: &str,
    from: &str,
    entry: &Volume,
    checksum: Option<&(String, String, String)>,
    log: &mut Vec<String>,
) -> Result<String, String> {
    log.push(format!("starting file import from: {from}"));
    if let Some((_, expected, got)) = checksum {
        if !got.eq_ignore_ascii_case(expected) {
            log.push("calculating checksum...".to_owned());
            return Err(format!("checksum mismatch: got '{got}' != expect '{expected}'"));
        }
        log.push("calculating checksum...OK, checksum verified".to_owned());
    }
    let to = world.volume_path(volid).unwrap_or_default();
    log.push(format!("target node: {node}"));
    log.push(format!("target file: {to}"));
    log.push(format!("file size is: {}", entry.size));
    log.push(format!("command: cp -- {from} {to}"));
    world.put_volume(node, volid, entry.clone());
    log.push("finished file import successfully".to_owned());
    Ok("OK".to_owned())
}
