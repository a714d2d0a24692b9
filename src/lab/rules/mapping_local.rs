//! `/cluster/mapping/usb` and `/cluster/mapping/dir`: devices and directories of hosts under one name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::world::property::Properties;
use super::super::world::{Mapping, World, conf};
use super::endpoint::Access::{All, Any, Every};
use super::formats as f;
use super::param::{Kind, Param, Props, optional as o, required};
use super::tables::DIGEST_64;
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::{Delete, Get, Post, Put};

const SHORT: Kind = Kind::Short { min: 0, max: 4096 };
const CHECK: &[Param] = &[o("check-node", Kind::Format(f::node))];
const ID: &[Param] = &[required("id", Kind::Format(f::config_id)), o("description", SHORT)];
const CHANGE: &[Param] = &[o("delete", SHORT), o("description", SHORT), o("digest", DIGEST_64)];
const USB_MAP: &[Param] = &[required("map", Kind::Many(&Kind::Props(&USB)))];
const DIR_MAP: &[Param] = &[required("map", Kind::Many(&Kind::Props(&DIR)))];
const DIR_MAP_UPDATE: &[Param] = &[o("map", Kind::Many(&Kind::Props(&DIR)))];
const USB: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[
        ("node", Kind::Format(f::node), true),
        ("id", Kind::Pattern(is_usb_id), true),
        ("path", Kind::Pattern(is_usb_path), false),
        ("description", SHORT, false),
    ],
};
const DIR: Props = Props {
    default: None,
    aliases: &[],
    alias_value: "",
    keys: &[("node", Kind::Format(f::node), true), ("path", Kind::Format(directory), true)],
};
const READ: &[&str] = &["Mapping.Use", "Mapping.Modify", "Mapping.Audit"];
const MODIFY: &[&str] = &["Mapping.Modify"];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/cluster/mapping/usb", &[CHECK], All, list),
    Endpoint::new(Post, "/cluster/mapping/usb", &[ID, USB_MAP], Every("/mapping/usb", MODIFY), create),
    Endpoint::new(Get, "/cluster/mapping/usb/{id}", &[], Any("/mapping/usb/{id}", READ), get),
    Endpoint::new(Put, "/cluster/mapping/usb/{id}", &[CHANGE, USB_MAP], Every("/mapping/usb/{id}", MODIFY), update),
    Endpoint::new(Delete, "/cluster/mapping/usb/{id}", &[], Every("/mapping/usb", MODIFY), delete),
    Endpoint::new(Get, "/cluster/mapping/dir", &[CHECK], All, list_dirs),
    Endpoint::new(Post, "/cluster/mapping/dir", &[ID, DIR_MAP], Every("/mapping/dir", MODIFY), create_dir),
    Endpoint::new(Get, "/cluster/mapping/dir/{id}", &[], Any("/mapping/dir/{id}", READ), get_dir),
    Endpoint::new(
        Put,
        "/cluster/mapping/dir/{id}",
        &[CHANGE, DIR_MAP_UPDATE],
        Every("/mapping/dir/{id}", MODIFY),
        update_dir,
    ),
    Endpoint::new(Delete, "/cluster/mapping/dir/{id}", &[], Every("/mapping/dir", MODIFY), delete_dir),
];

fn is_usb_id(text: &str) -> bool {
    let hex = |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.split_once(':').is_some_and(|(vendor, product)| hex(vendor) && hex(product))
}

fn is_usb_path(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('-').is_some_and(|(bus, port)| digits(bus) && port.split('.').all(digits))
}

fn directory(text: &str) -> Result<(), String> {
    let fits = text.starts_with('/') && text.len() > 1 && !text.contains([';', '(', ')']);
    if fits { Ok(()) } else { Err("value does not look like a valid absolute path".to_owned()) }
}

/// What the two kinds differ in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Usb,
    Dir,
}

