//! From the file to the tree.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Property;
use super::property::flag;
use super::tree::{ApiSchema, Call, Node, Parameters};
use crate::ports::Method;

/// Why a text is no API description.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The variable that holds it is not set anywhere.
    #[error("it has no `apiSchema = …`")]
    NoValue,
    /// What is set there is not JSON of the expected shape.
    #[error("its value cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It describes too little to be the whole API.
    #[error("it describes only {calls} calls, and nothing of guests")]
    Poor {
        /// How many.
        calls: usize,
    },
}

#[derive(Deserialize)]
struct RawNode {
    path: String,
    #[serde(default)]
    info: BTreeMap<String, RawCall>,
    #[serde(default)]
    children: Vec<RawNode>,
}

/// What is returned is most of the file, and is passed over.
#[derive(Deserialize)]
struct RawCall {
    #[serde(default)]
    parameters: Option<Map<String, Value>>,
    #[serde(default)]
    allowtoken: Option<Value>,
}

impl ApiSchema {
    /// Reads `apidoc.js`: one JSON value after `apiSchema =`, and program text behind it that is passed over.
    ///
    /// # Errors
    /// When there is no such value, or when it is not a description of the Proxmox VE API.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        Self::parse_value(Self::value_of(text).ok_or(SchemaError::NoValue)?)
    }

    /// Where the JSON value of `apidoc.js` begins.
    fn value_of(text: &str) -> Option<&str> {
        let (_, after) = text.split_once("apiSchema")?;
        let value = after.trim_start().strip_prefix('=')?.trim_start();
        value.starts_with('[').then_some(value)
    }

    /// Reads the JSON value; what follows it is passed over.
    ///
    /// # Errors
    /// When it is not a description of the Proxmox VE API.
    pub fn parse_value(json: &str) -> Result<Self, SchemaError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let nodes = Vec::<RawNode>::deserialize(&mut reader)?;
        let mut schema = Self::default();
        for node in nodes {
            schema.root.place(node);
        }
        // An error page or a torn file must not make every request look unknown.
        let calls = schema.calls().count();
        let whole =
            ["qemu", "lxc"].iter().all(|kind| schema.call(Method::Post, &format!("/nodes/{{node}}/{kind}")).is_some());
        if whole { Ok(schema) } else { Err(SchemaError::Poor { calls }) }
    }
}

impl Node {
    fn place(&mut self, raw: RawNode) {
        let mut node = &mut *self;
        for part in raw.path.split('/').filter(|part| !part.is_empty()) {
            node = match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => &mut node.variable.get_or_insert_with(|| (name.to_owned(), Box::default())).1,
                None => node.literals.entry(part.to_owned()).or_default(),
            };
        }
        for (verb, call) in raw.info {
            let method = match verb.as_str() {
                "GET" => Method::Get,
                "POST" => Method::Post,
                "PUT" => Method::Put,
                "DELETE" => Method::Delete,
                _ => continue,
            };
            node.calls.insert(method, Call::read(&raw.path, &call));
        }
        for child in raw.children {
            self.place(child);
        }
    }
}

impl Call {
    fn read(path: &str, raw: &RawCall) -> Self {
        let none = Map::new();
        let parameters = raw.parameters.as_ref().unwrap_or(&none);
        let properties = parameters.get("properties").and_then(Value::as_object);
        let token = raw.allowtoken.as_ref().is_none_or(|value| !matches!(value.to_string().as_str(), "0" | "\"0\""));
        Self {
            path: path.to_owned(),
            parameters: Parameters {
                properties: properties
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.clone(), Property::read(value)))
                    .collect(),
                others: !parameters.contains_key("additionalProperties") || flag(parameters, "additionalProperties"),
            },
            takes_tokens: token,
        }
    }
}
