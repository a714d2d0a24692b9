//! The lab's endpoints held against the API descriptions that Proxmox VE itself publishes.
//!
//! The lab writes its parameter tables by hand; this proves that each endpoint exists in every version that the
//! lab claims, with these parameters, types, limits and required-ness, and counts what was compared.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use infra::lab::rules::{Endpoint, Kind, endpoints};
use infra::lab::world::Version;
use serde_json::Value;

/// The shared material, if it is there.
pub fn shared(file: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("INFRA_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let bytes = std::fs::read(root.join("pve").join(file)).ok()?;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
    Some(text)
}

/// Every call of a description by `VERB path`.
pub fn calls(version: &str) -> Option<BTreeMap<String, Value>> {
    fn walk(node: &Value, into: &mut BTreeMap<String, Value>) {
        if let Some(info) = node["info"].as_object() {
            for (verb, call) in info {
                into.insert(format!("{verb} {}", node["path"].as_str().unwrap()), call.clone());
            }
        }
        for child in node["children"].as_array().into_iter().flatten() {
            walk(child, into);
        }
    }
    let tree: Vec<Value> = serde_json::from_slice(&shared(&format!("apidoc-{version}.json.gz"))?).unwrap();
    let mut into = BTreeMap::new();
    for node in &tree {
        walk(node, &mut into);
    }
    Some(into)
}

/// Texts and numbers are both used for limits in the descriptions.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn compare(endpoint: &Endpoint, call: &Value, version: Version, agreed: &mut u32, wrong: &mut Vec<String>) {
    let properties = call["parameters"]["properties"].as_object().cloned().unwrap_or_default();
    let faults = std::cell::RefCell::new(Vec::new());
    let fault = |text: String| faults.borrow_mut().push(format!("{} {endpoint:?}: {text}", version.release()));
    let protected = call["protected"] == 1;
    if protected == endpoint.is_protected() {
        *agreed += 1;
    } else {
        fault(format!("it is {}protected", if protected { "" } else { "not " }));
    }
    for part in endpoint.path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')) {
        // The index form of a few calls has its position optional; the name has to be there.
        if properties.contains_key(part) {
            *agreed += 1;
        } else {
            fault(format!("`{part}` of the path is no parameter"));
        }
    }
    for param in endpoint.params().filter(|p| p.is_in(version)) {
        let Some(known) = properties.get(param.name) else {
            fault(format!("there is no parameter `{}`", param.name));
            continue;
        };
        let before = faults.borrow().len();
        let kind = known["type"].as_str().unwrap_or("string");
        let same_type = kind == param.kind.type_name();
        if !same_type {
            fault(format!("`{}` is {kind}, the lab says {}", param.name, param.kind.type_name()));
        }
        let list = known["format"].as_str().is_some_and(|format| format.ends_with("-list"));
        if matches!(param.kind, Kind::List(_)) && !list {
            fault(format!("`{}` is no list: {}", param.name, known["format"]));
        }
        let optional = known["optional"] == 1 || known["optional"] == "1";
        if optional == param.required {
            fault(format!("`{}` is {}", param.name, if optional { "optional" } else { "required" }));
        }
        let (mut minimum, mut maximum, mut longest) = (None, None, None);
        #[expect(clippy::cast_precision_loss, reason = "limits are small")]
        match param.kind {
            Kind::Int { min, max } | Kind::Number { min, max } => {
                (minimum, maximum) = (min.map(|m| m as f64), max.map(|m| m as f64));
            }
            Kind::Vmid => (minimum, maximum) = (Some(100.0), Some(999_999_999.0)),
            Kind::Short { max, .. } | Kind::ShortPattern(_, _, max) => longest = Some(max as f64),
            Kind::Enum(values) => {
                let listed: Vec<&str> =
                    known["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                if listed != values {
                    fault(format!("`{}` takes {listed:?}, the lab says {values:?}", param.name));
                }
            }
            _ => {}
        }
        if matches!(param.kind, Kind::Int { .. } | Kind::Number { .. } | Kind::Vmid) {
            if number(&known["minimum"]) != minimum {
                fault(format!("`{}` is at least {}, the lab says {minimum:?}", param.name, known["minimum"]));
            }
            if number(&known["maximum"]) != maximum {
                fault(format!("`{}` is at most {}, the lab says {maximum:?}", param.name, known["maximum"]));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "limits are small")]
        let unlimited = usize::MAX as f64;
        if let Some(longest) = longest.filter(|l| *l < unlimited)
            && number(&known["maxLength"]) != Some(longest)
        {
            fault(format!("`{}` is at most {} long, the lab says {longest}", param.name, known["maxLength"]));
        }
        if faults.borrow().len() == before {
            *agreed += 1;
        }
    }
    // What the lab does not know it refuses as unknown: a client may trip over that, so it is named.
    for (name, known) in &properties {
        let served = endpoint.params().any(|p| p.name == name) || endpoint.path.contains(&format!("{{{name}}}"));
        let required = known["optional"] != 1 && known["optional"] != "1";
        if !served && required {
            fault(format!("the lab does not take the required `{name}`"));
        }
    }
    wrong.extend(faults.take());
}

