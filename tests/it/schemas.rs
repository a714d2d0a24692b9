//! What `graph`, `can` and `verify` answer in JSON is what their published schemas say, key by key.

use serde_json::Value;

use crate::desk::Desk;

/// Where a value is not what a schema says; keys that it does not know are faults, too.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = match schema["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
        Some(to) => root.pointer(to).unwrap_or_else(|| panic!("{at}: no {to}")),
        None => schema,
    };
    let mut found = Vec::new();
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{at}: {other}"),
    };
    if !kinds.is_empty() && !kinds.iter().any(is) {
        found.push(format!("{at}: {value} is no {kinds:?}"));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    if !schema["const"].is_null() && schema["const"] != *value {
        found.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    for one in ["oneOf", "anyOf"] {
        let Some(all) = schema[one].as_array() else { continue };
        let partial = value.is_object();
        let fits = all.iter().any(|branch| faults_of_branch(root, branch, value, at, partial).is_empty());
        if !fits {
            found.push(format!("{at}: {value} fits no branch of {one}"));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            found.push(format!("{at}: `{name}` is missing"));
        }
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        let branches = ["oneOf", "anyOf"].iter().flat_map(|one| schema[*one].as_array().into_iter().flatten());
        let elsewhere: Vec<&String> =
            branches.filter_map(|branch| branch["properties"].as_object()).flat_map(|own| own.keys()).collect();
        for (name, inner) in object {
            match properties.get(name) {
                Some(schema) => found.extend(faults(root, schema, inner, &format!("{at}/{name}"))),
                None if elsewhere.contains(&name) => {}
                None => found.push(format!("{at}: nobody says what `{name}` is")),
            }
        }
    }
    if let Some(items) = value.as_array().filter(|_| schema["items"].is_object()) {
        for (index, inner) in items.iter().enumerate() {
            found.extend(faults(root, &schema["items"], inner, &format!("{at}/{index}")));
        }
    }
    found
}

/// A branch beside `properties` says only some of the keys.
fn faults_of_branch(root: &Value, branch: &Value, value: &Value, at: &str, partial: bool) -> Vec<String> {
    let mut value = value.clone();
    if let (true, Some(object), Some(own)) = (partial, value.as_object_mut(), branch["properties"].as_object()) {
        object.retain(|name, _| own.contains_key(name));
    }
    faults(root, branch, &value, at)
}

#[test]
fn answers_are_what_their_schemas_say() {
    let desk = Desk::new();
    std::fs::write(desk.path("edge.yaml"), crate::isolation_cli::EDGE).unwrap();
    let inventory = ["-i", "inventories/vrooli", "-i", "edge.yaml"];
    let asked = [
        ("graph", 0, vec!["graph"]),
        ("matrix", 0, vec!["graph", "--matrix"]),
        ("can", 0, vec!["can", "proj-x", "plan-hq"]),
        ("can", 1, vec!["can", "proj-x", "proj-y:22"]),
        ("can", 0, vec!["can", "tag:phone", "plan.example.com"]),
        ("can", 1, vec!["can", "internet", "plan-hq"]),
        // Nothing is there yet, so nothing can be tried.
        ("verify", 1, vec!["verify", "--lab"]),
    ];
    for (of, code, args) in asked {
        let schema: Value = serde_json::from_str(&desk.run(0, &["schema", of])).unwrap();
        let answer = desk.run(code, &[&args[..], &inventory, &["--output", "json"]].concat());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let found = faults(&schema, &schema, &answer, "");
        assert!(found.is_empty(), "{args:?}: {found:#?}");
        // The check itself sees what is wrong.
        let mut wrong = answer;
        wrong["format"] = Value::from("one");
        wrong["more"] = Value::Null;
        assert_eq!(faults(&schema, &schema, &wrong, "").len(), 2, "{args:?}");
    }
}
