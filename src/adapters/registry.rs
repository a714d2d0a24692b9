//! Registries of container images, as far as asking what a tag is made of goes.
//!
//! Owns how the OCI distribution API is spoken: where Docker's short names lead, the token that even public images are
//! asked with, and which digest counts (that of the list of platforms, as it is what `docker pull` pins). Must not retry
//! and must not pull. The entry is [`Registries::digest`]. Facts: distribution/distribution `docs/spec/auth/token.md`,
//! opencontainers/distribution-spec; plain HTTP is spoken to loopback alone, as Docker does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use camino::Utf8Path;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Digest as _;

use super::https::causes;
use super::tls::public_config;
use crate::inventory::{Digest, ImageRef};

/// Where names without a registry lead.
const DOCKER_HUB: &str = "registry-1.docker.io";
/// As Docker's own file of logins calls it.
const DOCKER_HUB_LOGIN: &str = "https://index.docker.io/v1/";
/// Lists of platforms before single ones: registries answer with the first that they have.
const FORMS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
/// The longest manifest that is read, as registries themselves have it.
const LONGEST: usize = 4 << 20;

/// Why a registry did not say what a tag is made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is no such tag.
    #[error("{host} has no `{name}`")]
    NotThere {
        /// The registry.
        host: String,
        /// Repository and tag.
        name: String,
    },
    /// Nobody without a login may see it, or this login may not.
    #[error("{host} does not show it: {why}")]
    Refused {
        /// The registry.
        host: String,
        /// What it said.
        why: String,
    },
    /// It was asked too often.
    #[error("{host} has been asked too often")]
    TooOften {
        /// The registry.
        host: String,
    },
    /// Nothing came back.
    #[error("{host} does not answer: {why}")]
    Unreachable {
        /// The registry, or who hands out its tokens.
        host: String,
        /// The reason.
        why: String,
    },
    /// Something came back that is no answer of a registry.
    #[error("{host} answers strangely: {why}")]
    Strange {
        /// The registry.
        host: String,
        /// What is odd.
        why: String,
    },
}

impl RegistryError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotThere { .. } => {
                "look which tags there are, and name one with `image:` or in `template.yaml`".into()
            }
            Self::Refused { host, .. } => format!(
                "log in with `docker login {host}`; logins are read from `$DOCKER_CONFIG/config.json` (`auths`, no helpers)"
            ),
            Self::TooOften { host } => format!("wait, or log in with `docker login {host}`; what was answered is kept"),
            Self::Unreachable { .. } => {
                "see whether this machine gets there (`curl -I https://…/v2/`); HTTPS_PROXY is heeded".into()
            }
            Self::Strange { .. } => "see what stands between: a proxy, or a page to log in to a network".into(),
        }
    }
}

/// Registries, and how we log in to them.
pub struct Registries {
    client: reqwest::Client,
    logins: BTreeMap<String, SecretString>,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("logins", &self.logins.keys()).finish_non_exhaustive()
    }
}

/// Where an image is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    base: String,
    path: String,
}

/// Logins of Docker's own file, by registry; those that a helper keeps are not read.
#[must_use]
pub fn logins(file: &Utf8Path) -> BTreeMap<String, SecretString> {
    let text = std::fs::read(file).unwrap_or_default();
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    let auths = value.get("auths").and_then(Value::as_object).into_iter().flatten();
    let each = auths.filter_map(|(registry, own)| {
        let auth = own.get("auth")?.as_str().filter(|auth| !auth.is_empty())?;
        let host = if registry == DOCKER_HUB_LOGIN { DOCKER_HUB } else { registry.trim_start_matches("https://") };
        Some((host.trim_end_matches('/').to_owned(), SecretString::from(auth.to_owned())))
    });
    each.collect()
}

