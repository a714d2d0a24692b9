//! The recorded exchanges as they are on disk: what was sent, what came back.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::contract::shared;

/// One exchange.
#[derive(Debug, Clone)]
pub struct Row {
    pub seq: u32,
    pub name: String,
    /// Who called: a token of the recording machine, or nobody.
    pub who: Option<String>,
    pub request: Sent,
    pub response: Recorded,
}

/// What was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub method: String,
    /// Path with query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub status: u16,
    pub reason: String,
    pub content_type: Option<String>,
    /// Null where the body is no JSON.
    pub json: Value,
    pub text: Option<String>,
}

impl Row {
    /// What comes before the first dot of the name.
    pub fn area(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    fn parse(line: &str) -> Self {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let (request, response) = (&row["request"], &row["response"]);
        let name = text(&row["name"]).unwrap();
        let headers = request["headers"].as_object().into_iter().flatten();
        let method = text(&request["method"]).unwrap();
        let body = match (&request["body"], &request["form"]) {
            (Value::String(raw), _) => Some(python_bytes(raw).unwrap_or_else(|| raw.clone().into_bytes())),
            // Kept as a remark of the recorder: two bodies around the limit of a description.
            (_, Value::String(_)) => {
                let length = if name == "http.body-too-large" { 70_000 } else { 9_000 };
                Some(format!("vmid=170&description={}", "x".repeat(length)).into_bytes())
            }
            (_, Value::Array(pairs)) if method != "GET" && method != "DELETE" => Some(form(pairs).into_bytes()),
            _ => None,
        };
        Self {
            seq: u32::try_from(row["seq"].as_u64().unwrap()).unwrap(),
            who: text(&row["as"]),
            request: Sent {
                method,
                target: text(&request["path"]).unwrap(),
                headers: headers.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect(),
                body,
            },
            response: Recorded {
                status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
                reason: text(&response["reason"]).unwrap(),
                content_type: text(&response["headers"]["Content-Type"]),
                json: response["json"].clone(),
                text: text(&response["text"]),
            },
            name,
        }
    }

    /// When this happened in seconds since the epoch, where the exchange tells.
    pub fn time(&self) -> Option<i64> {
        let texts = [self.response.json["data"].as_str().unwrap_or_default(), &self.request.target];
        texts.iter().filter_map(|text| started(text)).max()
    }
}

/// The start time in a UPID, plain or percent-encoded.
fn started(text: &str) -> Option<i64> {
    let upid = text[text.find("UPID")?..].replace("%3A", ":");
    i64::from_str_radix(upid.split(':').nth(4)?, 16).ok()
}

fn form(pairs: &[Value]) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let plain = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut out = Vec::new();
    for pair in pairs {
        let name = encode(pair[0].as_str().unwrap());
        match &pair[1] {
            Value::Array(values) => out.extend(values.iter().map(|v| format!("{name}={}", encode(&plain(v))))),
            value => out.push(format!("{name}={}", encode(&plain(value)))),
        }
    }
    out.join("&")
}

/// Uploads were kept as Python prints bytes: `b'…\r\n…'`.
fn python_bytes(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix("b'")?.strip_suffix('\'')?;
    Some(inner.replace("\\r", "\r").replace("\\n", "\n").into_bytes())
}

/// Every exchange in the order of its happening; none if the shared material is not here.
pub fn rows() -> Option<Vec<Row>> {
    let text = String::from_utf8(shared("recordings-9.2.jsonl.gz")?).unwrap();
    Some(text.lines().map(Row::parse).collect())
}

/// MAC addresses that somebody asked for: those have to come back as they are.
pub fn chosen_macs(rows: &[Row]) -> BTreeSet<String> {
    let bodies = rows.iter().filter_map(|row| row.request.body.as_ref());
    let texts = bodies.map(|body| percent_encoding::percent_decode(body).decode_utf8_lossy().into_owned());
    texts.flat_map(|text| super::compare::macs(&text)).collect()
}
