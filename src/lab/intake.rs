//! What a request over HTTP says, read as pveproxy reads it.
//!
//! Owns paths, forms, JSON bodies, credentials and what is refused because of how it was sent. Such a refusal
//! is kept in the request, since the caller's credentials are looked at first. Must not look into what is asked.
//! The entry is [`read`].

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, TRANSFER_ENCODING};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::multipart;
use super::rules::{Refusal, Request};

/// PVE refuses larger bodies of forms with 501 (9.2.11).
pub(super) const MAX_FORM: usize = 512 << 10;
const ROOT: &str = "/api2/";

/// How the answer is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// As the status says.
    Json,
    /// Always 200; whether it went well is in `success`, as the web interface wants it.
    ExtJs,
}

/// What there is to be known before the body.
#[derive(Debug)]
pub(super) struct Head {
    /// All but what the body brings.
    pub request: Request,
    pub format: Format,
    /// How many bytes of body are taken, if any are.
    pub body: Option<usize>,
    query: Vec<(String, String)>,
    content_type: Option<String>,
    declared: usize,
    /// A file is uploaded: the body has parts, and no cross-site token is needed.
    is_upload: bool,
}

fn flaw(status: u16, text: impl Into<String>) -> Refusal {
    Refusal::Text { status, text: text.into() }
}

fn bare(status: u16, reason: impl Into<String>) -> Refusal {
    Refusal::Bare { status, reason: reason.into() }
}

/// Reads everything but the body.
///
/// # Errors
/// What is refused whoever asks.
pub(super) fn read(method: &str, uri: &hyper::Uri, headers: &HeaderMap) -> Result<Head, Refusal> {
    let text = |name| headers.get(name).and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
    if !matches!(method, "GET" | "POST" | "PUT" | "DELETE") {
        return Err(bare(501, format!("method '{method}' not available")));
    }
    if let Some(encoding) = text(TRANSFER_ENCODING) {
        return Err(if encoding.eq_ignore_ascii_case("chunked") {
            flaw(501, "chunked transfer encoding not supported")
        } else {
            flaw(501, format!("Unknown transfer encoding '{encoding}'"))
        });
    }
    let path = plain_slashes(uri.path());
    let Some((format, path)) = path.strip_prefix(ROOT).map(|rest| rest.split_once('/').unwrap_or((rest, ""))) else {
        return Err(flaw(501, format!("no such file '{path}'")));
    };
    let path = format!("/{path}");
    let format = match format {
        "json" => Format::Json,
        "extjs" => Format::ExtJs,
        "" => return Err(flaw(501, "no such uri")),
        other => return Err(flaw(501, format!("no formatter for uri {path}, {other}"))),
    };
    let authorization = text(AUTHORIZATION).map(str::to_owned);
    let named = |header: Option<&str>| header.and_then(|header| credential(header, "PVEAuthCookie"));
    let ticket = named(text(COOKIE)).or_else(|| named(authorization.as_deref()));
    let csrf = headers.get("CSRFPreventionToken").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_upload = method == "POST" && is_upload_path(&path);
    let mut head = Head {
        request: Request { method: method.to_owned(), path, authorization, ticket, csrf, ..Request::default() },
        format,
        body: None,
        query: form(uri.query().unwrap_or_default()),
        content_type: text(CONTENT_TYPE).map(str::to_owned),
        declared: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(0),
        is_upload,
    };
    match head.refuses_body() {
        Err(refusal) => head.request.flaw = Some(refusal),
        Ok(limit) => head.body = limit,
    }
    Ok(head)
}

impl Head {
    /// How much body may come, if any.
    fn refuses_body(&self) -> Result<Option<usize>, Refusal> {
        if self.declared == 0 {
            return Ok(None);
        }
        if !matches!(self.request.method.as_str(), "PUT" | "POST") {
            return Err(flaw(501, format!("Unexpected content for method '{}'", self.request.method)));
        }
        let content_type = self.content_type.as_deref().unwrap_or_default();
        if self.is_upload && multipart::boundary(content_type).is_some() {
            return Ok(Some(usize::MAX));
        }
        if self.declared > MAX_FORM {
            return Err(flaw(501, "for data too large"));
        }
        match media_type(content_type) {
            "" | "application/json" | "application/x-www-form-urlencoded" => Ok(Some(MAX_FORM)),
            _ => Err(flaw(506, format!("upload 'Content-Type '{content_type}' not implemented"))),
        }
    }

