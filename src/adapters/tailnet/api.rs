//! The API's door, its requests one by one, and the policy.

use std::fmt;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_MATCH};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::super::https::{causes, failure};
use super::super::tls::{Trust, client_config, public_config};
use crate::ports::{Api, BoxFuture, Method, Request, Response, TransportError};
use crate::tailnet::requests::{ROOT, digest};

pub(super) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const HUJSON: &str = "application/hujson";
pub(super) const JSON: &str = "application/json";
/// How an OAuth client's secret begins; what follows to the next dash is the client's id.
const CLIENT: &str = "tskey-client-";
/// An access token is good for an hour; asked for anew a while before.
const TOKEN_LIFE: Duration = Duration::from_secs(50 * 60);
/// What a Headscale says whose database holds no policy yet (`ErrPolicyNotFound`, 0.23 to 0.29), with status 500.
const NO_POLICY: &str = "acl policy not found";
/// What that is taken for.
const EMPTY: &str = "{}";
/// A policy with nothing but the rule that every tailnet begins with, and not the one that it was made with.
const SAVED: &str = "somebody has saved this policy before, so its rule that lets everybody reach everything may be \
    meant (taking back an earlier run saves it, too): take that rule out in the admin console, or plan with \
    `--take-over tailnet_policy.INVENTORY`";
/// The longest answer that is read.
const LONGEST: usize = 32 << 20;

/// Whose words are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/api/v2` of Tailscale.
    Tailscale,
    /// `/api/v1` of Headscale.
    Headscale,
}

/// Where a control plane is, how it proves itself and how we do.
#[derive(Debug, Clone)]
pub struct TailnetTarget {
    /// `https://api.tailscale.com`.
    pub url: String,
    /// `-`, or the organisation's name.
    pub name: String,
    /// Whose words it speaks.
    pub dialect: Dialect,
    /// How it proves who it is; `None` for the CAs that this system trusts.
    pub trust: Option<Trust>,
    /// An API access token, the secret of an OAuth client, or an API key of Headscale.
    pub key: SecretString,
}

/// One control plane.
pub struct TailnetApi {
    client: reqwest::Client,
    pub(super) target: TailnetTarget,
    peer: String,
    token: Mutex<Option<(SecretString, Instant)>>,
}

impl fmt::Debug for TailnetApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailnetApi").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Why a control plane cannot be talked to, whatever the network does.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TailnetError(String);

/// What came back.
pub(super) struct Raw {
    pub status: u16,
    pub etag: Option<String>,
    pub body: Vec<u8>,
}

impl Raw {
    fn is_good(&self) -> bool {
        self.status < 300
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

pub(super) fn good(data: &Value) -> Response {
    Response { status: 200, reason: "OK".into(), body: json!({ "data": data }).to_string().into_bytes() }
}

pub(super) fn bad(status: u16, message: &str) -> Response {
    let body = json!({ "data": null, "message": message }).to_string().into_bytes();
    Response { status, reason: message.to_owned(), body }
}

/// A refusal in the words of the control plane, with what it says of each test.
fn refusal(status: u16, body: Option<&Value>) -> Response {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let message = body.and_then(|body| body.get("message")).and_then(text);
    let mut message = message.unwrap_or_else(|| format!("the tailnet's API answers {status}"));
    for entry in body.and_then(|body| body.get("data")).and_then(Value::as_array).into_iter().flatten() {
        let who = entry.get("user").and_then(text).unwrap_or_default();
        for error in entry.get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(text) {
            message.push_str(&format!("; {who}: {error}"));
        }
    }
    bad(status, &message)
}

/// The value of a parameter.
pub(super) fn param<'r>(request: &'r Request, name: &str) -> &'r str {
    request.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

impl TailnetApi {
    /// Prepares the door; nothing is sent yet.
    ///
    /// # Errors
    /// If whom to trust is unusable.
    pub fn new(target: TailnetTarget) -> Result<Self, TailnetError> {
        let tls = match &target.trust {
            Some(trust) => client_config(trust).map_err(|error| TailnetError(error.to_string()))?,
            None => public_config().map_err(|error| TailnetError(error.to_string()))?,
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_idle_timeout(Duration::from_secs(3))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .user_agent("infra")
            .build()
            .map_err(|error| TailnetError(causes(&error)))?;
        let peer = target.url.trim_start_matches("https://").to_owned();
        Ok(Self { client, target, peer, token: Mutex::new(None) })
    }

    /// What the control plane knows us by: the key itself, or what an OAuth client gets for it.
    async fn bearer(&self) -> Result<Result<SecretString, Response>, TransportError> {
        let key = self.target.key.expose_secret();
        let Some(rest) = key.strip_prefix(CLIENT) else { return Ok(Ok(self.target.key.clone())) };
        let mut known = self.token.lock().await;
        if let Some((token, since)) = &*known
            && since.elapsed() < TOKEN_LIFE
        {
            return Ok(Ok(token.clone()));
        }
        let id = rest.split('-').next().unwrap_or_default();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            utf8_percent_encode(id, COMPONENT),
            utf8_percent_encode(key, COMPONENT)
        );
        let builder = self.client.post(format!("{}/api/v2/oauth/token", self.target.url));
        let builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let raw = self.raw(builder).await?;
        let token =
            raw.json().and_then(|body| Some(SecretString::from(body.get("access_token")?.as_str()?.to_owned())));
        match token.filter(|_| raw.is_good()) {
            Some(token) => {
                *known = Some((token.clone(), Instant::now()));
                Ok(Ok(token))
            }
            None => Ok(Err(refusal(raw.status.max(400), raw.json().as_ref()))),
        }
    }

