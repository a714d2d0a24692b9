//! The published JSON Schema of inventories, profiles and services.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{Document, Profile, Template};

/// The schema of an inventory file; in it are that of a profile file as `#/$defs/Profile`, and that of a service's
/// `template.yaml` as `#/$defs/Template`.
///
/// Layers may leave out what another layer gives, so a file can be fine in spite of a missing key.
#[must_use]
pub fn schema() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<Profile>();
    generator.subschema_for::<Template>();
    let mut schema = generator.into_root_schema_for::<Document>();
    close(schema.as_object_mut().map(|object| object.values_mut()).into_iter().flatten());
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".to_owned(), json!("urn:infra:inventory:1"));
        object.insert("additionalProperties".to_owned(), json!(false));
        object.insert("patternProperties".to_owned(), json!({ "^x-": true }));
    }
    schema
}

/// The schema of a service's `template.yaml`.
#[must_use]
pub fn service_schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Template>();
    close(schema.as_object_mut().map(|object| object.values_mut()).into_iter().flatten());
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".to_owned(), json!("urn:infra:service:1"));
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

/// Says of every block with named keys that it takes no others, as decoding does.
fn close<'a>(values: impl Iterator<Item = &'a mut Value>) {
    for value in values {
        match value {
            Value::Object(object) => {
                if object.get("properties").is_some_and(Value::is_object)
                    && object.get("type") == Some(&json!("object"))
                {
                    object.entry("additionalProperties").or_insert(json!(false));
                }
                close(object.values_mut());
            }
            Value::Array(items) => close(items.iter_mut()),
            _ => {}
        }
    }
}

/// Lets a block also be written as one text.
pub(super) fn or_text(schema: &mut Schema) {
    or(schema, &json!({ "type": "string" }));
}

/// Lets a block also be written as one port.
pub(super) fn or_number(schema: &mut Schema) {
    or(schema, &json!({ "type": "integer", "minimum": 1, "maximum": 65535 }));
}

fn or(schema: &mut Schema, short: &Value) {
    let description = schema.remove("description");
    let block = std::mem::take(schema);
    *schema = schemars::json_schema!({ "anyOf": [short, block] });
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_closed_and_documented() {
        let schema = serde_json::to_value(schema()).unwrap();
        assert_eq!(schema["required"], json!(["schema", "name", "hosts"]));
        let guest = &schema["$defs"]["Guest"];
        assert_eq!(guest["additionalProperties"], json!(false));
        for (key, property) in guest["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{key} has no description: {property}");
        }
        assert!(schema["$defs"]["Profile"]["properties"]["extends"].is_object());
        assert!(guest["properties"]["memory"].to_string().contains("4GiB"));
    }
}
