//! The tailnet's control plane in a rehearsal: the lab's own, with the policy and the devices that were seen.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::lab::tailnet::api::{Answer, Call};
use crate::lab::tailnet::{Device, Tailnet};
use crate::model::tailnet::TailnetSeen;
use crate::ports::{Api, BoxFuture, Method, Request, Response, TransportError};
use crate::tailnet::requests::{ROOT, digest};

/// A control plane in this process.
pub(super) struct TwinTailnet(Mutex<Tailnet>);

impl TwinTailnet {
    /// One like what was seen; `None` where that is not all of it.
    pub fn of(seen: &TailnetSeen) -> Option<Self> {
        let mut tailnet = Tailnet::new();
        tailnet.untouched = crate::tailnet::without_default(seen.policy.value()?).is_some();
        tailnet.policy.clone_from(seen.policy.value()?);
        let devices = seen.devices.value()?.iter().map(|device| Device {
            id: device.id.clone(),
            hostname: device.hostname.clone(),
            tags: device.tags.clone(),
            user: device.user.clone(),
            addresses: device.addresses.clone(),
            authorized: device.authorized,
            expires: None,
        });
        tailnet.devices = devices.collect();
        Some(Self(Mutex::new(tailnet)))
    }

    fn exchange(&self, request: &Request) -> Response {
        let mut tailnet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let param = |name: &str| request.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        let key = format!("Bearer {}", tailnet.token);
        let ask = |tailnet: &mut Tailnet, method: &str, path: &str, if_match: Option<&str>, body: &str| -> Answer {
            let call =
                Call { method, path, authorization: Some(&key), if_match, body: body.as_bytes(), ..Call::default() };
            tailnet.answer(&call, jiff::Timestamp::UNIX_EPOCH)
        };
        let path = request.path.strip_prefix(ROOT).unwrap_or_default();
        let answer = match (request.method, path) {
            (Method::Get, "policy") => {
                return data(&json!({ "policy": tailnet.policy, "etag": tailnet.etag() }));
            }
            (Method::Get, "devices") => ask(&mut tailnet, "GET", "/api/v2/tailnet/-/devices", None, ""),
            (Method::Post, "policy/check") => {
                ask(&mut tailnet, "POST", "/api/v2/tailnet/-/acl/validate", None, param("policy"))
            }
            (Method::Put, "policy") => {
                if tailnet.policy == param("policy") {
                    return data(&Value::Null);
                }
                if digest(&tailnet.policy) != param("was") {
                    return refused(412, "the policy is another one by now");
                }
                let etag = if param("untouched") == "1" { "\"ts-default\"".to_owned() } else { tailnet.etag() };
                ask(&mut tailnet, "POST", "/api/v2/tailnet/-/acl", Some(&etag), param("policy"))
            }
            _ => return refused(501, "a rehearsal has no such thing"),
        };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
        match (answer.status, message) {
            (200, "") => data(body.get("devices").unwrap_or(&Value::Null)),
            (200, message) => refused(400, &format!("{message} {}", body.get("data").unwrap_or(&Value::Null))),
            (status, message) => refused(status, &format!("{message} {}", body.get("data").unwrap_or(&Value::Null))),
        }
    }
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
