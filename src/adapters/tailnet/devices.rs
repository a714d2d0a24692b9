//! Devices of a tailnet: listed, given tags, removed.

use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};

use super::api::{Body, COMPONENT, Dialect, JSON, Raw, TailnetApi, bad, good, param};
use crate::ports::{Method, Request, Response, TransportError};

impl TailnetApi {
    /// Where one device is.
    pub(super) fn device(&self, id: &str) -> String {
        let id = utf8_percent_encode(id, COMPONENT);
        match self.target.dialect {
            Dialect::Tailscale => format!("/device/{id}"),
            Dialect::Headscale => format!("/node/{id}"),
        }
    }

    /// Devices without those with the ids in `besides`.
    pub(super) async fn devices(&self, besides: &str) -> Result<Result<Vec<Value>, Response>, TransportError> {
        let (path, key) = match self.target.dialect {
            // routes are told only if all fields are asked for
            Dialect::Tailscale => (self.tailnet("devices?fields=all"), "devices"),
            Dialect::Headscale => ("/node".to_owned(), "nodes"),
        };
        let known: Vec<&str> = besides.split(',').collect();
        Ok(self.ask(Method::Get, &path, None).await?.and_then(|raw| {
            let mut all = devices(&raw, key).ok_or_else(|| bad(500, "the answer lists no devices"))?;
            all.retain(|device| !known.contains(&device["id"].as_str().unwrap_or_default()));
            Ok(all)
        }))
    }

