//! The API: `/api/v2` of Tailscale, as far as policies, keys, devices and OAuth go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::hujson;
use super::judge::{self, Refusal};
use super::state::{Device, Key, Tailnet, hex};

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Call<'a> {
    /// The verb.
    pub method: &'a str,
    /// The path, from `/api/v2`.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    /// The header of that name.
    pub authorization: Option<&'a str>,
    /// The header of that name.
    pub accept: Option<&'a str>,
    /// The header of that name.
    pub if_match: Option<&'a str>,
    /// What was sent.
    pub body: &'a [u8],
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// The header of that name.
    pub etag: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The longest that a key may be good for.
const LONGEST: i64 = 90 * 24 * 3600;

fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, content_type: "application/json", etag: None, body: body.to_string().into_bytes() }
}

fn refused(status: u16, message: &str) -> Answer {
    answer(status, &json!({ "message": message }))
}

/// Who asks.
#[derive(PartialEq)]
enum Caller {
    Everything,
    Reads,
    Client,
}

impl Tailnet {
    /// Answers a request; what it changes is in `self` then.
    pub fn answer(&mut self, call: &Call<'_>, now: Timestamp) -> Answer {
        let Some(path) = call.path.strip_prefix("/api/v2/") else { return refused(404, "not found") };
        let parts: Vec<&str> = path.split('/').collect();
        if (call.method, parts.as_slice()) == ("POST", &["oauth", "token"]) {
            return self.token(call);
        }
        let Some(caller) = self.caller(call.authorization) else { return refused(401, "API token invalid") };
        let writes = call.method != "GET" && !path.ends_with("/validate");
        if writes && caller == Caller::Reads {
            return refused(403, "calling actor does not have enough permissions to perform this function");
        }
        match (call.method, parts.as_slice()) {
            (_, ["tailnet", name, ..]) if *name != "-" => refused(404, "tailnet not found"),
            ("GET", ["tailnet", _, "acl"]) => self.policy(call),
            ("POST", ["tailnet", _, "acl"]) => self.set_policy(call),
            ("POST", ["tailnet", _, "acl", "validate"]) => self.validate(call.body),
            ("GET", ["tailnet", _, "devices"]) => {
                // Routes are told only to whoever asks for every field.
                let all = call.query.split('&').any(|pair| pair == "fields=all");
                let one = |device: &Device| {
                    let mut shown = self::device(device);
                    if all {
                        shown["enabledRoutes"] = json!(device.routes);
                    }
                    shown
                };
                answer(200, &json!({ "devices": self.devices.iter().map(one).collect::<Vec<_>>() }))
            }
            ("GET", ["tailnet", _, "keys"]) => {
                let live = self.keys.iter().filter(|key| key.revoked.is_none() && key.expires > now && !key.used);
                answer(200, &json!({ "keys": live.map(|key| json!({ "id": key.id })).collect::<Vec<_>>() }))
            }
            ("POST", ["tailnet", _, "keys"]) => self.make_key(call.body, &caller, now),
            ("GET", ["tailnet", _, "keys", id]) => match self.keys.iter().find(|key| key.id == *id) {
                Some(key) => answer(200, &shown(key, now)),
                None => refused(404, "key not found"),
            },
            ("DELETE", ["tailnet", _, "keys", id]) => match self.keys.iter_mut().find(|key| key.id == *id) {
                Some(key) => {
                    key.revoked = Some(now);
                    answer(200, &Value::Null)
                }
                None => refused(404, "key not found"),
            },
            (method, ["device", id, rest @ ..]) => self.one_device(method, id, rest, call.body, now),
            _ => refused(404, "not found"),
        }
    }

    fn caller(&self, header: Option<&str>) -> Option<Caller> {
        let header = header?;
        let token = match header.split_once(' ')? {
            ("Bearer", token) => token.to_owned(),
            ("Basic", encoded) => {
                let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
                decoded.split_once(':')?.0.to_owned()
            }
            _ => return None,
        };
        match token {
            token if token == self.token => Some(Caller::Everything),
            token if token == self.reader => Some(Caller::Reads),
            token if token == self.access && !token.is_empty() => Some(Caller::Client),
            _ => None,
        }
    }

