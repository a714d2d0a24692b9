//! `/cluster/options`: what holds for the whole datacenter.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::world::property::{Properties, truth};
use super::super::world::{Caller, World};
use super::endpoint::Access::{All, Every};
use super::param::{Kind, Param, Props, optional as o, since_9, since_9_2};
use super::{Answer, Call, Endpoint, Refusal, formats as f};
use crate::ports::Method::{Get, Put};

const OPTIONS: &[Param] = &[
    o("bwlimit", Kind::Text),
    o("consent-text", Kind::Short { min: 0, max: 65536 }),
    o("console", Kind::Enum(&["applet", "vv", "html5", "xtermjs"])),
    o("crs", Kind::Text),
    o("delete", Kind::List(f::config_ids)),
    o("description", Kind::Short { min: 0, max: 65536 }),
    o("email_from", Kind::Text),
    o("fencing", Kind::Enum(&["watchdog", "hardware", "both"])),
    o("ha", Kind::Text),
    o("http_proxy", Kind::Pattern(is_proxy)),
    o(
        "keyboard",
        Kind::Enum(&[
            "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja",
            "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
        ]),
    ),
    o(
        "language",
        Kind::Enum(&[
            "ar", "ca", "da", "de", "en", "es", "eu", "fa", "fr", "hr", "he", "it", "ja", "ka", "kr", "nb", "nl", "nn",
            "pl", "pt_BR", "ru", "sl", "sv", "tr", "ukr", "zh_CN", "zh_TW",
        ]),
    ),
    since_9_2("location", Kind::Text),
    o("mac_prefix", Kind::Format(mac_prefix)),
    o("max_workers", Kind::Int { min: Some(1), max: None }),
    o("migration", Kind::Text),
    o("migration_unsecure", Kind::Bool),
    o("next-id", Kind::Props(&NEXT_ID)),
    o("notify", Kind::Text),
    o("registered-tags", Kind::Pattern(is_tag_list)),
    since_9("replication", Kind::Text),
    o("tag-style", Kind::Props(&TAG_STYLE)),
    o("u2f", Kind::Text),
    o("user-tag-access", Kind::Props(&TAG_ACCESS)),
    o("webauthn", Kind::Text),
];

const NEXT_ID: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("lower", Kind::Int { min: Some(100), max: Some(999_999_999) }, false),
        ("upper", Kind::Int { min: Some(100), max: Some(1_000_000_000) }, false),
    ],
};
const TAG_STYLE: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("case-sensitive", Kind::Bool, false),
        ("color-map", Kind::Text, false),
        ("ordering", Kind::Enum(&["config", "alphabetical"]), false),
        ("shape", Kind::Enum(&["full", "circle", "dense", "none"]), false),
    ],
};
const TAG_ACCESS: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("user-allow", Kind::Enum(&["none", "list", "existing", "free"]), false),
        ("user-allow-list", Kind::Text, false),
    ],
};

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/options", &[], All, get),
    Endpoint::new(Put, "/cluster/options", &[OPTIONS], Every("/", &["Sys.Modify"]), put),
];

fn is_proxy(text: &str) -> bool {
    text.starts_with("http://")
}

fn is_tag_list(text: &str) -> bool {
    !text.is_empty() && text.split(';').all(|tag| !tag.is_empty() && f::tags(tag).is_ok())
}

fn mac_prefix(text: &str) -> Result<(), String> {
    let octets: Vec<&str> = text.trim_end_matches(':').split(':').collect();
    let hex = |o: &&str| o.len() <= 2 && !o.is_empty() && o.bytes().all(|b| b.is_ascii_hexdigit());
    let unicast = octets.first().and_then(|o| u8::from_str_radix(o, 16).ok()).is_some_and(|first| first & 1 == 0);
    let fits = octets.len() <= 6 && octets.iter().all(hex) && unicast;
    if fits { Ok(()) } else { Err("value is not a valid unicast MAC address prefix".to_owned()) }
}

