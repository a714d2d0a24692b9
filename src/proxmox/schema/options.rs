//! Property strings: `virtio=BC:24:11:00:00:01,bridge=vmbr0`.

use std::collections::BTreeMap;

use super::Property;
use crate::proxmox::options::truthy;
use crate::proxmox::schema::Type;

/// Takes a property string apart as PVE does: values by key, after aliases.
///
/// # Errors
/// With the reason, when it cannot be taken apart.
pub(super) fn take_apart<'t>(
    keys: &BTreeMap<String, Property>,
    text: &'t str,
) -> Result<BTreeMap<String, std::borrow::Cow<'t, str>>, String> {
    let mut found = BTreeMap::new();
    let mut bare = false;
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            let default = keys.iter().find(|(_, property)| property.is_default_key).map(|(key, _)| key);
            let Some(default) = default else {
                return Err(format!("`{part}` has no key, and none is meant without being named"));
            };
            if bare || found.insert(default.clone(), part.into()).is_some() {
                return Err(format!("`{default}` is given twice"));
            }
            bare = true;
            continue;
        };
        if key.is_empty() || value.is_empty() {
            return Err(format!("`{part}` lacks a key or a value"));
        }
        let mut key = key.to_owned();
        if found.contains_key(&key) {
            return Err(format!("`{key}` is given twice"));
        }
        if let Some(alias) = keys.get(&key).and_then(|property| property.alias.clone()) {
            if let Some(named) = keys.get(&key).and_then(|property| property.key_alias.clone())
                && found.insert(named.clone(), key.into()).is_some()
            {
                return Err(format!("`{named}` is given twice"));
            }
            key = alias;
        }
        let boolean = keys.get(&key).is_some_and(|property| property.kind == Type::Boolean);
        found.insert(key, if boolean { switch(value) } else { value.into() });
    }
    Ok(found)
}

/// Inside a property string, and only there, `yes` counts as 1.
fn switch(value: &str) -> std::borrow::Cow<'_, str> {
    let off = ["0", "off", "no", "false"].iter().any(|word| value.eq_ignore_ascii_case(word));
    match (truthy(value), off) {
        (true, _) => "1".into(),
        (_, true) => "0".into(),
        _ => value.into(),
    }
}
