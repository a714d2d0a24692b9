//! Our reading of Proxmox's API description held against the descriptions of 8.4, 9.1 and 9.2, and against what
//! a real 9.2 answered to well and badly formed requests.

use std::collections::BTreeMap;

use infra::ports::{Method, Request};
use infra::proxmox::ApiSchema;
use infra::proxmox::schema::{Call, Fault, Format, Property, Type};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::contract::{calls, shared};
use crate::fidelity;

const VERSIONS: [&str; 3] = ["8.4", "9.1", "9.2"];

/// The real description of a version, if it is there.
pub fn real(version: &str) -> Option<ApiSchema> {
    let json = String::from_utf8(shared(&format!("apidoc-{version}.json.gz"))?).unwrap();
    // As the host serves it: program text follows.
    let text = format!("const apiSchema = {json}\n;\nlet method2cmd = {{ GET: 'get' }};\n");
    Some(ApiSchema::parse(&text).unwrap())
}

/// All three, or nothing and a word why.
pub fn all_real() -> Option<Vec<(&'static str, ApiSchema)>> {
    let all: Option<Vec<_>> = VERSIONS.into_iter().map(|version| Some((version, real(version)?))).collect();
    if all.is_none() {
        println!("not run: no API descriptions (set INFRA_SHARED)");
    }
    all
}

#[test]
fn the_real_descriptions_are_read_whole() {
    let Some(all) = all_real() else { return };
    for (version, schema) in all {
        let expected = calls(version).unwrap();
        let read: Vec<String> = schema.calls().map(|(method, call)| format!("{method} {}", call.path)).collect();
        assert_eq!(read.len(), expected.len(), "{version}");
        let mut parameters = 0;
        for name in &read {
            let known = expected[name]["parameters"]["properties"].as_object().map_or(0, serde_json::Map::len);
            let (method, path) = name.split_once(' ').unwrap();
            let method = [Method::Get, Method::Post, Method::Put, Method::Delete]
                .into_iter()
                .find(|m| m.as_str() == method)
                .unwrap();
            let call = schema.call(method, path).unwrap();
            assert_eq!(call.parameters.properties.len(), known, "{version} {name}");
            parameters += known;
        }
        println!("{version}: {} calls, {parameters} parameters", read.len());
        assert!(read.len() > 500);
    }
}

#[test]
fn what_is_no_description_is_refused() {
    assert!(ApiSchema::parse("<html><body>login</body></html>").is_err());
    assert!(ApiSchema::parse("const apiSchema = [{\"path\": \"/nodes\", \"info\": {}").is_err(), "torn");
    assert!(ApiSchema::parse("const apiSchema = []\n;").is_err(), "empty");
    assert!(ApiSchema::parse("const apiSchema = [{\"path\": \"/version\", \"info\": {\"GET\": {}}}];").is_err());
}

/// A recorded exchange as a request; `None` for bodies that are no form.
fn recorded(row: &Value) -> Option<Request> {
    let request = &row["request"];
    let method = match request["method"].as_str()? {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => return None,
    };
    let whole = request["path"].as_str()?.strip_prefix("/api2/json")?;
    let (path, query) = whole.split_once('?').unwrap_or((whole, ""));
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut params = Vec::new();
    let pairs = |text: &str| -> Vec<(String, String)> {
        let pairs = text.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")));
        pairs.map(|(name, value)| (decode(name), decode(value))).collect()
    };
    let body = request["body"].as_str().unwrap_or_default();
    match (&request["form"], request["headers"]["Content-Type"].as_str().unwrap_or_default()) {
        (_, "application/x-www-form-urlencoded") if !body.is_empty() => params.extend(pairs(body)),
        (_, "application/json") => {
            let Ok(Value::Object(given)) = serde_json::from_str(body) else { return None };
            for (name, value) in given {
                let values = if let Value::Array(values) = value { values } else { vec![value] };
                let plain = |value: &Value| value.as_bool().map_or_else(|| text(value), |on| u8::from(on).to_string());
                params.extend(values.iter().map(|value| (name.clone(), plain(value))));
            }
        }
        _ if !body.is_empty() => return None,
        (Value::Null, _) => params.extend(pairs(query)),
        (Value::Array(form), _) => {
            for pair in form {
                let name = pair[0].as_str()?.to_owned();
                match &pair[1] {
                    Value::Array(values) => params.extend(values.iter().map(|value| (name.clone(), text(value)))),
                    value => params.push((name, text(value))),
                }
            }
        }
        _ => return None,
    }
    Some(Request { method, path: path.to_owned(), params })
}

/// Texts of refusals that hang on what is there or on rules that only Perl code knows: no description has them.
const NOT_DESCRIBED: &[&str] = &[
    "already exists",
    "no such",
    "unknown option",
    "you can't use",
    "Only root may",
    "hotplug problem",
    "unknown action",
    "unknown macro",
    "invalid rule type",
    "'net",
    "wrong file extension",
    "target is local node",
    "does not exist",
    "is required.",
    "No such storage",
    "unable to parse worker upid",
    "missing property required by",
    "requires this property",
    "invalid privilege",
    "invalid ACL path",
    "valid ipv4 network configuration",
];