    /// The whole request, with what its body says.
    pub fn with_body(self, body: &[u8]) -> Request {
        let mut request = self.request;
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let mut params = Vec::new();
        if let Some(boundary) = multipart::boundary(content_type).filter(|_| self.is_upload && !body.is_empty()) {
            match multipart::parts(body, boundary) {
                Some(parts) => (params, request.upload) = (parts.fields, parts.upload),
                None => request.flaw = Some(flaw(501, "upload failed")),
            }
        } else if media_type(content_type) == "application/json" && !body.is_empty() {
            match json(body) {
                Ok(pairs) => params = pairs,
                Err(refusal) => request.flaw = Some(refusal),
            }
        } else {
            params = form(&String::from_utf8_lossy(body));
        }
        // What stands in the query wins.
        params.retain(|(name, _)| self.query.iter().all(|(other, _)| other != name));
        params.extend(self.query);
        params.retain(|(name, _)| name != "_dc");
        request.params = params;
        request
    }
}

fn is_upload_path(path: &str) -> bool {
    matches!(path.split('/').collect::<Vec<_>>()[..], ["", "nodes", _, "storage", _, "upload"])
}

fn media_type(content_type: &str) -> &str {
    content_type.split([';', ',']).next().unwrap_or_default().trim()
}

/// `NAME=value` in a cookie or an `Authorization`, decoded.
fn credential(header: &str, name: &str) -> Option<String> {
    let value = header
        .split([';', ' '])
        .find_map(|piece| piece.trim().split_once('=').filter(|(found, _)| *found == name))
        .map(|(_, value)| value)?;
    let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// `//` counts as `/` and a trailing one as none.
pub(super) fn plain_slashes(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        out.push('/');
        out.push_str(part);
    }
    out
}

/// A form or query. A value ends at a second bare `=`, as PVE splits there too (pve-http-server).
pub(super) fn form(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split(['&', ';']).filter(|p| !p.is_empty());
    pairs
        .map(|pair| {
            let mut pieces = pair.split('=');
            (decode(pieces.next().unwrap_or_default()), decode(pieces.next().unwrap_or_default()))
        })
        .collect()
}

/// JSON bodies: numbers, texts, true and false are taken; a list is a repeated name.
fn json(body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let parsed: Value = serde_json::from_slice(body).map_err(|error| flaw(500, json_fault(body, &error)))?;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => u8::from(*on).to_string(),
        other => other.to_string(),
    };
    let Value::Object(object) = parsed else {
        return Err(flaw(501, "Not a HASH reference at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 942."));
    };
    let mut pairs = Vec::new();
    for (name, value) in &object {
        match value {
            Value::Array(values) => pairs.extend(values.iter().map(|v| (name.clone(), text(v)))),
            Value::Null => {}
            value => pairs.push((name.clone(), text(value))),
        }
    }
    Ok(pairs)
}