/// A property string as an object; switches are numbers.
fn object(text: &str, switches: &[&str]) -> Value {
    let fields = Properties::parse(text);
    let entries = fields.0.iter().map(|(key, value)| {
        let value = if switches.contains(&key.as_str()) { json!(u8::from(truth(value))) } else { json!(value) };
        (key.clone(), value)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

/// Tags that the caller may give: those of guests that are seen, and the registered ones for administrators.
fn allowed_tags(world: &World, caller: &Caller) -> BTreeSet<String> {
    let seen = world.guests.iter().filter(|(id, _)| world.may(caller, &format!("/vms/{id}"), &["VM.Audit"]));
    let mut tags: BTreeSet<String> = seen
        .filter_map(|(_, guest)| guest.config.get("tags"))
        .flat_map(|tags| f::split_list(tags).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    if world.may(caller, "/", &["Sys.Modify"]) {
        let registered = world.options.get("registered-tags").map(String::as_str).unwrap_or_default();
        tags.extend(f::split_list(registered).map(str::to_owned));
    }
    if let Some(access) = world.options.get("user-tag-access") {
        let list = Properties::parse(access).get("user-allow-list").unwrap_or_default().to_owned();
        tags.extend(f::split_list(&list).map(str::to_owned));
    }
    tags
}

/// An option as PVE shows it: property strings as objects, lists as arrays.
fn shown(key: &str, value: &str) -> Value {
    match key {
        "tag-style" => object(value, &["case-sensitive"]),
        "crs" => object(value, &["ha-rebalance-on-start", "ha-auto-rebalance"]),
        "webauthn" => object(value, &["allow-subdomains"]),
        "bwlimit" => json!(value),
        "migration" | "replication" | "next-id" | "ha" | "notify" | "u2f" => object(value, &[]),
        "user-tag-access" => {
            let mut access = object(value, &[]);
            if let Some(list) = access["user-allow-list"].as_str().map(str::to_owned) {
                access["user-allow-list"] = json!(f::split_list(&list).collect::<Vec<_>>());
            }
            access
        }
        "registered-tags" => json!(f::split_list(value).collect::<Vec<_>>()),
        "max_workers" | "migration_unsecure" => json!(value.parse::<i64>().unwrap_or_default()),
        // Lines of comments in the file, each with its end.
        "description" => json!(format!("{}\n", value.trim_end_matches('\n'))),
        _ => json!(value),
    }
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &*call.world;
    let auditor = world.may(call.caller, "/", &["Sys.Audit"]);
    let mut row = Map::new();
    if auditor {
        row.insert("description".to_owned(), json!(""));
        row.insert("mac_prefix".to_owned(), json!("BC:24:11"));
    }
    for (key, value) in
        world.options.iter().filter(|(key, _)| auditor || ["console", "tag-style"].contains(&key.as_str()))
    {
        row.insert(key.clone(), shown(key, value));
    }
    row.insert("allowed-tags".to_owned(), json!(allowed_tags(world, call.caller)));
    Ok(Value::Object(row).into())
}

fn put(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut given = call.values.plain();
    let delete = given.remove("delete").unwrap_or_default();
    for key in f::split_list(&delete) {
        if given.contains_key(key) {
            let text = format!("duplicate property - can't delete and set '{key}' at the same time");
            return Err(Refusal::param("delete", text));
        }
    }
    if let Some(text) = given.get("next-id") {
        let (lower, upper) = bounds(text);
        if upper < lower {
            return Err(Refusal::param("next-id", "lower boundary cannot be higher than upper boundary"));
        }
    }
    for key in f::split_list(&delete) {
        call.world.options.remove(key);
    }
    call.world.options.extend(given);
    call.world.options.retain(|key, value| key != "description" || !value.is_empty());
    Ok(().into())
}

fn bounds(text: &str) -> (u32, u32) {
    let fields = Properties::parse(text);
    let number = |key: &str| fields.get(key).and_then(|n| n.parse().ok());
    (number("lower").unwrap_or(100), number("upper").unwrap_or(1_000_000))
}

/// From where to where `nextid` looks for a free number; the upper one is not tried.
#[must_use]
pub fn next_id_range(world: &World) -> (u32, u32) {
    bounds(world.options.get("next-id").map(String::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_show_as_objects_and_lists() {
        let style = shown("tag-style", "case-sensitive=1,ordering=config");
        assert_eq!(style, json!({"case-sensitive": 1, "ordering": "config"}));
        assert_eq!(shown("registered-tags", "prod;dev"), json!(["prod", "dev"]));
        assert_eq!(shown("description", "dc"), json!("dc\n"));
    }

    #[test]
    fn numbers_of_guests_may_be_confined() {
        let mut world = World::default();
        assert_eq!(next_id_range(&world), (100, 1_000_000));
        world.options.insert("next-id".into(), "lower=500,upper=600".into());
        assert_eq!(next_id_range(&world), (500, 600));
    }
}
