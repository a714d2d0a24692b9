//! What cannot be the same twice, one by one with the reason: even then it is there and of the same type.

use std::collections::BTreeSet;

use super::compare::macs;

/// How much of a value has to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// Presence and type; of texts whether they are numbers, hex or words; of objects the keys and their types.
    Shape,
    /// A text that is not empty, where the recordings have something else in place of a secret.
    Secret,
    /// A number; PVE prints the same figure as integer or with a fraction.
    Number,
    /// The same words in any order.
    Set,
}

/// Endpoint (part of the path, or empty for all), last key of the place, how, why.
pub const VARYING: &[(&str, &str, Same, &str)] = &[
    ("", "digest", Same::Shape, "hash over a file that holds uuids and times"),
    ("/access/ticket", "ticket", Same::Secret, "secret, replaced in the recordings"),
    ("/access/ticket", "CSRFPreventionToken", Same::Secret, "secret, replaced in the recordings"),
    ("/token/", "value", Same::Secret, "secret, replaced in the recordings"),
    ("", "pid", Same::Shape, "number of a process"),
    ("", "pstart", Same::Shape, "start of a process in clock ticks"),
    ("", "starttime", Same::Shape, "time"),
    ("", "endtime", Same::Shape, "time"),
    ("", "uptime", Same::Shape, "time"),
    ("", "snaptime", Same::Shape, "time"),
    ("", "ctime", Same::Shape, "time"),
    ("/time", "time", Same::Shape, "time"),
    ("/time", "localtime", Same::Shape, "time"),
    ("/rrddata", "memused", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "memavailable", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "rootused", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "loadavg", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "iowait", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "arcsize", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "pressurecpusome", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "pressureiosome", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "pressureiofull", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "pressurememorysome", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "pressurememoryfull", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "netin", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("/rrddata", "netout", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("", "cpu", Same::Number, "load; figures of load are not trustworthy in the recordings"),
    ("", "mem", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("", "memhost", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("", "disk", Same::Shape, "what is used; differs with the file system below"),
    ("", "diskread", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("", "diskwrite", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("", "netin", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("", "netout", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("/status", "loadavg", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("/status", "memory", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("/status", "swap", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("/status", "rootfs", Same::Shape, "what is used; differs with the file system below"),
    ("", "used", Same::Shape, "what is used; differs with the file system below"),
    ("", "avail", Same::Shape, "what is used; differs with the file system below"),
    ("", "used_fraction", Same::Number, "what is used; differs with the file system below"),
    ("", "ssl_fingerprint", Same::Shape, "every lab makes its own certificate"),
    (
        "/network",
        "changes",
        Same::Shape,
        "the heads of a diff hold times of files; what is in it is held by a test of its own",
    ),
    ("/netstat", "in", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("/netstat", "out", Same::Shape, "load; figures of load are not trustworthy in the recordings"),
    ("", "content", Same::Set, "PVE prints a hash: the order is another in every answer"),
];

/// How much of the value at a place has to be the same; everything, if nothing comes out.
pub fn rule(target: &str, at: &str) -> Option<Same> {
    let key = at.rsplit('.').next().unwrap_or_default();
    let key = key.split('[').next().unwrap_or_default();
    // Lists of pending changes hold the digest as if it were a setting.
    if at.ends_with("[digest].value") {
        return Some(Same::Shape);
    }
    let path = target.split('?').next().unwrap_or_default();
    VARYING.iter().find(|(part, name, _, _)| *name == key && path.contains(part)).map(|(_, _, same, _)| *same)
}

/// What kind of text it is.
pub fn class(text: &str) -> &'static str {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.len() {
        0 => "empty",
        _ if digits => "of digits",
        _ if text.parse::<f64>().is_ok() => "of a number",
        40 if text.bytes().all(|b| b.is_ascii_hexdigit()) => "SHA-1",
        _ if text.len() > 32 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') => "fingerprint",
        _ => "words",
    }
}

/// A text without what is made up anew each time inside it: MACs that nobody chose, uuids, the time of making.
pub fn plain(text: &str, chosen: &BTreeSet<String>) -> String {
    let mut out = text.to_owned();
    for mac in macs(text).into_iter().filter(|mac| mac.starts_with("BC:24:11") && !chosen.contains(mac)) {
        out = out.replace(&mac, "<mac>").replace(&mac.to_ascii_lowercase(), "<mac>");
    }
    for (prefix, digit) in
        [("uuid=", uuid as fn(char) -> bool), ("ctime=", |c| c.is_ascii_digit()), ("password: $5$", |c| c != '\n')]
    {
        if let Some(at) = out.find(prefix) {
            let start = at + prefix.len();
            let end = out[start..].find(|c| !digit(c)).map_or(out.len(), |n| start + n);
            out.replace_range(start..end, "<new>");
        }
    }
    // The recordings took a `vmgenid` for a secret.
    if out == "<token-secret>" || (out.len() == 36 && out.chars().all(uuid)) {
        return "<uuid>".into();
    }
    out
}

fn uuid(c: char) -> bool {
    c.is_ascii_hexdigit() || c == '-'
}
