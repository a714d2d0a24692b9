//! The record of a request in ClickHouse, as TensorZero writes it: a row in `ChatInference` with the tags of the request,
//! and one in `ModelInference` with its tokens (<https://www.tensorzero.com/docs/gateway/data-model>).

use serde_json::Value;

use super::asker::{Reply, Request, Secret};
use super::uses::Place;
use crate::model::ServiceName;
use crate::render::stack_directory;
use crate::verify::Verdict;

/// The database that the gateway is rendered to write into.
const DATABASE: &str = "tensorzero";
/// The user that it does so as.
const USER: &str = "infra";

/// Keys of the two answers.
const INFERENCE: &str = "inference";
const MODEL: &str = "model";

/// Asks for both rows of one inference. It is asked over the way that the gateway takes, and with its password, which
/// does not leave its file.
#[must_use]
pub fn requests(place: &Place, database: &ServiceName, inference: &str) -> Vec<Request> {
    let password = Secret::File(format!("{}/secrets/password", stack_directory(database)));
    let headers = vec![format!("X-ClickHouse-User: {USER}"), format!("X-ClickHouse-Key: {password}")];
    let query = |key: &str, text: String| Request {
        key: key.to_owned(),
        host: place.host.clone(),
        port: place.port,
        path: format!("/?database={DATABASE}"),
        headers: headers.clone(),
        body: Some(text),
        limit_s: 10,
        ..Request::default()
    };
    // What is no id of theirs is nothing to ask for.
    let id: String = inference.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect();
    vec![
        query(
            INFERENCE,
            format!(
                "SELECT episode_id, tags['tenant_id'] AS tenant FROM ChatInference WHERE id = '{id}' FORMAT JSONEachRow"
            ),
        ),
        query(
            MODEL,
            format!(
                "SELECT model_name, input_tokens, output_tokens FROM ModelInference WHERE inference_id = '{id}' FORMAT JSONEachRow"
            ),
        ),
    ]
}

/// What was found of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The tenant that it was recorded as; empty, if as none.
    pub tenant: String,
    /// Tokens that were counted, where they were.
    pub tokens: Option<(u64, u64)>,
}

/// What was answered; nothing, if there is no row yet.
///
/// # Errors
/// With what the database says.
pub fn read(replies: &std::collections::BTreeMap<String, Reply>) -> Result<Option<Found>, String> {
    let row = |key: &str| -> Result<Option<Value>, String> {
        let reply = replies.get(key).ok_or("it was not asked")?;
        reply.fine()?;
        let body = reply.body();
        let Some(line) = body.lines().find(|line| !line.trim().is_empty()) else { return Ok(None) };
        serde_json::from_str(line).map(Some).map_err(|_| format!("it answers no row: {line}"))
    };
    let Some(inference) = row(INFERENCE)? else { return Ok(None) };
    let model = row(MODEL)?;
    let tokens = model.and_then(|model| Some((number(&model["input_tokens"])?, number(&model["output_tokens"])?)));
    Ok(Some(Found { tenant: inference["tenant"].as_str().unwrap_or_default().to_owned(), tokens }))
}

/// `UInt64` comes in quotes unless a setting says otherwise.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether the request was recorded.
#[must_use]
pub fn recorded(found: &Result<Option<Found>, String>, waited_s: u64) -> (Verdict, String) {
    match found {
        Err(why) => (Verdict::Fail, format!("the database cannot be asked: {why}")),
        Ok(None) => (Verdict::Fail, format!("there is no row of this request after {waited_s} s")),
        Ok(Some(Found { tokens: Some((read, written)), .. })) => {
            (Verdict::Pass, format!("this request is there: {read} tokens in, {written} out"))
        }
        Ok(Some(_)) => (Verdict::Fail, "this request is there, and its tokens were not counted".to_owned()),
    }
}

/// Whether it was recorded as its tenant's.
#[must_use]
pub fn of_tenant(found: &Found, tenant: &str) -> (Verdict, String) {
    match found.tenant.as_str() {
        own if own == tenant => (Verdict::Pass, format!("it is recorded as `{tenant}`")),
        "" => (Verdict::Fail, format!("it was asked as `{tenant}`, and recorded as nobody's")),
        other => (Verdict::Fail, format!("it was asked as `{tenant}`, and recorded as `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::stack::asker::Ended;

    fn replies(inference: &str, model: &str) -> std::collections::BTreeMap<String, Reply> {
        let reply = |text: &str| Reply {
            status: Some(200),
            lines: text.lines().map(|line| (0.0, line.to_owned())).collect(),
            ended: Ended::Whole,
            ..Reply::default()
        };
        [(INFERENCE.to_owned(), reply(inference)), (MODEL.to_owned(), reply(model))].into()
    }

    #[test]
    fn a_row_of_this_very_request_is_a_proof() {
        let own = r#"{"episode_id":"0198-b","tenant":"infra-verify"}"#;
        let found = read(&replies(own, r#"{"model_name":"q","input_tokens":31,"output_tokens":"96"}"#));
        assert_eq!(recorded(&found, 0).0, Verdict::Pass);
        assert_eq!(of_tenant(&found.unwrap().unwrap(), "infra-verify").0, Verdict::Pass);
        assert_eq!(
            recorded(&read(&replies("", "")), 9),
            (Verdict::Fail, "there is no row of this request after 9 s".into())
        );
        assert_eq!(recorded(&read(&replies(own, "")), 9).0, Verdict::Fail, "tokens belong to it");
        let other = read(&replies(r#"{"tenant":"unknown"}"#, "")).unwrap().unwrap();
        assert!(of_tenant(&other, "infra-verify").1.contains("recorded as `unknown`"));
        assert_eq!(recorded(&read(&std::collections::BTreeMap::new()), 1).0, Verdict::Fail);
    }

    #[test]
    fn the_password_stays_in_its_file() {
        let place = Place { from: "inference".parse().unwrap(), host: "172.18.0.2".into(), port: 8123 };
        let all = requests(&place, &"clickhouse".parse().unwrap(), "0198'; DROP");
        assert!(all[0].headers[1].ends_with("@file:/opt/stacks/clickhouse/secrets/password@"));
        assert!(all[0].body.as_deref().unwrap().contains("id = '0198D'"), "{:?}", all[0].body);
    }
}