#[test]
fn the_labs_endpoints_are_those_of_the_api_descriptions() {
    let mut wrong = Vec::new();
    for version in Version::ALL {
        let Some(calls) = calls(version.release()) else {
            println!("not run: no API description of {} (set INFRA_SHARED)", version.release());
            return;
        };
        let (mut covered, mut agreed, mut unserved) = (0, 0, 0);
        for endpoint in endpoints().iter().filter(|e| e.since <= version) {
            let name = format!("{} {}", endpoint.method, endpoint.path);
            let Some(call) = calls.get(&name) else {
                wrong.push(format!("{}: there is no `{name}`", version.release()));
                continue;
            };
            covered += 1;
            compare(endpoint, call, version, &mut agreed, &mut wrong);
            let known = call["parameters"]["properties"].as_object().map_or(0, serde_json::Map::len);
            let served = endpoint.params().filter(|p| p.is_in(version)).count() + endpoint.path.matches('{').count();
            unserved += known.saturating_sub(served);
        }
        println!(
            "{}: {covered} endpoints, {agreed} parameters agree; {unserved} optional parameters are not served",
            version.release()
        );
        assert!(covered > 100 && agreed > 500, "too little was compared");
    }
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_endpoint_is_there_twice() {
    let mut names: Vec<String> = endpoints().iter().map(|e| format!("{e:?}")).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// What our client may send that 8.4 does not know.
const SINCE_9_1: [&str; 1] = ["allow-ksm"];

#[test]
fn what_our_client_sends_is_in_the_api_descriptions_and_the_lab_serves_it() {
    let mut wrong = Vec::new();
    for version in Version::ALL {
        let Some(calls) = calls(version.release()) else {
            println!("not run: no API description of {} (set INFRA_SHARED)", version.release());
            return;
        };
        let mut agreed = 0;
        for (name, endpoint) in infra::proxmox::endpoints::ALL {
            let what = format!("{} {}", endpoint.method, endpoint.path);
            let properties = calls.get(&what).map(|call| call["parameters"]["properties"].clone());
            let Some(properties) = properties else {
                wrong.push(format!("{}: {name}: there is no `{what}`", version.release()));
                continue;
            };
            let served = endpoints().iter().find(|e| e.method == endpoint.method && e.path == endpoint.path);
            if served.is_none() {
                wrong.push(format!("{}: {name}: the lab does not serve `{what}`", version.release()));
            }
            for param in endpoint.params {
                if version.release() < "9.1" && SINCE_9_1.contains(param) {
                    // Sent only where the inventory asks for it; the plan holds it against the host's own description.
                    continue;
                }
                if properties.get(*param).is_none() {
                    wrong.push(format!("{}: {name}: `{what}` has no parameter `{param}`", version.release()));
                } else if served.is_some_and(|row| !row.params().any(|p| p.name == *param && p.is_in(version))) {
                    wrong.push(format!("{}: {name}: the lab does not take `{param}` of `{what}`", version.release()));
                } else {
                    agreed += 1;
                }
            }
        }
        println!(
            "{}: {} endpoints of the client, {agreed} parameters agree",
            version.release(),
            infra::proxmox::endpoints::ALL.len()
        );
    }
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}
