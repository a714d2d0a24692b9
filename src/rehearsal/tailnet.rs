//! The tailnet's control plane in a rehearsal: the lab's own, with the policy and the devices that were seen.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::lab::tailnet::api::Call;
use crate::lab::tailnet::{ControlPlane, Device, Tailnet, Uplink};
use crate::model::tailnet::TailnetSeen;
use crate::ports::{Api, BoxFuture, Clock, Method, Request, Response, TransportError};
use crate::tailnet::requests::{ROOT, digest};

/// A control plane in this process.
#[derive(Clone)]
pub(super) struct TwinTailnet {
    kept: Arc<Mutex<Tailnet>>,
    clock: Arc<dyn Clock>,
    url: String,
}

impl ControlPlane for TwinTailnet {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn with(&self, act: &mut dyn FnMut(&mut Tailnet)) {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl TwinTailnet {
    /// One like what was seen, at the same place; `None` where that is not all of it.
    pub fn of(seen: &TailnetSeen, url: &str, clock: Arc<dyn Clock>) -> Option<Self> {
        let mut tailnet = Tailnet::new();
        tailnet.untouched = crate::tailnet::without_default(seen.policy.value()?).is_some();
        tailnet.policy.clone_from(seen.policy.value()?);
        let devices = seen.devices.value()?.iter().map(|device| Device {
            id: device.id.clone(),
            hostname: device.hostname.clone(),
            tags: device.tags.clone(),
            user: device.user.clone(),
            addresses: device.addresses.clone(),
            routes: device.routes.clone(),
            authorized: device.authorized,
            expires: device.expires.parse().ok(),
        });
        tailnet.devices = devices.collect();
        Some(Self { kept: Arc::new(Mutex::new(tailnet)), clock, url: url.to_owned() })
    }

    /// The way to it for guests.
    pub fn uplink(&self) -> Uplink {
        Uplink::to(Arc::new(self.clone()))
    }

    fn exchange(&self, request: &Request) -> Response {
        let mut tailnet = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let param = |name: &str| request.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        let key = format!("Bearer {}", tailnet.token);
        let ask = |tailnet: &mut Tailnet, method: &str, path: &str, if_match: Option<&str>, body: &str| -> Said {
            let path = format!("/api/v2/{path}");
            let call = Call {
                method,
                path: &path,
                authorization: Some(&key),
                if_match,
                body: body.as_bytes(),
                ..Call::default()
            };
            let answer = tailnet.answer(&call, now);
            Said { status: answer.status, body: serde_json::from_slice(&answer.body).unwrap_or_default() }
        };
        let path = request.path.strip_prefix(ROOT).unwrap_or_default();
        let besides: Vec<&str> = param("besides").split(',').collect();
        match (request.method, path.split('/').collect::<Vec<_>>().as_slice()) {
            (Method::Get, ["policy"]) => data(&json!({ "policy": tailnet.policy, "etag": tailnet.etag() })),
            (Method::Get, ["devices"]) => {
                let said = ask(&mut tailnet, "GET", "tailnet/-/devices", None, "");
                let all = said.body["devices"].as_array().cloned().unwrap_or_default();
                let others = all.into_iter().filter(|device| !besides.contains(&device["id"].as_str().unwrap_or("")));
                data(&others.map(tagged).collect())
            }
            (Method::Delete, ["devices"]) => {
                let joined =
                    |device: &Device| device.tags.join(",") == param("tag") && !besides.contains(&device.id.as_str());
                tailnet.devices.retain(|device| !joined(device));
                data(&Value::Null)
            }
            (Method::Delete, ["devices", id]) => {
                ask(&mut tailnet, "DELETE", &format!("device/{id}"), None, "").response()
            }
            (Method::Put, ["devices", id, "tags"]) => {
                let body = json!({ "tags": param("tags").split(',').collect::<Vec<_>>() }).to_string();
                ask(&mut tailnet, "POST", &format!("device/{id}/tags"), None, &body).response()
            }
            (Method::Put, ["devices", id, "expiry"]) => {
                let body = json!({ "keyExpiryDisabled": param("expires") != "1" }).to_string();
                ask(&mut tailnet, "POST", &format!("device/{id}/key"), None, &body).response()
            }
            (Method::Post, ["keys"]) => {
                let create = json!({ "reusable": false, "preauthorized": true, "tags": [param("tag")] });
                let body = json!({
                    "capabilities": { "devices": { "create": create } },
                    "expirySeconds": param("expiry").parse::<i64>().unwrap_or(600),
                    "description": param("description"),
                });
                let said = ask(&mut tailnet, "POST", "tailnet/-/keys", None, &body.to_string());
                if said.status == 200 { data(&said.body) } else { said.response() }
            }
            (Method::Delete, ["keys"]) => {
                let described = tailnet.keys.iter_mut().filter(|key| key.description == param("description"));
                described.for_each(|key| key.revoked = Some(now));
                data(&Value::Null)
            }
            (Method::Post, ["policy", "check"]) => {
                ask(&mut tailnet, "POST", "tailnet/-/acl/validate", None, param("policy")).response()
            }
            (Method::Put, ["policy"]) => {
                if tailnet.policy == param("policy") {
                    return data(&Value::Null);
                }
                if digest(&tailnet.policy) != param("was") {
                    return refused(412, "the policy is another one by now");
                }
                let etag = if param("untouched") == "1" { "\"ts-default\"".to_owned() } else { tailnet.etag() };
                ask(&mut tailnet, "POST", "tailnet/-/acl", Some(&etag), param("policy")).response()
            }
            _ => refused(501, "a rehearsal has no such thing"),
        }
    }
}

/// What the lab's API says.
struct Said {
    status: u16,
    body: Value,
}

impl Said {
    /// A refusal, or nothing: a judgement of a policy is 200 whatever it is.
    fn response(&self) -> Response {
        let message = self.body.get("message").and_then(Value::as_str).unwrap_or_default();
        let why = || format!("{message} {}", self.body.get("data").unwrap_or(&Value::Null));
        match (self.status, message) {
            (200, "") => data(&Value::Null),
            (200, _) => refused(400, &why()),
            (status, _) => refused(status, &why()),
        }
    }
}

/// A device with all its tags in one text, too.
fn tagged(mut device: Value) -> Value {
    let tags = device["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let tags = tags.collect::<Vec<_>>().join(",");
    device["tagged"] = json!(tags);
    device
}

fn data(data: &Value) -> Response {
    Response { status: 200, reason: "OK".into(), body: json!({ "data": data }).to_string().into_bytes() }
}

fn refused(status: u16, message: &str) -> Response {
    let body = json!({ "data": null, "message": message }).to_string().into_bytes();
    Response { status, reason: message.to_owned(), body }
}

impl Api for TwinTailnet {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move { Ok(self.exchange(request)) })
    }
}