    fn token(&mut self, call: &Call<'_>) -> Answer {
        let form = String::from_utf8_lossy(call.body).into_owned();
        let given = form.split('&').find_map(|pair| pair.strip_prefix("client_secret="));
        if given != Some(self.client.as_str()) {
            return refused(401, "API token invalid");
        }
        self.made += 1;
        self.access = format!("tskey-api-oauth{}-{}", self.made, &hex(&format!("{}{}", self.client, self.made))[..24]);
        answer(200, &json!({ "access_token": self.access, "token_type": "Bearer", "expires_in": 3600, "scope": "all" }))
    }

    fn policy(&self, call: &Call<'_>) -> Answer {
        let etag = Some(self.etag());
        if call.query.split('&').any(|pair| pair == "details=1") {
            let body = json!({ "acl": STANDARD.encode(&self.policy), "warnings": [], "errors": null });
            return Answer { etag, ..answer(200, &body) };
        }
        Answer { etag, ..self.written(call.accept) }
    }

    /// The policy in the form that was asked for.
    fn written(&self, accept: Option<&str>) -> Answer {
        if accept.is_some_and(|accept| accept.contains("application/json"))
            && let Ok(value) = hujson::read(&self.policy)
        {
            return answer(200, &value);
        }
        Answer { status: 200, content_type: "application/hujson", etag: None, body: self.policy.clone().into_bytes() }
    }

    fn set_policy(&mut self, call: &Call<'_>) -> Answer {
        if let Some(wanted) = call.if_match {
            let bare = wanted.trim_matches('"');
            let matches = if bare == "ts-default" { self.untouched } else { bare == self.etag().trim_matches('"') };
            if !matches {
                return refused(412, "precondition failed, invalid old hash");
            }
        }
        let Ok(text) = std::str::from_utf8(call.body) else { return refused(400, "policy is not UTF-8") };
        if let Err(Refusal(body)) = judge::judge(text, &self.devices) {
            return answer(400, &body);
        }
        self.policy = text.to_owned();
        self.untouched = false;
        Answer { etag: Some(self.etag()), ..self.written(call.accept) }
    }

    /// 200 whatever comes out: what is wrong stands in the body.
    fn validate(&self, body: &[u8]) -> Answer {
        let Ok(text) = std::str::from_utf8(body) else { return refused(400, "policy is not UTF-8") };
        let judged = match hujson::read(text) {
            Ok(tests @ Value::Array(_)) => judge::run_tests(&self.policy, &tests, &self.devices),
            _ => judge::judge(text, &self.devices),
        };
        match judged {
            Ok(()) => answer(200, &json!({})),
            Err(Refusal(body)) => answer(200, &body),
        }
    }

    fn make_key(&mut self, body: &[u8], caller: &Caller, now: Timestamp) -> Answer {
        let Ok(Value::Object(asked)) = serde_json::from_slice::<Value>(body) else {
            return refused(400, "invalid request body");
        };
        let Some(devices) = asked.get("capabilities").and_then(|c| c.get("devices")).and_then(Value::as_object) else {
            return refused(400, "capabilities must be set");
        };
        let none = Map::new();
        let create = devices.get("create").and_then(Value::as_object).unwrap_or(&none);
        let flag = |name: &str| create.get(name).and_then(Value::as_bool).unwrap_or(false);
        let tags: Vec<String> = create
            .get("tags")
            .and_then(Value::as_array)
            .map(|tags| tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
            .unwrap_or_default();
        if *caller == Caller::Client && tags.is_empty() {
            return refused(400, "tailnet-owned auth key must have tags set");
        }
        let owned = judge::tags(&self.policy);
        let unknown: Vec<&str> = tags.iter().filter(|tag| !owned.contains(*tag)).map(String::as_str).collect();
        if !unknown.is_empty() {
            return refused(400, &format!("requested tags [{}] are invalid or not permitted", unknown.join(" ")));
        }
        let description = asked.get("description").and_then(Value::as_str).unwrap_or_default();
        let letters = |c: char| c.is_ascii_alphanumeric() || "-_ ".contains(c);
        if description.len() > 50 || !description.chars().all(letters) {
            return refused(400, "description can contain a maximum of 50 alphanumeric characters, hyphens and spaces");
        }
        let seconds = asked.get("expirySeconds").and_then(Value::as_i64).unwrap_or(LONGEST);
        if !(1..=LONGEST).contains(&seconds) {
            return refused(400, "expirySeconds must be between 1 and 7776000");
        }
        self.made += 1;
        let id = format!("k{:04}lab11CNTRL", self.made);
        let mut dice = fastrand::Rng::new();
        let word: String = (0..32).map(|_| dice.alphanumeric()).collect();
        let secret = format!("tskey-auth-{id}-{word}");
        let key = Key {
            digest: hex(&secret),
            tags,
            reusable: flag("reusable"),
            ephemeral: flag("ephemeral"),
            preauthorized: flag("preauthorized"),
            created: now,
            expires: now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now),
            description: description.to_owned(),
            revoked: None,
            used: false,
            id,
        };
        let mut body = shown(&key, now);
        body["key"] = json!(secret);
        self.keys.push(key);
        answer(200, &body)
    }