#[test]
fn recorded_answers_of_9_2_agree_with_the_check() {
    let (Some(schema), Some(rows)) = (real("9.2"), shared("recordings-9.2.jsonl.gz")) else {
        println!("not run: no recordings (set INFRA_SHARED)");
        return;
    };
    let (mut passed, mut refused, mut unknown, mut not_described, mut no_form) = (0, 0, 0, 0, 0);
    let mut wrong = Vec::new();
    for line in String::from_utf8(rows).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let Some(request) = recorded(&row) else {
            no_form += 1;
            continue;
        };
        let mut problems = schema.check(&request).problems;
        if row["as"] == "root-ticket" || request.path == "/access/ticket" {
            problems.retain(|problem| problem.fault != Fault::NotForTokens);
        }
        let status = row["response"]["status"].as_u64().unwrap();
        let reason = row["response"]["reason"].as_str().unwrap_or_default();
        let said = format!("{} {} {} {:?}: {problems:?}", row["seq"], request.method, request.path, row["response"]);
        match status {
            200 if problems.is_empty() => passed += 1,
            200 => wrong.push(format!("refused what worked: {said}")),
            400 => {
                let errors = row["response"]["json"]["errors"].to_string();
                if !problems.is_empty() {
                    refused += 1;
                } else if NOT_DESCRIBED.iter().any(|text| errors.contains(text)) {
                    not_described += 1;
                } else {
                    wrong.push(format!("let pass: {said}"));
                }
            }
            501 if reason.contains("not implemented") => {
                if problems.iter().any(|p| matches!(p.fault, Fault::UnknownPath | Fault::UnknownMethod { .. })) {
                    unknown += 1;
                } else {
                    wrong.push(format!("let pass: {said}"));
                }
            }
            _ => {}
        }
    }
    println!(
        "recorded 9.2: {passed} of 200 pass; of 400, {refused} are refused and {not_described} hang on what no \
         description says; {unknown} unknown calls are refused; {no_form} are no forms"
    );
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    let rows = [
        ("answered with 200, let pass", passed),
        ("answered with 400, refused", refused),
        ("answered with 400, for what no description says", not_described),
        ("unknown call, refused", unknown),
        ("no form", no_form),
    ];
    let rows = rows.map(|(what, count)| vec![what.to_owned(), count.to_string()]);
    assert_eq!(fidelity::stale("requests", &fidelity::table(&["recorded request", "count"], rows)), None);
    assert!(passed > 550 && refused >= 45 && unknown > 0, "too little was compared");
}

/// A value that fits, if one can be thought of.
fn good(property: &Property) -> Option<String> {
    if let Some(value) = property.values.first() {
        return Some(value.clone());
    }
    if let Some(pattern) = &property.pattern {
        let samples =
            ["0000:01:00.0", "10de:2684", "vmbr0", "socket", "q35", "a1", "abc", "100", "0", "/a", "https://a.b/c"];
        return samples.into_iter().find(|value| pattern.matches(value) == Some(true)).map(str::to_owned);
    }
    #[expect(clippy::cast_possible_truncation, reason = "limits are small")]
    let number = || property.minimum.map_or(1, |minimum| minimum as i64).to_string();
    match (&property.format, property.kind) {
        (Some(Format::Properties(keys)), _) => {
            let needed = keys.iter().filter(|(_, of)| !of.optional && of.alias.is_none());
            let parts: Option<Vec<String>> = needed.map(|(key, of)| Some(format!("{key}={}", good(of)?))).collect();
            let parts = parts?.join(",");
            if parts.is_empty() {
                let (key, of) = keys.iter().find(|(_, of)| of.alias.is_none())?;
                return Some(format!("{key}={}", good(of)?));
            }
            Some(parts)
        }
        (Some(Format::Named(name)), Type::String) => Some(
            match name.as_str() {
                "pve-vmid" => "100",
                "mac-addr" => "BC:24:11:00:00:01",
                "ipv4" | "ip" | "address" => "10.0.0.1",
                "ipv6" => "fd00::1",
                "CIDR" | "CIDRv4" | "IPorCIDR" | "pve-ipv4-config" => "10.0.0.0/24",
                "CIDRv6" | "pve-ipv6-config" => "fd00::/64",
                "disk-size" => "32G",
                "pve-startup-order" => "order=1",
                _ => "abc",
            }
            .to_owned(),
        ),
        (_, Type::Integer | Type::Number) => Some(number()),
        (_, Type::Boolean) => Some("1".to_owned()),
        (_, Type::Array) => good(property.items.as_deref()?),
        (_, Type::String | Type::Any) => Some("a".repeat(property.min_length.unwrap_or(1).max(1))),
    }
}