impl Sort {
    fn word(self) -> &'static str {
        if self == Self::Usb { "usb" } else { "dir" }
    }

    fn long(self) -> &'static str {
        if self == Self::Usb { "hardware" } else { "directory" }
    }

    fn of(self, world: &World) -> &BTreeMap<String, Mapping> {
        if self == Self::Usb { &world.usb_mappings } else { &world.dir_mappings }
    }

    fn of_mut(self, world: &mut World) -> &mut BTreeMap<String, Mapping> {
        if self == Self::Usb { &mut world.usb_mappings } else { &mut world.dir_mappings }
    }

    fn digest(self, world: &World) -> String {
        let mut out = String::new();
        for (id, mapping) in self.of(world) {
            out.push_str(&format!("{id}\n"));
            if let Some(text) = &mapping.description {
                out.push_str(&format!("\tdescription {text}\n"));
            }
            mapping.map.iter().for_each(|map| out.push_str(&format!("\tmap {map}\n")));
            out.push('\n');
        }
        conf::digest(&out)
    }

    fn shown(self, world: &World, mapping: &Mapping) -> Value {
        let mut row = json!({"type": self.word(), "map": mapping.map, "digest": self.digest(world)});
        if let Some(description) = &mapping.description {
            row["description"] = json!(description);
        }
        row
    }

    /// What is wrong with an entry on its node.
    fn fault(self, world: &World, entry: &str) -> Option<String> {
        let fields = Properties::parse(entry);
        let (node, path) = (fields.get("node").unwrap_or_default(), fields.get("path").unwrap_or_default());
        match self {
            Self::Dir => (!world.directory_exists(node, path)).then(|| format!("Path {path} does not exist")),
            // The lab has no USB devices.
            Self::Usb => {
                let id = fields.get("id").unwrap_or_default();
                Some(format!("USB device '{id}' not found"))
            }
        }
    }

    fn list(self, call: &Call<'_>) -> Answer {
        let (world, check) = (&*call.world, call.values.get("check-node"));
        let mut rows = Vec::new();
        for (id, mapping) in self.of(world) {
            if !world.may(call.caller, &format!("/mapping/{}/{id}", self.word()), READ) {
                continue;
            }
            let mut row = self.shown(world, mapping);
            row["id"] = json!(id);
            if let Some(node) = check {
                let own = |map: &&String| Properties::parse(map).get("node") == Some(node);
                let entries: Vec<&String> = mapping.map.iter().filter(own).collect();
                let mut checks = Vec::new();
                if entries.is_empty() {
                    checks.push(json!({"severity": "warning", "message": format!("No mapping for node {node}.")}));
                }
                for why in entries.iter().filter_map(|entry| self.fault(world, entry)) {
                    checks.push(json!({"severity": "error", "message": format!("Invalid configuration: {why}\n")}));
                }
                row["checks"] = Value::Array(checks);
            }
            rows.push(row);
        }
        Value::Array(rows).into()
    }

    fn get(self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let id = call.var("id");
        let mapping = self.of(call.world).get(id).ok_or_else(|| format!("mapping '{id}' not found"))?;
        Ok(self.shown(call.world, mapping).into())
    }

    fn create(self, call: &mut Call<'_>) -> Result<Answer, Refusal> {
        let id = call.values.text("id").to_owned();
        if self.of(call.world).contains_key(&id) {
            let text = format!("create {} mapping failed: {} ID '{id}' already defined", self.long(), self.word());
            return Err(text.into());
        }
        let mapping = Mapping {
            description: call.values.get("description").map(str::to_owned),
            map: call.values.all("map"),
            ..Mapping::default()
        };
        self.of_mut(call.world).insert(id, mapping);
        Ok(().into())
    }

    fn update(self, call: &mut Call<'_>) -> Result<Answer, Refusal> {
        let id = call.var("id").to_owned();
        let fail = |text: &str| Refusal::failed(format!("update {} mapping failed: {text}", self.long()));
        if call.values.get("digest").is_some_and(|given| given != self.digest(call.world)) {
            return Err(fail("detected modified configuration - file changed by other user? Try again."));
        }
        let mut mapping = self
            .of(call.world)
            .get(&id)
            .cloned()
            .ok_or_else(|| fail(&format!("{} ID '{id}' does not exist", self.word())))?;
        // The schema calls it optional for directories; the code does not.
        if call.values.get("map").is_none() {
            return Err(fail("missing value for required option 'map'"));
        }
        mapping.map = call.values.all("map");
        if let Some(description) = call.values.get("description") {
            mapping.description = Some(description.to_owned());
        }
        for key in f::split_list(call.values.text("delete")) {
            match key {
                "description" => mapping.description = None,
                "map" => return Err(fail("unable to delete required option 'map'")),
                _ => return Err(fail(&format!("no such option '{key}'"))),
            }
        }
        self.of_mut(call.world).insert(id, mapping);
        Ok(().into())
    }

    fn delete(self, call: &mut Call<'_>) -> Answer {
        let id = call.var("id").to_owned();
        // One that is not there is no error.
        self.of_mut(call.world).remove(&id);
        ().into()
    }
}

fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(Sort::Usb.list(call))
}

fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Sort::Usb.get(call)
}

fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Sort::Usb.create(call)
}

fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Sort::Usb.update(call)
}

fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(Sort::Usb.delete(call))
}

fn list_dirs(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(Sort::Dir.list(call))
}

fn get_dir(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Sort::Dir.get(call)
}

fn create_dir(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Sort::Dir.create(call)
}

fn update_dir(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Sort::Dir.update(call)
}

fn delete_dir(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(Sort::Dir.delete(call))
}
