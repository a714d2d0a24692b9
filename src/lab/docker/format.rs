//! `--format`: as much of Go's templates as anybody sends: texts, `{{.A.B}}`, `{{json .A}}`, `\t` and `\n`.

use serde_json::Value;

/// Fills a template with a value.
///
/// # Errors
/// What the program says of a template that it, or the lab, does not know.
pub(super) fn filled(template: &str, value: &Value) -> Result<String, String> {
    let template = if template == "json" { "{{json .}}" } else { template };
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((inner, after)) = after.split_once("}}") else {
            return Err("template parsing error: template: :1: unclosed action".to_owned());
        };
        rest = after;
        let inner = inner.trim();
        let (as_json, path) = match inner.strip_prefix("json ") {
            Some(path) => (true, path.trim()),
            None => (false, inner),
        };
        let found = at(value, path).ok_or_else(|| {
            let name = path.trim_start_matches('.');
            format!("template: :1:2: executing \"\" at <{path}>: map has no entry for key \"{name}\"")
        })?;
        match found {
            Value::String(text) if !as_json => out.push_str(text),
            Value::Null if !as_json => out.push_str("<no value>"),
            // Go writes these three as escapes.
            other => {
                out.push_str(&other.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
            }
        }
    }
    out.push_str(rest);
    Ok(out.replace("\\t", "\t").replace("\\n", "\n"))
}

fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let path = path.strip_prefix('.')?;
    path.split('.').filter(|part| !part.is_empty()).try_fold(value, |value, part| value.get(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_filled_in() {
        let value = json!({"A": {"B": "x"}, "C": [1], "D": "<y>"});
        assert_eq!(filled("{{.A.B}}\\t{{json .C}}", &value).unwrap(), "x\t[1]");
        assert_eq!(filled("{{json .D}}", &value).unwrap(), "\"\\u003cy\\u003e\"");
        assert_eq!(filled("json", &json!({"a": 1})).unwrap(), "{\"a\":1}");
        assert!(filled("{{.Nope}}", &value).is_err());
    }
}
