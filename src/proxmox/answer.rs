//! What an answer means: data, or one of the many shapes of an error.
//!
//! PVE has no 404 and puts the text of an error now into `message`, now into `errors`, now into the
//! reason phrase alone (observed on 9.2.11). All of them become a [`Failure`].

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::ports::{Request, Response};

/// Why an API call was refused, whatever shape the refusal had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was asked, as `POST /nodes/pve1/qemu`; never its parameters.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// What PVE says, without trailing line breaks.
    pub message: String,
    /// What it says per parameter.
    pub errors: BTreeMap<String, String>,
}

/// What kind of refusal it is; decides whether to try again and what to advise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// 401: the token is wrong, gone or malformed.
    Unauthenticated,
    /// 403: a privilege is missing, or it is root@pam only.
    Forbidden,
    /// A parameter is wrong.
    BadParameter,
    /// It does not exist (there is no 404; told by the text).
    NotFound,
    /// It exists already.
    Exists,
    /// Somebody changed it since it was read.
    DigestMismatch,
    /// A lock file was not free within PVE's own 10 s: trying again makes sense.
    LockTimeout,
    /// The configuration carries a `lock:` key (backup, snapshot, migrate, create …).
    ConfigLocked,
    /// 595, 596, 599: a proxied node or daemon did not answer.
    Unreachable,
    /// Anything else.
    Other,
}

/// A good answer has data, if only null.
#[derive(Debug, Deserialize)]
struct Envelope {
    data: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: Option<String>,
    errors: Option<Value>,
}

/// Reads an object; serde would take a list for one, too.
fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => serde_json::from_slice(body).map_err(|error| error.to_string()),
        Some(_) => Err("no JSON object".to_owned()),
        None => Err("empty".to_owned()),
    }
}

impl Failure {
    /// What kind of refusal it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        let text = self.message.as_str();
        let has = |needle: &str| text.contains(needle) || self.errors.values().any(|e| e.contains(needle));
        match self.status {
            401 => FailureKind::Unauthenticated,
            403 if has("(pool '") && has("does not exist") => FailureKind::NotFound,
            403 => FailureKind::Forbidden,
            595 | 596 | 599 => FailureKind::Unreachable,
            _ if lock_timeout(text) => FailureKind::LockTimeout,
            _ if config_locked(text) => FailureKind::ConfigLocked,
            _ if has("detected modified configuration") || has("checksum mismatch (file change by other user?)") => {
                FailureKind::DigestMismatch
            }
            _ if has("already exists") || has("already used") => FailureKind::Exists,
            _ if has("does not exist") || has("not found") || has("no such ") || has("No such ") => {
                FailureKind::NotFound
            }
            500 if has("only root can") || has("Only root can") => FailureKind::Forbidden,
            400 => FailureKind::BadParameter,
            _ => FailureKind::Other,
        }
    }
}

/// Whether a text is PVE's word for a lock file that was not free in time.
#[must_use]
pub fn lock_timeout(text: &str) -> bool {
    (text.contains("can't lock file") || text.contains("error with cfs lock") || text.contains("cfs-lock"))
        && text.contains("timeout")
        || text.contains("got no worker upid - start worker failed")
}

/// Whether a text is PVE's word for a configuration with a `lock:` key.
#[must_use]
pub fn config_locked(text: &str) -> bool {
    text.contains("VM is locked (") || text.contains("CT is locked (")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.request, self.status, self.message)?;
        for (parameter, error) in &self.errors {
            write!(f, "; {parameter}: {}", error.trim().replace('\n', " "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The `data` of a good answer.
///
/// # Errors
/// With a [`Failure`] for any status of 400 or more, and for a good status whose body is not the
/// envelope (a proxy's HTML page, a truncated body).
pub fn read(request: &Request, response: &Response) -> Result<Value, Failure> {
    let named = || format!("{} {}", request.method, request.path);
    if response.status < 300 {
        return match object::<Envelope>(&response.body) {
            Ok(envelope) => Ok(envelope.data),
            Err(error) => Err(Failure {
                request: named(),
                status: response.status,
                message: format!("the answer is not what a Proxmox API sends ({error})"),
                errors: BTreeMap::new(),
            }),
        };
    }
    let Complaint { message, errors } = object(&response.body).unwrap_or_default();
    let errors = match errors {
        Some(Value::Object(map)) => map.into_iter().map(|(key, value)| (key, plain(&value))).collect(),
        _ => BTreeMap::new(),
    };
    let message = message.map(|m| m.trim_end().to_owned()).filter(|m| !m.is_empty());
    Err(Failure {
        request: named(),
        status: response.status,
        message: message.unwrap_or_else(|| response.reason.clone()),
        errors,
    })
}

/// A scalar as text: PVE prints the same number now as a number, now as a string. Objects and arrays
/// stay JSON.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => i32::from(*flag).to_string(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Method;

    fn failure(status: u16, reason: &str, body: &str) -> Failure {
        let request = Request { method: Method::Get, path: "/x".into(), params: Vec::new() };
        let response = Response { status, reason: reason.into(), body: body.as_bytes().to_vec() };
        read(&request, &response).unwrap_err()
    }

    #[test]
    fn reason_phrase_is_the_message_when_the_body_is_empty() {
        let failure = failure(401, "Authentication failed!", "");
        assert_eq!(failure.message, "Authentication failed!");
        assert_eq!(failure.kind(), FailureKind::Unauthenticated);
    }

    #[test]
    fn no_404_anywhere_absence_is_told_by_text() {
        let body = r#"{"data":null,"message":"Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist\n"}"#;
        assert_eq!(failure(500, "x", body).kind(), FailureKind::NotFound);
        let body = r#"{"data":null,"message":"Permission check failed (pool 'p1' does not exist)\n"}"#;
        assert_eq!(failure(403, "x", body).kind(), FailureKind::NotFound);
    }

    #[test]
    fn parameter_errors_keep_their_names() {
        let body = r#"{"data":null,"errors":{"vmid":"property is missing and it is not optional"},"message":"Parameter verification failed.\n"}"#;
        let failure = failure(400, "Parameter verification failed.", body);
        assert_eq!(failure.kind(), FailureKind::BadParameter);
        assert!(failure.to_string().contains("vmid: property is missing"));
    }

    #[test]
    fn lock_timeout_is_told_from_config_lock() {
        let body = r#"{"data":null,"message":"can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout\n"}"#;
        assert_eq!(failure(500, "x", body).kind(), FailureKind::LockTimeout);
        let body = r#"{"data":null,"message":"VM is locked (backup)\n"}"#;
        assert_eq!(failure(500, "x", body).kind(), FailureKind::ConfigLocked);
    }

    #[test]
    fn a_body_without_data_is_no_answer() {
        for body in ["<html>", "", "{}", "[1,2]", "[null]", "null", r#"{"data":1,"data":2}"#, r#"{"message":"x"}"#] {
            assert!(failure(200, "OK", body).message.contains("not what a Proxmox API sends"), "{body}");
        }
    }

    #[test]
    fn a_refusal_in_a_strange_shape_is_still_one() {
        for body in ["<html>", "[]", r#"{"message":5,"errors":[]}"#, r#"{"errors":"x"}"#] {
            assert_eq!(failure(500, "the reason", body).message, "the reason", "{body}");
        }
    }
}
