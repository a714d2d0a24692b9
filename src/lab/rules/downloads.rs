//! Fetching a file into a storage: what the `download` worker does.

use super::super::world::{Download, Volume, World};
use crate::model::Size;

/// The file that somebody asks for: an image or a template of a usual size, with the sum that they expect.
fn asked_for(volume: &str, checksum: Option<&(String, String)>) -> Download {
    let image = volume.starts_with("import/");
    Download {
        size: if image { Size::mib(650) } else { Size::mib(120) }.as_bytes(),
        virtual_size: image.then(|| Size::mib(2252).as_bytes()),
        checksums: checksum.cloned().into_iter().collect(),
        ..Download::default()
    }
}

/// What a URL has, if anything.
fn find(world: &World, url: &str, volume: &str, checksum: Option<&(String, String)>) -> Option<Download> {
    let known = world.downloads.get(url).cloned();
    known.or_else(|| world.any_download.then(|| asked_for(volume, checksum)))
}

/// What a URL has, whoever asks for whatever of it.
pub fn look(world: &World, url: &str) -> Option<Download> {
    find(world, url, "", None)
}

/// The reason phrase of a status, as servers usually send it.
pub fn reason(status: u16) -> &'static str {
    match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Format of a file by its name, as lists show it.
pub fn format_of(volume: &str) -> &'static str {
    match volume.rsplit('/').next().unwrap_or_default() {
        n if n.ends_with(".tar.gz") => "tgz",
        n if n.ends_with(".tar.xz") => "txz",
        n if n.ends_with(".tar.zst") => "tzst",
        n if n.ends_with(".tar.bz2") => "tbz2",
        n if n.ends_with(".qcow2") => "qcow2",
        n if n.ends_with(".vmdk") => "vmdk",
        n if n.ends_with(".ova") => "ova",
        _ if volume.starts_with("iso/") => "iso",
        _ => "raw",
    }
}

/// How much there is to be fetched from a URL, in bytes.
pub fn size(world: &World, url: &str, volume: &str) -> u64 {
    find(world, url, volume, None).map_or(0, |download| download.size)
}

/// Fetches a file, or finds that it need not.
///
/// # Errors
/// PVE's text: exists already, not found, no connection, wrong sum, no space.
pub fn fetch(
    world: &mut World,
    node: &str,
    storage: &str,
    volume: &str,
    url: &str,
    checksum: Option<&(String, String)>,
    log: &mut Vec<String>,
) -> Result<String, String> {
    let path = world.volume_path(&format!("{storage}:{volume}")).unwrap_or_default();
    log.push(format!("downloading {url} to {path}"));
    let there = world.volumes(node, storage).remove(volume);
    let found = find(world, url, volume, checksum);
    let sum_of = |algorithm: &str| found.as_ref().and_then(|f| f.checksums.get(algorithm)).cloned();
    if let Some(existing) = there {
        let same = checksum.is_some_and(|(algorithm, expected)| {
            let own = if algorithm == "sha256" { existing.sha256.clone() } else { sum_of(algorithm) };
            own.is_some_and(|own| own.eq_ignore_ascii_case(expected))
        });
        if !same {
            if checksum.is_some() {
                log.push("calculating checksum of existing file...".to_owned());
            }
            return Err(format!("refusing to override existing file '{path}'"));
        }
        log.push(
            "calculating checksum of existing file...OK, got correct file already, no need to download".to_owned(),
        );
        return Ok("OK".to_owned());
    }
    let host = url.split('/').nth(2).unwrap_or_default();
    log.push(format!("--  {url}"));
    let Some(found) = found else {
        // Nobody told the lab of this address: its resolver does not know it.
        return Err(format!("download failed: wget: unable to resolve host address '{host}'"));
    };
    if found.refused {
        return Err(format!("download failed: Connecting to {host}... failed: Connection refused."));
    }
    log.push(format!("Connecting to {host}... connected."));
    if let Some(status) = found.status.filter(|s| *s != 200) {
        log.push(format!("HTTP request sent, awaiting response... {status}"));
        log.push(format!("ERROR {status}."));
        return Err("download failed: exit code 8".to_owned());
    }
    log.push("HTTP request sent, awaiting response... 200 OK".to_owned());
    log.push(format!("Length: {}", found.size));
    let (_, free) = world.space(node, storage);
    if found.size > free {
        return Err("download failed: exit code 3".to_owned());
    }
    if let Some((algorithm, expected)) = checksum {
        let got = found.checksums.get(algorithm).cloned().unwrap_or_default();
        log.push("calculating checksum...".to_owned());
        if !got.eq_ignore_ascii_case(expected) {
            return Err(format!("checksum mismatch: got '{got}' != expect '{expected}'"));
        }
        log.push("OK, checksum verified".to_owned());
    }
    let entry = Volume {
        format: format_of(volume).to_owned(),
        size: found.size,
        used: found.size,
        virtual_size: found.virtual_size,
        sha256: found.checksums.get("sha256").cloned(),
        ctime: world.now(),
        ..Volume::default()
    };
    world.put_volume(node, &format!("{storage}:{volume}"), entry);
    log.push(format!("download of '{url}' to '{path}' finished"));
    Ok("OK".to_owned())
}