    fn one_device(&mut self, method: &str, id: &str, rest: &[&str], body: &[u8], now: Timestamp) -> Answer {
        let Some(at) = self.devices.iter().position(|device| device.id == id) else {
            return refused(404, "no manageable device matching this ID found");
        };
        match (method, rest) {
            ("GET", []) => answer(200, &device(&self.devices[at])),
            ("DELETE", []) => {
                self.devices.remove(at);
                answer(200, &Value::Null)
            }
            ("POST", ["authorized"]) => {
                let asked: Value = serde_json::from_slice(body).unwrap_or_default();
                let Some(yes) = asked.get("authorized").and_then(Value::as_bool) else {
                    return refused(400, "invalid request body");
                };
                self.devices[at].authorized = yes;
                answer(200, &json!({}))
            }
            ("POST", ["key"]) => {
                let asked: Value = serde_json::from_slice(body).unwrap_or_default();
                match asked.get("keyExpiryDisabled").and_then(Value::as_bool) {
                    Some(true) => self.devices[at].expires = None,
                    Some(false) => {
                        let ends = now.checked_add(SignedDuration::from_secs(2 * LONGEST)).unwrap_or(now);
                        self.devices[at].expires.get_or_insert(ends);
                    }
                    None => return refused(400, "invalid request body"),
                }
                answer(200, &json!({}))
            }
            ("POST", ["tags"]) => {
                let asked: Value = serde_json::from_slice(body).unwrap_or_default();
                let Some(tags) = asked.get("tags").and_then(Value::as_array) else {
                    return refused(400, "invalid request body");
                };
                let tags: Vec<String> = tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
                let owned = judge::tags(&self.policy);
                if let Some(unknown) = tags.iter().find(|tag| !owned.contains(*tag)) {
                    return refused(400, &format!("requested tags [{unknown}] are invalid or not permitted"));
                }
                if tags.is_empty() {
                    return refused(400, "tagged nodes cannot be untagged without reauth");
                }
                let device = &mut self.devices[at];
                (device.tags, device.user) = (tags, String::new());
                answer(200, &json!({}))
            }
            _ => refused(404, "not found"),
        }
    }
}

fn device(device: &Device) -> Value {
    let mut shown = json!({
        "id": device.id,
        "nodeId": device.id,
        "name": format!("{}.lab.ts.net", device.hostname),
        "hostname": device.hostname,
        "user": device.user,
        "addresses": device.addresses,
        "authorized": device.authorized,
        "keyExpiryDisabled": device.expires.is_none(),
        "expires": device.expires.map(|at| at.to_string()).unwrap_or_default(),
        "os": "linux",
        "isExternal": false,
    });
    // Left out where there is none, as in the API description's example.
    if !device.tags.is_empty() {
        shown["tags"] = json!(device.tags);
    }
    shown
}

fn shown(key: &Key, now: Timestamp) -> Value {
    let mut shown = json!({ "id": key.id, "created": key.created.to_string(), "expires": key.expires.to_string() });
    if key.revoked.is_some() || key.expires <= now || (key.used && !key.reusable) {
        shown["invalid"] = json!(true);
    }
    if let Some(revoked) = key.revoked {
        shown["revoked"] = json!(revoked.to_string());
        return shown;
    }
    shown["capabilities"] = json!({ "devices": { "create": {
        "reusable": key.reusable, "ephemeral": key.ephemeral, "preauthorized": key.preauthorized, "tags": key.tags,
    }}});
    shown["description"] = json!(key.description);
    shown
}
