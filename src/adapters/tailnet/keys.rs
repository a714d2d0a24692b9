//! Auth keys of a tailnet: made for one device, taken back.

use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};

use super::api::{Body, COMPONENT, Dialect, JSON, TailnetApi, good, param};
use crate::ports::{Method, Request, Response, TransportError};

impl TailnetApi {
    /// Takes keys back that are described like this. A list of keys holds little more than their ids (tailscale-client-go
    /// `Keys.List`), so each is asked for.
    pub(super) async fn revoke_keys(&self, request: &Request) -> Result<Result<Response, Response>, TransportError> {
        let listed = match self.ask(Method::Get, &self.tailnet("keys"), None).await? {
            Ok(raw) => raw.json().unwrap_or_default(),
            Err(refused) => return Ok(Err(refused)),
        };
        for key in listed.get("keys").and_then(Value::as_array).into_iter().flatten() {
            let Some(id) = key.get("id").and_then(Value::as_str) else { continue };
            let path = self.tailnet(&format!("keys/{}", utf8_percent_encode(id, COMPONENT)));
            let described = match self.ask(Method::Get, &path, None).await? {
                Ok(raw) => raw.json().unwrap_or_default(),
                Err(gone) if gone.status == 404 => continue,
                Err(refused) => return Ok(Err(refused)),
            };
            let is = |name: &str| described.get(name).and_then(Value::as_str) == Some(param(request, "description"));
            if !is("description") || described.get("revoked").is_some() {
                continue;
            }
            match self.ask(Method::Delete, &path, None).await? {
                Err(refused) if refused.status != 404 => return Ok(Err(refused)),
                _ => {}
            }
        }
        Ok(Ok(good(&Value::Null)))
    }

    /// Ends keys of Headscale, which have no description: those for one device alone, of this very tag.
    pub(super) async fn expire_keys(&self, request: &Request) -> Result<Result<Response, Response>, TransportError> {
        let listed = match self.ask(Method::Get, "/preauthkey", None).await? {
            Ok(raw) => raw.json().unwrap_or_default(),
            Err(refused) => return Ok(Err(refused)),
        };
        for key in listed.get("preAuthKeys").and_then(Value::as_array).into_iter().flatten() {
            if !is_for_one(key, param(request, "tag")) {
                continue;
            }
            let mut ended = Ok(());
            for way in expiry_bodies(key) {
                let text = way.to_string();
                let body = Body { text: &text, kind: JSON, if_match: None };
                ended = self.ask(Method::Post, "/preauthkey/expire", Some(body)).await?.map(|_| ());
                if ended.is_ok() {
                    break;
                }
            }
            if let Err(refused) = ended {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(good(&Value::Null)))
    }

    pub(super) async fn new_key(&self, request: &Request) -> Result<Result<Response, Response>, TransportError> {
        let path = match self.target.dialect {
            Dialect::Tailscale => self.tailnet("keys"),
            Dialect::Headscale => "/preauthkey".to_owned(),
        };
        let body = key_body(self.target.dialect, request, jiff::Timestamp::now());
        let text = body.to_string();
        let asked = self.ask(Method::Post, &path, Some(Body { text: &text, kind: JSON, if_match: None })).await?;
        Ok(asked.map(|raw| {
            let body = raw.json().unwrap_or_default();
            let key = body.get("preAuthKey").unwrap_or(&body);
            good(&json!({ "id": key.get("id"), "key": key.get("key") }))
        }))
    }
}

/// What a key is asked for with: for one device, approved beforehand, with its tag, for a while.
fn key_body(dialect: Dialect, request: &Request, now: jiff::Timestamp) -> Value {
    let seconds: i64 = param(request, "expiry").parse().unwrap_or(600);
    let tag = param(request, "tag");
    match dialect {
        Dialect::Tailscale => {
            let create = json!({ "reusable": false, "ephemeral": false, "preauthorized": true, "tags": [tag] });
            json!({
                "capabilities": { "devices": { "create": create } },
                "expirySeconds": seconds,
                "description": param(request, "description"),
            })
        }
        Dialect::Headscale => {
            let ends = now.checked_add(jiff::SignedDuration::from_secs(seconds));
            let ends = ends.map(|ends| ends.to_string()).unwrap_or_default();
            json!({ "reusable": false, "ephemeral": false, "expiration": ends, "aclTags": [tag] })
        }
    }
}

/// Whether a key of Headscale's list is for one device of this tag and not used yet.
fn is_for_one(key: &Value, tag: &str) -> bool {
    let is = |name: &str| key.get(name).and_then(Value::as_bool) == Some(true);
    !is("reusable") && !is("used") && key.get("aclTags") == Some(&json!([tag]))
}

/// How Headscale is told which key ends: by its id from 0.28 on; before, by whose it is and the key itself.
fn expiry_bodies(key: &Value) -> [Value; 2] {
    let user = key.get("user").and_then(|user| user.get("id")).unwrap_or(&Value::Null);
    [json!({ "id": key.get("id") }), json!({ "user": user, "key": key.get("key") })]
}

#[cfg(test)]
mod tests {
    use super::super::headscale_fields::{CREATE_PRE_AUTH_KEY, EXPIRE_PRE_AUTH_KEY, PRE_AUTH_KEY, only};
    use super::*;
    use crate::tailnet::requests;

    #[test]
    fn keys_of_headscale_are_asked_for_and_ended_by_the_names_of_its_api_description() {
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        let body = key_body(Dialect::Headscale, &requests::new_key("tag:a", "infra x a"), now);
        only(&body, CREATE_PRE_AUTH_KEY);
        assert_eq!((&body["aclTags"], &body["reusable"]), (&json!(["tag:a"]), &json!(false)));
        assert_eq!(body["expiration"], "2027-01-15T08:10:00Z");
        let listed = json!({
            "user": { "id": "1" }, "id": "3", "key": "hskey-auth-x", "reusable": false, "ephemeral": false, "used": false,
            "expiration": "2027-01-15T08:10:00Z", "createdAt": "2027-01-15T08:00:00Z", "aclTags": ["tag:a"],
        });
        only(&listed, PRE_AUTH_KEY);
        assert!(is_for_one(&listed, "tag:a") && !is_for_one(&listed, "tag:b"));
        for spent in ["used", "reusable"] {
            let mut key = listed.clone();
            key[spent] = json!(true);
            assert!(!is_for_one(&key, "tag:a"), "{spent}");
        }
        let [by_id, by_key] = expiry_bodies(&listed);
        assert_eq!(by_id, json!({ "id": "3" }));
        only(&by_key, EXPIRE_PRE_AUTH_KEY);
        assert_eq!(by_key, json!({ "user": "1", "key": "hskey-auth-x" }));
    }
}
