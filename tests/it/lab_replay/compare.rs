//! What was recorded against what the lab answers, leaf by leaf.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::recording::Row;
use super::varying::{self, Same};
use super::wire::Actual;

/// One thing that is not as recorded.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Where: `status`, `reason`, `content-type`, `message`, `errors.cores`, `data.memory`, `data[100].name`.
    pub at: String,
    /// Recorded and ours.
    pub what: String,
}

/// Compares one exchange; nothing comes out if all is as recorded.
pub fn compare(row: &Row, actual: &Actual, chosen: &BTreeSet<String>) -> Vec<Difference> {
    let mut eyes = Eyes { row, chosen, found: Vec::new() };
    let recorded = &row.response;
    if recorded.status != actual.status {
        let (theirs, ours) = (&recorded.reason, &actual.reason);
        eyes.differ("status", format!("{} {theirs} / {} {ours}", recorded.status, actual.status));
        return eyes.found;
    }
    if eyes.plain(&recorded.reason) != eyes.plain(&actual.reason) {
        eyes.differ("reason", format!("{} / {}", recorded.reason, actual.reason));
    }
    if recorded.content_type.as_deref() != actual.header("content-type") {
        eyes.differ("content-type", format!("{:?} / {:?}", recorded.content_type, actual.header("content-type")));
    }
    if actual.status == 401 && actual.header("www-authenticate").is_some() {
        eyes.differ("www-authenticate", "none / some".to_owned());
    }
    let closes = actual.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
    // pveproxy keeps no connection on which a file was sent (pve-http-server).
    if closes != (actual.status >= 400 || row.request.target.ends_with("/upload")) {
        eyes.differ("connection", format!("PVE closes after an error and after an upload only / {closes}"));
    }
    if recorded.json.is_null() {
        let (theirs, ours) = (recorded.text.clone().unwrap_or_default(), String::from_utf8_lossy(&actual.body));
        if theirs != ours {
            eyes.differ("body", format!("{theirs:?} / {ours:?}"));
        }
        return eyes.found;
    }
    let (theirs, ours) = (&recorded.json, &actual.json());
    if row.name.ends_with("task-log") && theirs["data"].is_array() && ours["data"].is_array() {
        eyes.log(theirs, ours);
    } else {
        eyes.walk("", theirs, ours);
    }
    eyes.found
}

struct Eyes<'a> {
    row: &'a Row,
    chosen: &'a BTreeSet<String>,
    found: Vec<Difference>,
}