/// What Perl's JSON says of a broken text, newline and all.
fn json_fault(body: &[u8], error: &serde_json::Error) -> String {
    let lines: usize = body.split_inclusive(|b| *b == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    let at = (lines + error.column().saturating_sub(1)).min(body.len());
    let said = error.to_string();
    let what = match said.as_str() {
        said if error.is_eof() && said.contains("string") => "unexpected end of string while parsing JSON string",
        said if said.starts_with("key must be a string") => "'\"' expected",
        said if said.starts_with("expected `,` or `}`") => ", or } expected while parsing object/hash",
        said if said.starts_with("expected `,` or `]`") => ", or ] expected while parsing array",
        said if said.starts_with("expected `:`") => "':' expected",
        said if said.starts_with("trailing characters") => "garbage after JSON object",
        _ => "malformed JSON string, neither tag, array, object, number, string or atom",
    };
    let rest = String::from_utf8_lossy(&body[at..]);
    let before = if rest.is_empty() { "(end of string)".to_owned() } else { rest.chars().take(30).collect() };
    let before = if rest.is_empty() { before } else { format!("\"{before}\"") };
    format!(
        "{what}, at character offset {at} (before {before}) at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(String, String)]) -> Vec<String> {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn head(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Result<Head, Refusal> {
        let headers = headers.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), hyper::header::HeaderValue::from_str(value).unwrap())
        });
        read(method, &uri.parse().unwrap(), &headers.collect())
    }

    #[test]
    fn json_bodies_become_parameters() {
        let pairs = json(br#"{"cores": 2, "onboot": true, "map": ["a", "b"]}"#).unwrap();
        assert_eq!(shown(&pairs), ["cores=2", "onboot=1", "map=a", "map=b"]);
    }

    #[test]
    fn broken_json_is_refused_with_perls_words() {
        let text = |body: &str| json(body.as_bytes()).unwrap_err().text();
        let place = "at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934.\n";
        assert_eq!(text("{bad"), format!("'\"' expected, at character offset 1 (before \"bad\") {place}"));
        assert!(text("nope").starts_with("malformed JSON string"));
        assert!(text("[1]").starts_with("Not a HASH reference"));
    }

    #[test]
    fn forms_are_decoded_once_and_a_bare_equals_sign_ends_a_value() {
        assert_eq!(shown(&form("a=1%2B1&b=x+y&sshkeys=a%2520b")), ["a=1+1", "b=x y", "sshkeys=a%20b"]);
        assert_eq!(shown(&form("net0=virtio,bridge=vmbr0")), ["net0=virtio,bridge"]);
    }

    #[test]
    fn doubled_slashes_are_one() {
        assert_eq!(plain_slashes("//api2/json//version/"), "/api2/json/version");
    }

    #[test]
    fn a_ticket_comes_as_cookie_or_in_the_authorization() {
        let sent = "PVE%3Aroot@pam%3A6B01672F%3A%3Aabc%2Bd%3D%3D";
        let got = Some("PVE:root@pam:6B01672F::abc+d==".to_owned());
        for header in
            [("cookie", format!("a=b; PVEAuthCookie={sent}")), ("authorization", format!("PVEAuthCookie={sent}"))]
        {
            let head = head("GET", "/api2/json/version", &[(header.0, &header.1)]).unwrap();
            assert_eq!(head.request.ticket, got);
        }
        let token = head("GET", "/api2/json/version", &[("authorization", "PVEAPIToken=a@pve!t=x")]).unwrap();
        assert_eq!(token.request.ticket, None);
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_after_the_login() {
        let flaw = |method: &str, headers: &[(&'static str, &str)]| {
            let head = head(method, "/api2/json/pools", headers).unwrap();
            head.request.flaw.map(|flaw| (flaw.status(), flaw.text()))
        };
        let length = ("content-length", "7");
        assert_eq!(flaw("DELETE", &[length]), Some((501, "Unexpected content for method 'DELETE'".to_owned())));
        assert_eq!(flaw("POST", &[length]), None);
        assert_eq!(
            flaw("PUT", &[length, ("content-type", "text/plain")]),
            Some((506, "upload 'Content-Type 'text/plain' not implemented".to_owned()))
        );
        assert_eq!(flaw("POST", &[("content-length", "524289")]), Some((501, "for data too large".to_owned())));
        assert_eq!(flaw("POST", &[("content-length", "524288")]), None);
    }

    #[test]
    fn some_requests_are_refused_whoever_asks() {
        let refused = |method: &str, uri: &str, headers: &[(&'static str, &str)]| {
            let refusal = head(method, uri, headers).unwrap_err();
            (refusal.status(), refusal.text())
        };
        assert_eq!(refused("HEAD", "/api2/json/version", &[]), (501, "method 'HEAD' not available".to_owned()));
        assert_eq!(
            refused("POST", "/api2/json/pools", &[("transfer-encoding", "chunked")]),
            (501, "chunked transfer encoding not supported".to_owned())
        );
        assert_eq!(refused("GET", "/api2/yaml/x", &[]), (501, "no formatter for uri /x, yaml".to_owned()));
        assert_eq!(refused("GET", "/favicon.ico", &[]), (501, "no such file '/favicon.ico'".to_owned()));
    }

    #[test]
    fn the_query_wins_over_the_body_and_cache_busters_are_dropped() {
        let head = head("PUT", "/api2/json/x?cores=1&_dc=9", &[("content-length", "15")]).unwrap();
        assert_eq!(shown(&head.with_body(b"cores=2&name=a").params), ["name=a", "cores=1"]);
    }
}