    async fn raw(&self, builder: reqwest::RequestBuilder) -> Result<Raw, TransportError> {
        let lost = |why: String| TransportError::Uncertain { peer: self.peer.clone(), why };
        let hint = "give the CA that signed it as `ca_file`, or pin its `fingerprint`";
        let mut response = builder.send().await.map_err(|error| failure(&self.peer, error, hint))?;
        let status = response.status().as_u16();
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(causes(&error.without_url())))? {
            if body.len() + chunk.len() > LONGEST {
                return Err(lost(format!("the answer exceeds {LONGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        // A proxy before the API: whether it has passed the request on, nobody can tell.
        if matches!(status, 502 | 504) {
            return Err(lost(format!("a proxy answers {status}")));
        }
        Ok(Raw { status, etag, body })
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Body<'_>>,
    ) -> Result<Asked, TransportError> {
        let token = match self.bearer().await? {
            Ok(token) => token,
            Err(refused) => return Ok(Err(refused)),
        };
        let verb = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let root = match self.target.dialect {
            Dialect::Tailscale => "/api/v2",
            Dialect::Headscale => "/api/v1",
        };
        let mut builder = self.client.request(verb, format!("{}{root}{path}", self.target.url));
        builder = builder.bearer_auth(token.expose_secret());
        builder = match body {
            Some(Body { text, kind, if_match }) => {
                if let Some(etag) = if_match {
                    builder = builder.header(IF_MATCH, etag);
                }
                builder.header(CONTENT_TYPE, kind).header(ACCEPT, kind).body(text.to_owned())
            }
            None => builder.header(ACCEPT, if path.ends_with("/acl") { HUJSON } else { JSON }),
        };
        let raw = self.raw(builder).await?;
        if raw.is_good() { Ok(Ok(raw)) } else { Ok(Err(refusal(raw.status.max(400), raw.json().as_ref()))) }
    }

    pub(super) fn tailnet(&self, rest: &str) -> String {
        format!("/tailnet/{}/{rest}", utf8_percent_encode(&self.target.name, COMPONENT))
    }

    async fn exchange(&self, request: &Request) -> Result<Response, TransportError> {
        let path = request.path.strip_prefix(ROOT).unwrap_or_default();
        let answered = match (self.target.dialect, request.method, path.split_once('/').unwrap_or((path, ""))) {
            (_, Method::Get, ("policy", "")) => self
                .policy()
                .await?
                .map(|(text, etag)| good(&json!({ "policy": text, "etag": etag.unwrap_or_default() }))),
            (_, Method::Put, ("policy", "")) => Ok(self.write(request).await?),
            (Dialect::Tailscale, Method::Post, ("policy", "check")) => {
                let body = Body { text: param(request, "policy"), kind: HUJSON, if_match: None };
                self.ask(Method::Post, &self.tailnet("acl/validate"), Some(body)).await?.map(|raw| checked(&raw))
            }
            // Judged when it is written: the API has nothing that only looks.
            (Dialect::Headscale, Method::Post, ("policy", "check")) => Ok(good(&Value::Null)),
            (_, Method::Get, ("devices", "")) => {
                self.devices(param(request, "besides")).await?.map(|all| good(&Value::Array(all)))
            }
            (_, Method::Delete, ("devices", "")) => self.remove_joined(request).await?,
            (_, Method::Delete, ("devices", id)) => {
                self.ask(Method::Delete, &self.device(id), None).await?.map(|_| good(&Value::Null))
            }
            (dialect, Method::Put, ("devices", rest)) => self.change_device(dialect, rest, request).await?,
            (_, Method::Post, ("keys", "")) => self.new_key(request).await?,
            (Dialect::Tailscale, Method::Delete, ("keys", "")) => self.revoke_keys(request).await?,
            (Dialect::Headscale, Method::Delete, ("keys", "")) => self.expire_keys(request).await?,
            _ => Err(bad(501, "this control plane has no such thing")),
        };
        Ok(answered.unwrap_or_else(|refused| refused))
    }

    /// The policy and its tag. A new Headscale has none in its database, and says so as a fault of its own.
    async fn policy(&self) -> Result<Result<(String, Option<String>), Response>, TransportError> {
        let path = match self.target.dialect {
            Dialect::Tailscale => self.tailnet("acl"),
            Dialect::Headscale => "/policy".to_owned(),
        };
        let asked = self.ask(Method::Get, &path, None).await?;
        if let (Dialect::Headscale, Err(refused)) = (self.target.dialect, &asked)
            && refused.status == 500
            && refused.reason.contains(NO_POLICY)
        {
            return Ok(Ok((EMPTY.to_owned(), None)));
        }
        Ok(asked.and_then(|raw| {
            let text = match self.target.dialect {
                Dialect::Tailscale => String::from_utf8(raw.body.clone()).ok(),
                Dialect::Headscale => {
                    raw.json().and_then(|body| body.get("policy").and_then(Value::as_str).map(str::to_owned))
                }
            };
            text.map(|text| (text, raw.etag)).ok_or_else(|| bad(500, "the answer holds no policy"))
        }))
    }

    /// Writes the policy over the very text that `was` is the digest of.
    async fn write(&self, request: &Request) -> Result<Response, TransportError> {
        let (text, was) = (param(request, "policy"), param(request, "was"));
        let (now, etag) = match self.policy().await? {
            Ok(policy) => policy,
            Err(refused) => return Ok(refused),
        };
        if now == text {
            return Ok(good(&Value::Null));
        }
        if digest(&now) != was {
            return Ok(bad(412, "the policy is another one by now: somebody has written it meanwhile"));
        }
        let asked = match self.target.dialect {
            Dialect::Tailscale => {
                let untouched = param(request, "untouched") == "1";
                let if_match = if untouched { Some("\"ts-default\"".to_owned()) } else { etag };
                let Some(if_match) = if_match else {
                    return Ok(bad(500, "the answer has no ETag: it cannot be written over safely"));
                };
                let body = Body { text, kind: HUJSON, if_match: Some(if_match) };
                self.ask(Method::Post, &self.tailnet("acl"), Some(body)).await?
            }
            Dialect::Headscale => {
                let text = json!({ "policy": text }).to_string();
                self.ask(Method::Put, "/policy", Some(Body { text: &text, kind: JSON, if_match: None })).await?
            }
        };
        Ok(match asked {
            Ok(_) => good(&Value::Null),
            Err(refused) if refused.status == 412 && param(request, "untouched") == "1" => bad(412, SAVED),
            Err(refused) => refused,
        })
    }
}

/// What is sent.
pub(super) struct Body<'a> {
    pub text: &'a str,
    pub kind: &'static str,
    pub if_match: Option<String>,
}

pub(super) type Asked = Result<Raw, Response>;

/// The judgement of a policy: 200 whatever it is, told by the body.
fn checked(raw: &Raw) -> Response {
    let body = raw.json();
    let message = body.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str).unwrap_or_default();
    // Groups that an identity provider does not keep (yet) are a warning.
    if message.is_empty() || message == "warning(s) found" { good(&Value::Null) } else { refusal(400, body.as_ref()) }
}

impl Api for TailnetApi {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(self.exchange(request))
    }
}
