//! Who may reach what: values of `exposes`, `access` and `internet`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::values::{Destination, LocalService, Ports, TransportName};
use crate::diag::Spanned;

/// Who may reach a guest over the tailnet. A selector alone means whatever people may use of it, SSH among it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_text)]
pub struct TailnetAccess {
    /// Who, in the words of the tailnet's policy.
    #[schemars(required, example = &"tag:phone")]
    pub from: Option<Spanned<String>>,
    /// Services of this guest, as `service` or `service/port`; whatever people may use of it unless given.
    #[schemars(example = &["ssh", "open-webui"])]
    pub to: Option<Vec<Spanned<LocalService>>>,
}

/// Where a guest may connect to outside of the inventory.
#[derive(Debug, Clone)]
pub enum Internet {
    /// Everything that is public.
    All,
    /// Nothing.
    None,
    /// Only this.
    Only(Vec<Spanned<Outbound>>),
}

/// Somewhere outside. A destination alone means all of its ports.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_text)]
pub struct Outbound {
    /// A network, an address, or `internet`.
    #[schemars(required, example = &"203.0.113.0/24")]
    pub to: Option<Spanned<Destination>>,
    /// The protocol; TCP and UDP unless given.
    pub protocol: Option<Spanned<TransportName>>,
    /// The ports; all unless given.
    pub ports: Option<Spanned<Ports>>,
}

impl<'de> Deserialize<'de> for Internet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InternetVisitor;

        impl<'de> Visitor<'de> for InternetVisitor {
            type Value = Internet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a list of destinations")
            }

            fn visit_bool<E: Error>(self, all: bool) -> Result<Internet, E> {
                Ok(if all { Internet::All } else { Internet::None })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Internet, A::Error> {
                let mut only = Vec::new();
                while let Some(item) = items.next_element()? {
                    only.push(item);
                }
                Ok(Internet::Only(only))
            }
        }

        deserializer.deserialize_any(InternetVisitor)
    }
}

impl JsonSchema for Internet {
    fn schema_name() -> Cow<'static, str> {
        "Internet".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<Outbound>();
        json_schema!({
            "description": "Whether it may connect to what is outside, or only where to",
            "anyOf": [{ "type": "boolean" }, { "type": "array", "items": item }],
            "examples": [true, false, ["203.0.113.0/24", { "to": "internet", "protocol": "tcp", "ports": 443 }]],
        })
    }
}