    /// Removes what bears a tag and is none of those that are known.
    pub(super) async fn remove_joined(&self, request: &Request) -> Result<Result<Response, Response>, TransportError> {
        let all = match self.devices(param(request, "besides")).await? {
            Ok(all) => all,
            Err(refused) => return Ok(Err(refused)),
        };
        for device in all.iter().filter(|device| device["tagged"] == param(request, "tag")) {
            let path = self.device(device["id"].as_str().unwrap_or_default());
            if let Err(refused) = self.ask(Method::Delete, &path, None).await? {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(good(&Value::Null)))
    }

    pub(super) async fn change_device(
        &self,
        dialect: Dialect,
        rest: &str,
        request: &Request,
    ) -> Result<Result<Response, Response>, TransportError> {
        let (id, what) = rest.rsplit_once('/').unwrap_or((rest, ""));
        let (end, body) = match (dialect, what) {
            (_, "tags") => ("tags", tags_body(param(request, "tags"))),
            (Dialect::Tailscale, "expiry") => ("key", json!({ "keyExpiryDisabled": param(request, "expires") != "1" })),
            // Headscale 0.29 takes `disableExpiry` at `/expire`; every earlier one reads that as "expire it now".
            (Dialect::Headscale, "expiry") => {
                return Ok(Err(bad(501, "Headscale's API cannot switch off the expiry of a key safely")));
            }
            _ => return Ok(Err(bad(501, "this control plane has no such thing"))),
        };
        let text = body.to_string();
        let body = Body { text: &text, kind: JSON, if_match: None };
        let path = format!("{}/{end}", self.device(id));
        Ok(self.ask(Method::Post, &path, Some(body)).await?.map(|_| good(&Value::Null)))
    }
}

fn tags_body(tags: &str) -> Value {
    json!({ "tags": tags.split(',').filter(|tag| !tag.is_empty()).collect::<Vec<_>>() })
}

/// Devices in the words of the model, of either control plane; `tagged` is all tags in one text.
fn devices(raw: &Raw, key: &str) -> Option<Vec<Value>> {
    let body = raw.json()?;
    // An empty list of Headscale is left out.
    let list = body.as_object()?.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let words = |device: &Value, keys: &[&str]| -> Vec<String> {
        let lists = keys.iter().filter_map(|key| device.get(key).and_then(Value::as_array)).flatten();
        let mut words: Vec<String> = lists.filter_map(|word| word.as_str().map(str::to_owned)).collect();
        words.sort();
        words.dedup();
        words
    };
    let one = |device: &Value| {
        let headscale = device.get("givenName").is_some();
        let disabled = device.get("keyExpiryDisabled").and_then(Value::as_bool).unwrap_or(false);
        let user = if headscale {
            let user = device.get("user");
            let email = text(user.and_then(|user| user.get("email")));
            if email.is_empty() { text(user.and_then(|user| user.get("name"))) } else { email }
        } else {
            text(device.get("user"))
        };
        let expires = text(device.get(if headscale { "expiry" } else { "expires" }));
        let tags = words(device, if headscale { &["tags", "forcedTags", "validTags"] } else { &["tags"] });
        json!({
            "id": text(device.get("nodeId").or_else(|| device.get("id"))),
            "hostname": text(device.get(if headscale { "name" } else { "hostname" })),
            "name": if headscale { String::new() } else { text(device.get("name")) },
            "tagged": tags.join(","),
            "tags": tags,
            "user": user,
            "addresses": words(device, if headscale { &["ipAddresses"] } else { &["addresses"] }),
            // Headscale: approved ones, whether or not their device is connected; before 0.26 those in use.
            "routes": words(device, if headscale { &["approvedRoutes", "subnetRoutes"] } else { &["enabledRoutes"] }),
            "authorized": headscale || device.get("authorized").and_then(Value::as_bool).unwrap_or(false),
            "expires": if disabled || expires.starts_with("0001-") { String::new() } else { expires },
            "last_seen": text(device.get("lastSeen")),
        })
    };
    Some(list.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::super::headscale_fields::{NODE, SET_TAGS_BODY, only};
    use super::*;

    fn raw(body: &Value) -> Raw {
        Raw { status: 200, etag: None, body: body.to_string().into_bytes() }
    }

    #[test]
    fn a_node_of_headscale_is_read_by_the_names_of_its_api_description() {
        let node = json!({
            "id": "7", "name": "plan-hq", "givenName": "plan-hq", "user": { "id": "1", "name": "ann", "email": "" },
            "ipAddresses": ["100.64.0.2"], "forcedTags": ["tag:b", "tag:a"], "validTags": ["tag:a"], "invalidTags": [],
            "expiry": "0001-01-01T00:00:00Z", "lastSeen": "2026-11-21T09:00:00Z", "online": true,
        });
        only(&node, NODE);
        let read = devices(&raw(&json!({ "nodes": [node] })), "nodes").unwrap();
        let wanted = json!({
            "id": "7", "hostname": "plan-hq", "name": "", "tagged": "tag:a,tag:b", "tags": ["tag:a", "tag:b"],
            "user": "ann", "addresses": ["100.64.0.2"], "routes": [], "authorized": true, "expires": "",
            "last_seen": "2026-11-21T09:00:00Z",
        });
        assert_eq!(read, [wanted]);
        assert_eq!(devices(&raw(&json!({})), "nodes"), Some(Vec::new()), "an empty list is left out");
        assert_eq!(devices(&Raw { status: 200, etag: None, body: b"<html>".to_vec() }, "nodes"), None);
    }

    #[test]
    fn tags_are_given_in_the_same_words_by_both() {
        let body = tags_body("tag:a,tag:b");
        only(&body, SET_TAGS_BODY);
        assert_eq!(body, json!({ "tags": ["tag:a", "tag:b"] }));
    }

    #[test]
    fn a_device_of_tailscale_whose_key_does_not_end_has_no_end() {
        let device = json!({
            "id": "123", "nodeId": "nABCCNTRL", "name": "plan-hq.tail1234.ts.net", "hostname": "plan-hq", "user": "",
            "authorized": true, "keyExpiryDisabled": true, "expires": "2027-01-01T00:00:00Z", "tags": ["tag:a"],
        });
        let read = devices(&raw(&json!({ "devices": [device] })), "devices").unwrap();
        assert_eq!((&read[0]["id"], &read[0]["expires"]), (&json!("nABCCNTRL"), &json!("")));
    }
}
