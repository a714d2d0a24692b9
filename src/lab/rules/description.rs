//! The API description that the lab serves of itself, in the shape of Proxmox's `apidoc.js`.
//!
//! Made from the rows that the lab answers by, for the version that it stands for: what the lab would
//! refuse is not in it. Formats that the lab checks by program are plain texts here.

use serde_json::{Map, Value, json};

use super::super::world::Version;
use super::param::Props;
use super::{Endpoint, Kind, Param, endpoints};

/// Where it is served, from the server's root; without login.
pub const API_DESCRIPTION: &str = "/pve-docs/api-viewer/apidoc.js";

/// The whole file: one value and, as in the original, program text behind it.
#[must_use]
pub fn api_description(version: Version) -> String {
    let mut root = Node::default();
    for endpoint in endpoints().iter().filter(|endpoint| endpoint.since <= version) {
        root.place(endpoint, version);
    }
    let tree = Value::Array(root.children("", Vec::new()));
    format!("const apiSchema = {tree}\n;\n\nlet method2cmd = {{\n    GET: 'get',\n    POST: 'create',\n}};\n")
}

/// One segment of paths, in the order of the rows.
#[derive(Default)]
struct Node {
    below: Vec<(&'static str, Node)>,
    info: Map<String, Value>,
}

impl Node {
    fn place(&mut self, endpoint: &Endpoint, version: Version) {
        let mut node = self;
        for part in endpoint.path.split('/').filter(|part| !part.is_empty()) {
            let at = node.below.iter().position(|(name, _)| *name == part).unwrap_or_else(|| {
                node.below.push((part, Self::default()));
                node.below.len() - 1
            });
            node = &mut node.below[at].1;
        }
        node.info.entry(endpoint.method.as_str()).or_insert_with(|| call(endpoint, version));
    }

    fn children(self, path: &str, mut into: Vec<Value>) -> Vec<Value> {
        for (part, node) in self.below {
            let path = format!("{path}/{part}");
            let leaf = u8::from(node.below.is_empty());
            let mut entry = json!({ "path": path, "text": part, "leaf": leaf });
            if !node.info.is_empty() {
                entry["info"] = Value::Object(node.info.clone());
            }
            if leaf == 0 {
                entry["children"] = Value::Array(node.children(&path, Vec::new()));
            }
            into.push(entry);
        }
        into
    }
}

fn call(endpoint: &Endpoint, version: Version) -> Value {
    let mut properties = Map::new();
    for name in endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let kind = if name == "vmid" { property(&Kind::Vmid) } else { property(&Kind::Text) };
        properties.insert(name.to_owned(), kind);
    }
    for param in endpoint.params().filter(|param| param.is_in(version)) {
        properties.insert(param.name.to_owned(), parameter(param));
    }
    json!({
        "allowtoken": 1,
        "method": endpoint.method.as_str(),
        "parameters": { "additionalProperties": 0, "properties": properties },
    })
}

fn parameter(param: &Param) -> Value {
    let mut of = property(&param.kind);
    if !param.required {
        of["optional"] = json!(1);
    }
    of
}

fn property(kind: &Kind) -> Value {
    let mut of = json!({ "type": kind.type_name() });
    let mut say = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            of[key] = value;
        }
    };
    match kind {
        Kind::Short { min, max } | Kind::ShortPattern(_, min, max) => {
            say("minLength", Some(*min).filter(|min| *min > 0).map(Value::from));
            say("maxLength", Some(*max).filter(|max| *max < usize::MAX).map(Value::from));
        }
        Kind::Int { min, max } | Kind::Number { min, max } => {
            say("minimum", min.map(Value::from));
            say("maximum", max.map(Value::from));
        }
        Kind::Enum(values) => say("enum", Some(json!(values))),
        Kind::Vmid => {
            say("format", Some(json!("pve-vmid")));
            say("minimum", Some(json!(100)));
            say("maximum", Some(json!(999_999_999)));
        }
        Kind::Props(props) => say("format", Some(keys(props))),
        Kind::Many(kind) => say("items", Some(property(kind))),
        _ => {}
    }
    of
}

/// The keys of a property string.
fn keys(props: &Props) -> Value {
    let mut keys = Map::new();
    for (name, kind, needed) in props.keys {
        let mut of = property(kind);
        if !needed {
            of["optional"] = json!(1);
        }
        keys.insert((*name).to_owned(), of);
    }
    // `virtio=MAC` names the model and gives the address; `volume=X` only says `file=X` in another word.
    let names_default = props.default.is_some_and(|default| default != props.alias_value);
    if let Some(default) = props.default {
        let of = keys.entry(default).or_insert_with(|| json!({ "type": "string" }));
        of["default_key"] = json!(1);
        if names_default && !props.aliases.is_empty() {
            of["enum"] = json!(props.aliases);
        }
    }
    for alias in props.aliases {
        let mut of = json!({ "alias": props.alias_value });
        if names_default {
            of["keyAlias"] = json!(props.default);
        }
        keys.insert((*alias).to_owned(), of);
    }
    Value::Object(keys)
}
