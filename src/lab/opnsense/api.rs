//! The API: `/api/unbound` as far as host overrides and their aliases go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::fields;
use super::state::{Host, OpnSense, new_uuid};

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Call<'a> {
    /// The verb.
    pub method: &'a str,
    /// The path, from `/api`.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    /// The header of that name.
    pub authorization: Option<&'a str>,
    /// The header of that name.
    pub content_type: Option<&'a str>,
    /// What was sent.
    pub body: &'a [u8],
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

fn ok(body: Value) -> Answer {
    Answer { status: 200, body }
}

fn refused(status: u16, message: &str) -> Answer {
    Answer { status, body: json!({ "status": status, "message": message }) }
}

/// How a record's kind is shown in a list.
fn described(rr: &str) -> &str {
    match rr {
        "A" => "A (IPv4 address)",
        "AAAA" => "AAAA (IPv6 address)",
        "MX" => "MX (Mail server)",
        other => other,
    }
}

/// The form that an id must have for something to be made under it.
fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| hex(part))
        && parts[2].starts_with('4')
        && parts[3].starts_with(['8', '9', 'a', 'b'])
}

impl OpnSense {
    /// Answers a request; what it changes is in `self` then.
    pub fn answer(&mut self, call: &Call<'_>) -> Answer {
        let Some(key) = self.caller(call.authorization) else { return refused(401, "Authentication Failed") };
        let Some(path) = call.path.strip_prefix("/api/unbound/") else {
            return Answer { status: 404, body: json!({ "errorMessage": "Endpoint not found" }) };
        };
        if key == self.stranger {
            return refused(403, "Forbidden");
        }
        let json_type = call.content_type.is_some_and(|kind| kind.starts_with("application/json"));
        let posted: Value = match serde_json::from_slice(call.body) {
            Ok(value) if json_type => value,
            _ if json_type => return refused(400, "Invalid JSON syntax"),
            _ => Value::Null,
        };
        let post = call.method == "POST";
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match parts.as_slice() {
            ["settings", "searchHostOverride" | "search_host_override"] => {
                let rows = self.hosts.iter().map(|(uuid, host)| row(uuid, host)).collect();
                ok(page(rows, call.query))
            }
            ["settings", "searchHostAlias" | "search_host_alias"] => {
                let rows = self.aliases.iter().map(|(uuid, alias)| {
                    let of = self.hosts.get(&alias.host);
                    let of = of.map_or_else(String::new, |host| format!("{}.{}", host.hostname, host.domain));
                    json!({ "uuid": uuid, "enabled": alias.enabled, "host": of, "hostname": alias.hostname,
                        "domain": alias.domain, "description": alias.description })
                });
                ok(page(rows.collect(), call.query))
            }
            ["settings", "addHostOverride" | "add_host_override"] => match posted.get("host").filter(|_| post) {
                Some(given) => self.save(&new_uuid(), given, true),
                None => ok(json!({ "result": "failed" })),
            },
            ["settings", "setHostOverride" | "set_host_override", uuid] => {
                match posted.get("host").filter(|_| post && (self.hosts.contains_key(*uuid) || is_uuid(uuid))) {
                    Some(given) => self.save(uuid, given, false),
                    None => ok(json!({ "result": "failed" })),
                }
            }
            ["settings", "delHostOverride" | "del_host_override", uuid] if post => {
                // What hangs on it goes first.
                self.aliases.retain(|_, alias| alias.host != *uuid);
                let gone = self.hosts.remove(*uuid).is_some();
                self.saves += u32::from(gone);
                ok(json!({ "result": if gone { "deleted" } else { "not found" } }))
            }
            ["service", "reconfigure"] if post => {
                self.reconfigure();
                ok(json!({ "status": "ok" }))
            }
            ["service", "reconfigure"] => ok(json!({ "status": "failed" })),
            ["settings", "setHostOverride" | "delHostOverride"] => {
                refused(400, &format!("action {} expects at least 1 parameter(s)", parts[1]))
            }
            ["settings", ..] if !post => ok(json!({ "result": "failed" })),
            _ => Answer { status: 404, body: json!({ "errorMessage": "Endpoint not found" }) },
        }
    }

    /// The key of whoever asks, if the secret is its own.
    fn caller(&self, header: Option<&str>) -> Option<String> {
        let encoded = header?.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (key, secret) = decoded.split_once(':')?;
        let known = secret == self.secret && [&self.key, &self.stranger].contains(&&key.to_owned());
        known.then(|| key.to_owned())
    }

    /// Fields that are not given stay as they are, or as they are of a new one.
    fn save(&mut self, uuid: &str, given: &Value, new: bool) -> Answer {
        let fresh = || Host { enabled: "1".to_owned(), rr: "A".to_owned(), ..Host::default() };
        let mut host = self.hosts.get(uuid).cloned().unwrap_or_else(fresh);
        let fields: [(&str, &mut String); 8] = [
            ("enabled", &mut host.enabled),
            ("hostname", &mut host.hostname),
            ("domain", &mut host.domain),
            ("rr", &mut host.rr),
            ("mxprio", &mut host.mxprio),
            ("mx", &mut host.mx),
            ("server", &mut host.server),
            ("description", &mut host.description),
        ];
        for (name, field) in fields {
            if let Some(value) = given.get(name).and_then(Value::as_str) {
                value.trim().clone_into(field);
            }
        }
        let wrong = fields::wrong(&host);
        if !wrong.is_empty() {
            let wrong: Map<String, Value> =
                wrong.into_iter().map(|(field, why)| (field.to_owned(), json!(why))).collect();
            return ok(json!({ "result": "failed", "validations": wrong }));
        }
        self.hosts.insert(uuid.to_owned(), host);
        self.saves += 1;
        ok(if new { json!({ "result": "saved", "uuid": uuid }) } else { json!({ "result": "saved" }) })
    }
}

fn row(uuid: &str, host: &Host) -> Value {
    // What was never written is `null` in a list.
    let text = |value: &str| if value.is_empty() { Value::Null } else { json!(value) };
    json!({
        "uuid": uuid,
        "enabled": host.enabled,
        "hostname": text(&host.hostname),
        "domain": host.domain,
        "rr": described(&host.rr),
        "mxprio": text(&host.mxprio),
        "mx": text(&host.mx),
        "server": text(&host.server),
        "description": text(&host.description),
    })
}

/// As many rows as were asked for; all of them without a word, and with -1.
fn page(rows: Vec<Value>, query: &str) -> Value {
    let number = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.and_then(|value| value.parse::<i64>().ok())
    };
    let (total, current) = (rows.len(), number("current").unwrap_or(1).max(1));
    let rows: Vec<Value> = match usize::try_from(number("rowCount").unwrap_or(-1)) {
        Ok(count) => {
            let before = usize::try_from(current - 1).unwrap_or(0).saturating_mul(count);
            rows.into_iter().skip(before).take(count).collect()
        }
        Err(_) => rows,
    };
    json!({ "rowCount": rows.len(), "total": total, "current": current, "rows": rows })
}