/// Values that surely do not fit, each wrong in one way.
fn bad(property: &Property) -> Vec<String> {
    let mut wrong = Vec::new();
    if !property.values.is_empty() {
        wrong.push("no-such-value".to_owned());
    }
    match property.kind {
        Type::Integer | Type::Number => wrong.push("many".to_owned()),
        Type::Boolean => wrong.push("yes".to_owned()),
        _ => {}
    }
    if matches!(property.kind, Type::Integer | Type::Number) {
        wrong.extend(property.minimum.map(|minimum| (minimum - 1.0).to_string()));
        wrong.extend(property.maximum.map(|maximum| (maximum + 1.0).to_string()));
    }
    if let Some(longest) = property.max_length.filter(|longest| *longest < 100_000) {
        wrong.push("a".repeat(longest + 1));
    }
    match &property.format {
        Some(Format::Properties(keys)) => {
            let fits = good(property).unwrap_or_default();
            wrong.push(format!("{fits},no-such-key=1"));
            wrong.extend(
                keys.iter().filter(|(_, of)| !of.optional && of.alias.is_none()).map(|_| String::new()).take(1),
            );
            for (key, of) in keys.iter().filter(|(_, of)| of.alias.is_none()) {
                let others = keys.iter().filter(|(other, of)| *other != key && !of.optional && of.alias.is_none());
                let others: Vec<String> = others.filter_map(|(key, of)| Some(format!("{key}={}", good(of)?))).collect();
                for value in bad(of).into_iter().filter(|v| !v.is_empty() && v != "yes" && !v.contains(',')) {
                    wrong.push([others.clone(), vec![format!("{key}={value}")]].concat().join(","));
                }
            }
        }
        Some(Format::Named(name))
            if ["dns-name", "pve-configid", "pve-storage-id", "pve-tag-list"].contains(&name.as_str()) =>
        {
            wrong.push("not*this".to_owned());
        }
        _ => {}
    }
    wrong
}

fn path_of(call: &Call) -> Option<String> {
    let segment = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => call.parameters.properties.get(name).map_or(Some("abc".to_owned()), good),
        None => Some(part.to_owned()),
    };
    Some(format!("/{}", call.path.split('/').skip(1).map(segment).collect::<Option<Vec<_>>>()?.join("/")))
}

/// A request with everything that a call needs.
fn least(method: Method, call: &Call) -> Option<Request> {
    let in_path = |name: &str| call.path.contains(&format!("{{{name}}}"));
    let params: Option<Vec<(String, String)>> = call
        .parameters
        .properties
        .iter()
        .filter(|(name, of)| !of.optional && !in_path(name))
        .map(|(name, of)| Some((name.clone(), good(of)?)))
        .collect();
    Some(Request { method, path: path_of(call)?, params: params? })
}

#[test]
fn one_wrong_parameter_of_any_call_is_refused() {
    let Some(all) = all_real() else { return };
    for (version, schema) in all {
        let (mut fitting, mut mutants, mut by_kind) = (0, 0, BTreeMap::<&str, u32>::new());
        let mut survivors = Vec::new();
        for (method, call) in schema.calls().filter(|(_, call)| call.takes_tokens) {
            let Some(base) = least(method, call) else { continue };
            if !schema.check(&base).problems.is_empty() {
                continue;
            }
            fitting += 1;
            let mut refuse = |kind: &'static str, request: Request| {
                mutants += 1;
                *by_kind.entry(kind).or_default() += 1;
                if schema.check(&request).problems.is_empty() {
                    survivors.push(format!("{version} {kind}: {request:?}"));
                }
            };
            let with = |name: &str, value: &str| {
                let mut request = base.clone();
                request.params.retain(|(known, _)| known != name);
                request.params.push((name.to_owned(), value.to_owned()));
                request
            };
            if !call.parameters.others {
                refuse("unknown", with("no-such-parameter", "1"));
            }
            for index in 0..base.params.len() {
                let mut request = base.clone();
                request.params.remove(index);
                refuse("missing", request);
            }
            let other = [Method::Get, Method::Post, Method::Put, Method::Delete]
                .into_iter()
                .find(|other| schema.call(*other, &call.path).is_none());
            if let Some(other) = other {
                refuse("method", Request { method: other, ..base.clone() });
            }
            for (name, property) in &call.parameters.properties {
                if call.path.contains(&format!("{{{name}}}")) || property.varies {
                    continue;
                }
                let name = name.replace("[n]", "0");
                let property = property.items.as_deref().unwrap_or(property);
                for value in bad(property) {
                    refuse("value", with(&name, &value));
                }
            }
        }
        println!("{version}: {fitting} calls, {mutants} wrong requests ({by_kind:?}), {} let pass", survivors.len());
        assert!(survivors.is_empty(), "{}", survivors[..survivors.len().min(10)].join("\n"));
        assert!(fitting > 350 && mutants > 3000, "too little was tried");
    }
}
