//! An OPNsense over HTTPS, as far as host overrides of its Unbound go.
//!
//! Owns how the house's own requests ([`crate::opnsense::requests`]) are said to `/api/unbound`, and how answers come
//! back in the envelope that everything else reads. Must not retry. Facts of opnsense/core: a refused value is 200 with
//! `{"result":"failed","validations":{…}}` (`ApiMutableModelControllerBase`); a JSON body that is empty is 400
//! (`ApiControllerBase`); words of a list are shown by their description, `A (IPv4 address)` (`UIModelGrid`).

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::https::{causes, failure};
use super::tls::{Trust, client_config, public_config};
use crate::model::opnsense::{Override, OverrideAlias};
use crate::opnsense::requests::{ROOT, line};
use crate::ports::{Api, BoxFuture, Method, Request, Response, TransportError};

/// The longest answer that is read.
const LONGEST: usize = 32 << 20;
/// Unbound is restarted within one request, and takes its time with long lists of blocked names.
const LIMIT: Duration = Duration::from_secs(180);

/// Where an OPNsense is, how it proves itself and how we do.
#[derive(Debug, Clone)]
pub struct OpnSenseTarget {
    /// `https://10.0.0.1`.
    pub url: String,
    /// How it proves who it is; `None` for the CAs that this system trusts.
    pub trust: Option<Trust>,
    /// The first part of an API key.
    pub key: SecretString,
    /// The second part.
    pub secret: SecretString,
}

/// One OPNsense.
pub struct OpnSenseApi {
    client: reqwest::Client,
    target: OpnSenseTarget,
    peer: String,
}

impl fmt::Debug for OpnSenseApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpnSenseApi").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Why an OPNsense cannot be talked to, whatever the network does.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpnSenseError(String);

fn good(data: &Value) -> Response {
    Response { status: 200, reason: "OK".into(), body: json!({ "data": data }).to_string().into_bytes() }
}

fn bad(status: u16, message: &str) -> Response {
    let body = json!({ "data": null, "message": message }).to_string().into_bytes();
    Response { status, reason: message.to_owned(), body }
}

/// The value of a parameter.
fn param<'r>(request: &'r Request, name: &str) -> &'r str {
    request.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

/// A value of a row as text: `null` where nobody wrote anything.
fn text(row: &Value, key: &str) -> String {
    match row.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(yes)) => u8::from(*yes).to_string(),
        _ => String::new(),
    }
}

/// What a refusal says, in the words of whichever version.
fn refusal(status: u16, body: Option<&Value>) -> Response {
    let said = |key: &str| body.and_then(|body| body.get(key)).and_then(Value::as_str);
    let message = said("message").or(said("errorMessage")).map_or_else(
        || format!("the OPNsense answers {status}"),
        |message| match status {
            401 => format!("{message}: the API key is not one of this OPNsense, or its owner may not use it for this"),
            // Narrower ones leave out `service/reconfigure` (`Unbound/ACL/ACL.xml`).
            403 => format!("{message}: the owner of the API key needs the privilege `Services: Unbound (MVC)`"),
            _ => message.to_owned(),
        },
    );
    bad(status, &message)
}