impl Registries {
    /// Prepares the door; nothing is sent yet. `logins` are `user:password` in base64 by registry.
    ///
    /// # Errors
    /// If this system's certificates cannot be used.
    pub fn new(logins: BTreeMap<String, SecretString>) -> Result<Self, RegistryError> {
        let odd = |why: String| RegistryError::Unreachable { host: "this machine".into(), why };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(public_config().map_err(|error| odd(error.to_string()))?)
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::limited(3))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .user_agent("infra")
            .build()
            .map_err(|error| odd(causes(&error)))?;
        Ok(Self { client, logins })
    }

    /// What the tag of an image is made of now.
    ///
    /// # Errors
    /// When its registry does not say so.
    pub async fn digest(&self, image: &ImageRef) -> Result<Digest, RegistryError> {
        let place = place(&image.repository);
        let url = format!("{}/v2/{}/manifests/{}", place.base, place.path, image.tag);
        let mut pass = None;
        let mut answer = self.ask(&place, Method::HEAD, &url, None).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            pass = Some(self.pass(&place, &answer).await?);
            answer = self.ask(&place, Method::HEAD, &url, pass.as_ref()).await?;
        }
        let name = format!("{}:{}", place.path, image.tag);
        let said = answer.headers().get("docker-content-digest").and_then(|said| said.to_str().ok());
        if let (true, Some(said)) = (answer.status().is_success(), said) {
            let strange =
                |_| RegistryError::Strange { host: place.host.clone(), why: format!("its digest is `{said}`") };
            return said.parse().map_err(strange);
        }
        judged(&place.host, &name, answer.status())?;
        // The header is only a should; what is hashed is what `docker pull` hashes.
        let answer = self.ask(&place, Method::GET, &url, pass.as_ref()).await?;
        judged(&place.host, &name, answer.status())?;
        let body = body(&place.host, answer).await?;
        let digest = sha2::Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(format!("sha256:{digest}").parse().expect("64 hex digits"))
    }

    async fn ask(
        &self,
        place: &Place,
        method: Method,
        url: &str,
        pass: Option<&SecretString>,
    ) -> Result<Response, RegistryError> {
        let mut builder = self.client.request(method, url).header(ACCEPT, FORMS);
        if let Some(pass) = pass {
            builder = builder.header(AUTHORIZATION, header(&place.host, pass)?);
        }
        builder.send().await.map_err(|error| unreachable(&place.host, error))
    }

    /// What to be let in with, as the registry asks for it.
    async fn pass(&self, place: &Place, refusal: &Response) -> Result<SecretString, RegistryError> {
        let asked = refusal.headers().get(WWW_AUTHENTICATE).and_then(|asked| asked.to_str().ok()).unwrap_or_default();
        let login = self.logins.get(&place.host);
        let refused = |why: &str| RegistryError::Refused { host: place.host.clone(), why: why.to_owned() };
        let Some((scheme, rest)) = asked.split_once(' ') else { return Err(refused("it asks for a login")) };
        if scheme.eq_ignore_ascii_case("basic") {
            let login = login.ok_or_else(|| refused("it asks for a name and a password"))?;
            return Ok(SecretString::from(format!("Basic {}", login.expose_secret())));
        }
        let asked = parameters(rest);
        let realm = asked.get("realm").ok_or_else(|| refused("it does not say who hands out its tokens"))?;
        if !trusted(realm) {
            let why = format!("`{realm}`, which hands out its tokens, does not speak HTTPS");
            return Err(RegistryError::Strange { host: place.host.clone(), why });
        }
        let scope = asked.get("scope").cloned().unwrap_or_else(|| format!("repository:{}:pull", place.path));
        let mut url = format!("{realm}{}scope={}", if realm.contains('?') { '&' } else { '?' }, encoded(&scope));
        if let Some(service) = asked.get("service") {
            url.push_str(&format!("&service={}", encoded(service)));
        }
        let mut builder = self.client.get(&url);
        if let Some(login) = login {
            let basic = SecretString::from(format!("Basic {}", login.expose_secret()));
            builder = builder.header(AUTHORIZATION, header(&place.host, &basic)?);
        }
        let answer = builder.send().await.map_err(|error| unreachable(realm, error))?;
        match answer.status() {
            StatusCode::TOO_MANY_REQUESTS => return Err(RegistryError::TooOften { host: place.host.clone() }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(refused(if login.is_some() { "the login is not accepted" } else { "it wants a login" }));
            }
            _ => {}
        }
        let answer: Value = serde_json::from_slice(&body(&place.host, answer).await?).unwrap_or_default();
        let token = answer.get("token").or(answer.get("access_token")).and_then(Value::as_str);
        let token = token.ok_or_else(|| RegistryError::Strange {
            host: place.host.clone(),
            why: format!("`{realm}` hands out no token"),
        })?;
        Ok(SecretString::from(format!("Bearer {token}")))
    }
}