impl Eyes<'_> {
    fn differ(&mut self, at: &str, what: String) {
        let short: String = what.chars().take(400).collect();
        self.found.push(Difference { at: at.trim_start_matches('.').to_owned(), what: short });
    }

    fn plain(&self, text: &str) -> String {
        varying::plain(text, self.chosen)
    }

    /// Of a task's log: numbered lines, the last one the same. Those between are what programs print.
    fn log(&mut self, theirs: &Value, ours: &Value) {
        let last = |v: &Value| v["data"].as_array().and_then(|l| l.last()).map(|l| l["t"].clone());
        match (last(theirs), last(ours)) {
            (a, b) if a == b => {}
            (Some(Value::String(a)), Some(Value::String(b))) if self.plain(&a) == self.plain(&b) => {}
            (a, b) => self.differ("data[last].t", format!("{a:?} / {b:?}")),
        }
        for (index, line) in ours["data"].as_array().into_iter().flatten().enumerate() {
            let numbered = line["n"] == index + 1 && line["t"].is_string();
            if !numbered || line.as_object().is_none_or(|l| l.len() != 2) {
                self.differ("data[]", format!("n and t / {line}"));
            }
        }
        if !ours["total"].is_u64() {
            self.differ("total", format!("{} / {}", theirs["total"], ours["total"]));
        }
        let keys = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<BTreeSet<_>>());
        if keys(theirs) != keys(ours) {
            self.differ("body", format!("{:?} / {:?}", keys(theirs), keys(ours)));
        }
    }

    fn walk(&mut self, at: &str, theirs: &Value, ours: &Value) {
        if theirs == ours {
            return;
        }
        match varying::rule(&self.row.request.target, at) {
            Some(Same::Shape) if shape(theirs) == shape(ours) => return,
            Some(Same::Secret) if ours.as_str().is_some_and(|text| !text.is_empty()) => {
                let theirs = theirs.as_str().unwrap_or_default();
                if !(theirs.contains('<') && theirs.ends_with('>')) {
                    self.differ(at, format!("{theirs} / a secret"));
                }
                return;
            }
            Some(Same::Number) if theirs.is_number() && ours.is_number() => return,
            Some(Same::Set) if set(theirs).is_some() && set(theirs) == set(ours) => return,
            _ => {}
        }
        match (theirs, ours) {
            (Value::Object(a), Value::Object(b)) => {
                for (key, value) in a {
                    match b.get(key) {
                        Some(other) => self.walk(&format!("{at}.{key}"), value, other),
                        None => self.differ(&format!("{at}.{key}"), format!("{value} / missing")),
                    }
                }
                for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                    self.differ(&format!("{at}.{key}"), format!("not there / {value}"));
                }
            }
            (Value::Array(a), Value::Array(b)) => self.list(at, a, b),
            (Value::String(a), Value::String(b)) if upid(a).is_some() && upid(a) == upid(b) => {}
            (Value::String(a), Value::String(b)) if self.plain(a) == self.plain(b) => {}
            _ => self.differ(at, format!("{theirs} / {ours}")),
        }
    }

    /// Lists whose order means something are held in order, the others by what names their elements: PVE lists hashes.
    fn list(&mut self, at: &str, theirs: &[Value], ours: &[Value]) {
        let ordered = |list: &[Value]| list.iter().any(|v| ["pos", "n", "upid"].iter().any(|k| v.get(k).is_some()));
        if ordered(theirs) || ordered(ours) {
            for (index, (a, b)) in theirs.iter().zip(ours).enumerate() {
                self.walk(&format!("{at}[{index}]"), a, b);
            }
            if theirs.len() != ours.len() {
                self.differ(at, format!("{} elements / {}", theirs.len(), ours.len()));
            }
            return;
        }
        let named = |list: &[Value]| -> BTreeMap<String, Value> {
            let mut out = BTreeMap::new();
            for value in list {
                let name = name_of(value);
                // Two of the same name: the second is told apart by its place.
                let name = if out.contains_key(&name) { format!("{name}#{}", out.len()) } else { name };
                out.insert(name, value.clone());
            }
            out
        };
        let (a, b) = (named(theirs), named(ours));
        for (name, value) in &a {
            match b.get(name) {
                Some(other) => self.walk(&format!("{at}[{name}]"), value, other),
                None => self.differ(&format!("{at}[{name}]"), format!("{value} / missing")),
            }
        }
        for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
            self.differ(&format!("{at}[{name}]"), format!("not there / {value}"));
        }
    }
}

fn name_of(value: &Value) -> String {
    const NAMES: &[&str] = &[
        "ugid", "upid", "volid", "userid", "tokenid", "roleid", "groupid", "sid", "id", "vmid", "poolid", "key",
        "subdir", "iface", "storage", "name", "cidr", "macro", "service", "template", "realm", "filename", "dev",
        "time",
    ];
    match value {
        Value::Object(map) => {
            let text = |key: &str| map.get(key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            let name = NAMES.iter().find_map(|key| text(key)).unwrap_or_default();
            match text("path").filter(|_| map.contains_key("ugid")) {
                Some(path) => format!("{path} {name} {}", text("roleid").unwrap_or_default()),
                None => name,
            }
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Type of a leaf; texts that are numbers are told from other texts, empty from non-empty.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(n) if n.is_f64() => "float".into(),
        Value::Number(_) => "int".into(),
        Value::String(text) => format!("text {}", varying::class(text)),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(shape).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(","))
        }
        Value::Object(map) => {
            let mut parts: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", shape(v))).collect();
            parts.sort();
            format!("{{{}}}", parts.join(","))
        }
    }
}

fn set(value: &Value) -> Option<BTreeSet<&str>> {
    Some(value.as_str()?.split(',').collect())
}

/// A UPID without what cannot be the same: process, times.
fn upid(text: &str) -> Option<(String, String, String, String)> {
    let parts: Vec<&str> = text.strip_prefix("UPID:")?.split(':').collect();
    let hex = |at: usize| parts[at].len() == 8 && parts[at].bytes().all(|b| b.is_ascii_hexdigit());
    if parts.len() != 8 || !(1..4).all(hex) {
        return None;
    }
    Some((parts[0].into(), parts[4].into(), parts[5].into(), parts[6..].join(":")))
}

/// MAC addresses in a text, in upper case.
pub fn macs(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for at in 0..text.len().saturating_sub(16) {
        let Some(part) = text.get(at..at + 17) else { continue };
        let fits = part.bytes().enumerate().all(|(i, b)| if i % 3 == 2 { b == b':' } else { b.is_ascii_hexdigit() });
        if fits {
            out.push(part.to_ascii_uppercase());
        }
    }
    out
}