/// What is wrong with a value, field by field.
fn validations(body: &Value) -> Option<String> {
    let fields = body.get("validations")?.as_object()?;
    let said = fields.iter().map(|(field, why)| {
        let why = match why {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        format!("{field}: {why}")
    });
    Some(said.collect::<Vec<_>>().join("; "))
}

impl OpnSenseApi {
    /// Prepares the door; nothing is sent yet.
    ///
    /// # Errors
    /// If whom to trust is unusable.
    pub fn new(target: OpnSenseTarget) -> Result<Self, OpnSenseError> {
        let tls = match &target.trust {
            Some(trust) => client_config(trust).map_err(|error| OpnSenseError(error.to_string()))?,
            None => public_config().map_err(|error| OpnSenseError(error.to_string()))?,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_idle_timeout(Duration::from_secs(3))
            .connect_timeout(Duration::from_secs(10))
            .timeout(LIMIT)
            .user_agent("infra")
            .build()
            .map_err(|error| OpnSenseError(causes(&error)))?;
        let peer = target.url.trim_start_matches("https://").to_owned();
        Ok(Self { client, target, peer })
    }

    /// Asks, and reads an answer that is good and JSON.
    async fn ask(&self, path: &str, body: Option<Value>) -> Result<Result<Value, Response>, TransportError> {
        let url = format!("{}/api/unbound/{path}", self.target.url);
        let builder = match body {
            Some(body) => self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string()),
            None => self.client.get(url),
        };
        let builder = builder
            .header(ACCEPT, "application/json")
            .basic_auth(self.target.key.expose_secret(), Some(self.target.secret.expose_secret()));
        let hint = "give the CA that signed it as `ca_file`, or pin its `fingerprint`";
        let lost = |why: String| TransportError::Uncertain { peer: self.peer.clone(), why };
        let mut response = builder.send().await.map_err(|error| failure(&self.peer, error, hint))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(causes(&error.without_url())))? {
            if bytes.len() + chunk.len() > LONGEST {
                return Err(lost(format!("the answer exceeds {LONGEST} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        // Its web server is there and what works behind it is not: whether it had begun, nobody can tell.
        if matches!(status, 502..=504) {
            return Err(lost(format!("its web server answers {status}")));
        }
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        Ok(match body {
            Some(body) if status == 200 => Ok(body),
            Some(body) => Err(refusal(status.max(400), Some(&body))),
            // A redirect to the page where people log in, or a page of an error.
            None => {
                Err(bad(if status < 400 { 500 } else { status }, &format!("no answer of an OPNsense's API ({status})")))
            }
        })
    }

    /// Every row of a list.
    async fn rows(&self, what: &str) -> Result<Result<Vec<Value>, Response>, TransportError> {
        let path = format!("settings/{what}?current=1&rowCount=-1");
        Ok(self.ask(&path, None).await?.and_then(|body| {
            let rows = body.get("rows").and_then(Value::as_array).cloned();
            let rows = rows.ok_or_else(|| bad(500, "the answer holds no rows"))?;
            let total = body.get("total").and_then(Value::as_u64).unwrap_or(0);
            // A list that is cut short would make us write what is there already.
            if rows.len() as u64 == total { Ok(rows) } else { Err(bad(500, "the answer holds some of the rows only")) }
        }))
    }

    async fn exchange(&self, request: &Request) -> Result<Response, TransportError> {
        let path = request.path.strip_prefix(ROOT).unwrap_or_default();
        let answered = match (request.method, path.split_once('/').unwrap_or((path, ""))) {
            (Method::Get, ("overrides", "")) => {
                self.rows("searchHostOverride").await?.map(|rows| good(&rows.iter().map(shown).collect()))
            }
            (Method::Get, ("aliases", "")) => {
                self.rows("searchHostAlias").await?.map(|rows| good(&rows.iter().map(alias).collect()))
            }
            (Method::Put, ("overrides", uuid)) => {
                let fields = ["enabled", "hostname", "domain", "rr", "server", "description"];
                let host: Map<String, Value> =
                    fields.iter().map(|field| ((*field).to_owned(), json!(param(request, field)))).collect();
                let answer =
                    self.ask(&format!("settings/setHostOverride/{uuid}"), Some(json!({ "host": host }))).await?;
                answer.and_then(|body| match text(&body, "result").as_str() {
                    "saved" => Ok(good(&Value::Null)),
                    _ => Err(bad(
                        400,
                        &validations(&body).unwrap_or_else(|| {
                            "it was not saved: this version takes no new override under an id of ours".to_owned()
                        }),
                    )),
                })
            }
            (Method::Delete, ("overrides", uuid)) => {
                let answer = self.ask(&format!("settings/delHostOverride/{uuid}"), Some(json!({}))).await?;
                answer.and_then(|body| match text(&body, "result").as_str() {
                    "deleted" | "not found" => Ok(good(&Value::Null)),
                    _ => Err(bad(500, "it was not removed")),
                })
            }
            (Method::Post, ("reconfigure", "")) => {
                let answer = self.ask("service/reconfigure", Some(json!({}))).await?;
                answer.and_then(|body| match text(&body, "status").as_str() {
                    "ok" => Ok(good(&Value::Null)),
                    _ => Err(bad(500, "Unbound was not restarted")),
                })
            }
            _ => Err(bad(501, "an OPNsense has no such thing")),
        };
        Ok(answered.unwrap_or_else(|refused| refused))
    }
}

/// A row in the words of the model, with the line that tells it from every other state of it.
fn shown(row: &Value) -> Value {
    let own = Override {
        uuid: text(row, "uuid"),
        enabled: text(row, "enabled") == "1",
        hostname: text(row, "hostname"),
        domain: text(row, "domain"),
        kind: text(row, "rr").split(' ').next().unwrap_or_default().to_owned(),
        address: text(row, "server"),
        description: text(row, "description"),
    };
    let line = line(&own);
    let mut shown = serde_json::to_value(own).unwrap_or_default();
    shown["line"] = json!(line);
    shown
}

fn alias(row: &Value) -> Value {
    let own = OverrideAlias {
        uuid: text(row, "uuid"),
        enabled: text(row, "enabled") == "1",
        of: text(row, "host"),
        hostname: text(row, "hostname"),
        domain: text(row, "domain"),
        description: text(row, "description"),
    };
    serde_json::to_value(own).unwrap_or_default()
}

impl Api for OpnSenseApi {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(self.exchange(request))
    }
}
