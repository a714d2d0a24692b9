//! Answers as they go over the wire: status, reason phrase, body.

use serde_json::{Map, Value, json};

use super::rules::{Answer, Refusal};
use crate::ports::Response;

/// Wraps what came of a request.
#[must_use]
pub fn wrap(result: Result<Answer, Refusal>) -> Response {
    match result {
        Ok(Answer { data, total, changes }) => {
            let mut body = Map::from_iter([("data".to_owned(), data)]);
            if let Some(total) = total {
                body.insert("total".to_owned(), json!(total));
            }
            if let Some(changes) = changes {
                body.insert("changes".to_owned(), json!(changes));
            }
            respond(200, "OK", Some(Value::Object(body)))
        }
        // PVE says which method it has not got without the newline that `die` texts have.
        Err(Refusal::Failed { status: 501, text }) => {
            let body = json!({"data": null, "message": text});
            respond(501, &text, Some(body))
        }
        Err(Refusal::Failed { status, text }) => {
            let body = json!({"data": null, "message": format!("{}\n", text)});
            respond(status, &text, Some(body))
        }
        Err(Refusal::Params(errors)) => {
            let text = "Parameter verification failed.";
            let body = json!({"data": null, "message": format!("{text}\n"), "errors": errors});
            respond(400, text, Some(body))
        }
        Err(Refusal::Bare { status, reason }) => respond(status, &reason, None),
        Err(Refusal::Text { status, text }) => {
            Response { body: text.clone().into_bytes(), ..respond(status, &text, None) }
        }
    }
}

fn respond(status: u16, reason: &str, body: Option<Value>) -> Response {
    // Only the first line fits into a status line.
    let reason = reason.lines().next().unwrap_or_default().to_owned();
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    Response { status, reason, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_before_dispatch_have_an_empty_body() {
        let response = wrap(Err(Refusal::Bare { status: 401, reason: "No ticket".into() }));
        assert_eq!((response.status, response.reason.as_str(), response.body.len()), (401, "No ticket", 0));
    }

    #[test]
    fn the_reason_is_the_first_line_of_the_message() {
        let response = wrap(Err(Refusal::failed("one\ntwo")));
        assert_eq!(response.reason, "one");
        assert_eq!(String::from_utf8(response.body).unwrap(), r#"{"data":null,"message":"one\ntwo\n"}"#);
    }
}
