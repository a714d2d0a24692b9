//! The OPNsense in a rehearsal: the lab's own, with the overrides that were seen.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::lab::opnsense::api::{Answer, Call};
use crate::lab::opnsense::{Alias, Host, OpnSense};
use crate::model::opnsense::{OpnSenseSeen, Override, OverrideAlias};
use crate::opnsense::requests::{ROOT, line};
use crate::ports::{Api, BoxFuture, Method, Request, Response, TransportError};

/// An OPNsense in this process.
pub(super) struct TwinOpnSense(Mutex<OpnSense>);

impl TwinOpnSense {
    /// One like what was seen; `None` where that is not all of it.
    pub fn of(seen: &OpnSenseSeen) -> Option<Self> {
        let state = |enabled: bool| u8::from(enabled).to_string();
        let mut router = OpnSense::new();
        for there in seen.overrides.value()? {
            let host = Host {
                enabled: state(there.enabled),
                hostname: there.hostname.clone(),
                domain: there.domain.clone(),
                rr: there.kind.clone(),
                server: there.address.clone(),
                description: there.description.clone(),
                ..Host::default()
            };
            router.hosts.insert(there.uuid.clone(), host);
        }
        for there in seen.aliases.value()? {
            let of = seen.overrides.value()?.iter().find(|own| own.name() == there.of || own.uuid == there.of);
            let alias = Alias {
                enabled: state(there.enabled),
                host: of.map(|own| own.uuid.clone()).unwrap_or_default(),
                hostname: there.hostname.clone(),
                domain: there.domain.clone(),
                description: there.description.clone(),
            };
            router.aliases.insert(there.uuid.clone(), alias);
        }
        Some(Self(Mutex::new(router)))
    }

    fn exchange(&self, request: &Request) -> Response {
        let mut router = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("Basic {}", STANDARD.encode(format!("{}:{}", router.key, router.secret)));
        let mut ask = |path: &str, body: Value| -> Answer {
            let body = body.to_string();
            let path = format!("/api/unbound/{path}");
            let (authorization, content_type) = (Some(key.as_str()), Some("application/json"));
            let call =
                Call { method: "POST", path: &path, authorization, content_type, body: body.as_bytes(), query: "" };
            router.answer(&call)
        };
        let path = request.path.strip_prefix(ROOT).unwrap_or_default();
        let answer = match (request.method, path.split_once('/').unwrap_or((path, ""))) {
            (Method::Get, ("overrides", "")) => {
                let rows = router.hosts.iter().map(|(uuid, host)| {
                    let own = Override {
                        uuid: uuid.clone(),
                        enabled: host.enabled == "1",
                        hostname: host.hostname.clone(),
                        domain: host.domain.clone(),
                        kind: host.rr.clone(),
                        address: host.server.clone(),
                        description: host.description.clone(),
                    };
                    let line = line(&own);
                    let mut shown = serde_json::to_value(own).unwrap_or_default();
                    shown["line"] = json!(line);
                    shown
                });
                return data(&rows.collect());
            }
            (Method::Get, ("aliases", "")) => {
                let rows = router.aliases.iter().map(|(uuid, alias)| OverrideAlias {
                    uuid: uuid.clone(),
                    enabled: alias.enabled == "1",
                    of: alias.host.clone(),
                    hostname: alias.hostname.clone(),
                    domain: alias.domain.clone(),
                    description: alias.description.clone(),
                });
                return data(&rows.filter_map(|alias| serde_json::to_value(alias).ok()).collect());
            }
            (Method::Put, ("overrides", uuid)) => {
                let host: serde_json::Map<String, Value> =
                    request.params.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
                ask(&format!("settings/setHostOverride/{uuid}"), json!({ "host": host }))
            }
            (Method::Delete, ("overrides", uuid)) => ask(&format!("settings/delHostOverride/{uuid}"), json!({})),
            (Method::Post, ("reconfigure", "")) => ask("service/reconfigure", json!({})),
            _ => return refused(501, "a rehearsal has no such thing"),
        };
        match answer.body.get("result").and_then(Value::as_str) {
            Some("failed") => refused(400, &answer.body.get("validations").unwrap_or(&Value::Null).to_string()),
            _ if answer.status != 200 => refused(answer.status, &answer.body.to_string()),
            _ => data(&Value::Null),
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

impl Api for TwinOpnSense {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move { Ok(self.exchange(request)) })
    }
}
