//! `/nodes/N/query-url-metadata`: what a URL has, as the host sees it.

use serde_json::json;

use super::super::endpoint::Access::All;
use super::super::param::{Kind, Param, optional as o, required};
use super::super::{Answer, Call, Endpoint, Refusal, downloads};
use super::fetch::{is_url, may_fetch};
use crate::ports::Method::Get;

const QUERY: &[Param] = &[required("url", Kind::Pattern(is_url)), o("verify-certificates", Kind::Bool)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::new(Get, "/nodes/{node}/query-url-metadata", &[QUERY], All, query)];

fn mime(file: &str) -> &'static str {
    match file.rsplit('.').next().unwrap_or_default() {
        "iso" => "application/x-iso9660-image",
        "gz" => "application/gzip",
        "xz" => "application/x-xz",
        "zst" => "application/zstd",
        _ => "application/octet-stream",
    }
}

fn query(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    may_fetch(call)?;
    let url = call.values.text("url");
    let bad = |text: String| Refusal::failed(format!("invalid server response: '{text}'"));
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if scheme == "https" { 443 } else { 80 };
    let at = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    let file = path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    match downloads::look(call.world, url) {
        None => Err(bad(format!("500 Can't connect to {at} (Name or service not known)"))),
        Some(found) if found.refused => Err(bad(format!("500 Can't connect to {at} (Connection refused)"))),
        Some(found) => match found.status.filter(|status| *status != 200) {
            Some(status) => Err(bad(format!("{status} {}", downloads::reason(status)))),
            None => Ok(json!({"mimetype": mime(file), "size": found.size, "filename": file}).into()),
        },
    }
}