/// An answer without a manifest, as what it means.
fn judged(host: &str, name: &str, status: StatusCode) -> Result<(), RegistryError> {
    let host = host.to_owned();
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND => Err(RegistryError::NotThere { host, name: name.to_owned() }),
        // Docker Hub and GitHub say so of repositories that are not there, too.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(RegistryError::Refused { host, why: format!("`{name}` is private, or there is none") })
        }
        StatusCode::TOO_MANY_REQUESTS => Err(RegistryError::TooOften { host }),
        status => Err(RegistryError::Strange { host, why: format!("status {}", status.as_u16()) }),
    }
}

async fn body(host: &str, mut answer: Response) -> Result<Vec<u8>, RegistryError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(host, error))? {
        if body.len() + chunk.len() > LONGEST {
            return Err(RegistryError::Strange { host: host.to_owned(), why: format!("more than {LONGEST} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn header(host: &str, pass: &SecretString) -> Result<HeaderValue, RegistryError> {
    let strange = |_| RegistryError::Strange { host: host.to_owned(), why: "a token that is no header".into() };
    let mut value = HeaderValue::from_str(pass.expose_secret()).map_err(strange)?;
    value.set_sensitive(true);
    Ok(value)
}

fn unreachable(host: &str, error: reqwest::Error) -> RegistryError {
    RegistryError::Unreachable { host: host.to_owned(), why: causes(&error.without_url()) }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.parse::<u16>().is_ok() { name } else { host });
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn trusted(url: &str) -> bool {
    let plain = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?']).next());
    url.starts_with("https://") || plain.is_some_and(is_loopback)
}

/// Docker's rule: what is before the first `/` is a registry if it holds a dot or a colon, or is `localhost`.
fn place(repository: &str) -> Place {
    let own = repository.split_once('/').filter(|(first, _)| first.contains(['.', ':']) || *first == "localhost");
    let (host, path) = match own {
        Some(("docker.io" | "index.docker.io", path)) => (DOCKER_HUB, path.to_owned()),
        Some((host, path)) => (host, path.to_owned()),
        None => (DOCKER_HUB, repository.to_owned()),
    };
    let path = if host == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path };
    let scheme = if is_loopback(host) { "http" } else { "https" };
    Place { host: host.to_owned(), base: format!("{scheme}://{host}"), path }
}

/// `a="x",b="y,z"`.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(key.trim_matches([' ', ',']).to_ascii_lowercase(), value.to_owned());
        rest = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_lead_where_docker_leads_them() {
        let at = |repository: &str| {
            let place = place(repository);
            format!("{} {}", place.base, place.path)
        };
        assert_eq!(at("redis"), "https://registry-1.docker.io library/redis");
        assert_eq!(at("ollama/ollama"), "https://registry-1.docker.io ollama/ollama");
        assert_eq!(at("docker.io/redis"), "https://registry-1.docker.io library/redis");
        assert_eq!(at("ghcr.io/berriai/litellm"), "https://ghcr.io berriai/litellm");
        assert_eq!(at("127.0.0.1:5000/a/b"), "http://127.0.0.1:5000 a/b");
        assert_eq!(at("localhost/a"), "http://localhost a");
        assert_eq!(at("10.0.0.9:5000/a"), "https://10.0.0.9:5000 a", "only loopback is spoken to in the clear");
    }

    #[test]
    fn a_challenge_is_taken_apart() {
        let asked = parameters(
            r#"realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error=x"#,
        );
        assert_eq!(asked["realm"], "https://auth.docker.io/token");
        assert_eq!(asked["scope"], "repository:a/b:pull,push");
        assert_eq!(asked["error"], "x");
        assert!(trusted("https://auth.docker.io/token") && trusted("http://127.0.0.1:9/token"));
        assert!(!trusted("http://auth.docker.io/token") && !trusted("ftp://127.0.0.1/"));
    }

    #[test]
    fn logins_are_read_as_docker_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(directory.path()).unwrap().join("config.json");
        assert!(logins(&file).is_empty());
        std::fs::write(&file, r#"{"auths":{"https://index.docker.io/v1/":{"auth":"azk6Y2FuYXJ5"},"ghcr.io":{"auth":"eA=="},"quay.io":{}}}"#)
            .unwrap();
        let read = logins(&file);
        assert_eq!(read.keys().collect::<Vec<_>>(), ["ghcr.io", DOCKER_HUB]);
        assert!(!format!("{:?}", Registries::new(read).unwrap()).contains("azk6Y2FuYXJ5"));
    }
}
