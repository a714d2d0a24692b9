//! `zfs list` and `zfs get`, as scripts ask for them: with `-Hp`.

use super::zfs_property::{full_name, is_known, is_user};
use crate::lab::shell::call::Call;
use crate::lab::world::{DatasetKind, Zfs};

/// A dataset or one of its snapshots.
struct Row<'a> {
    dataset: &'a str,
    snapshot: Option<&'a str>,
}

impl Row<'_> {
    fn name(&self) -> String {
        match self.snapshot {
            Some(snapshot) => format!("{}@{snapshot}", self.dataset),
            None => self.dataset.to_owned(),
        }
    }

    fn value(&self, zfs: &Zfs, property: &str) -> Option<String> {
        let found = zfs.datasets.get(self.dataset)?;
        let Some(snapshot) = self.snapshot.and_then(|name| found.snapshots.get(name)) else {
            return match property {
                "name" => Some(self.name()),
                "referenced" => Some(found.used.to_string()),
                "creation" => Some(found.created.to_string()),
                property => zfs.get(self.dataset, property),
            };
        };
        match property {
            "name" => Some(self.name()),
            "type" => Some("snapshot".to_owned()),
            "used" => Some("0".to_owned()),
            "referenced" => Some(snapshot.used.to_string()),
            "creation" => Some(snapshot.created.to_string()),
            "createtxg" => Some(snapshot.txg.to_string()),
            "userrefs" => Some(snapshot.holds.len().to_string()),
            "volsize" => snapshot.volsize.clone(),
            property if is_user(property) => zfs.get(self.dataset, property),
            _ => None,
        }
    }

    /// Where a value comes from.
    fn source(&self, zfs: &Zfs, property: &str) -> String {
        let set_on = |name: &str| zfs.datasets.get(name).is_some_and(|d| d.properties.contains_key(property));
        if super::zfs_property::READ_ONLY.contains(&property) || self.snapshot.is_some() {
            return "-".to_owned();
        }
        if set_on(self.dataset) {
            return "local".to_owned();
        }
        let alone = ["quota", "refquota", "reservation", "refreservation", "canmount", "volsize"].contains(&property);
        let mut at = self.dataset;
        while let Some((parent, _)) = at.rsplit_once('/').filter(|_| !alone) {
            if set_on(parent) {
                return format!("inherited from {parent}");
            }
            at = parent;
        }
        if is_user(property) || zfs.get(self.dataset, property).is_none() { "-" } else { "default" }.to_owned()
    }
}

#[derive(Default)]
struct Options<'a> {
    scripted: bool,
    exact: bool,
    recursive: bool,
    depth: Option<usize>,
    types: Vec<&'a str>,
    columns: Vec<&'a str>,
    rest: Vec<&'a str>,
}

fn options<'a>(args: &'a [String]) -> Result<Options<'a>, String> {
    let mut options = Options::default();
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("missing argument for '{arg}' option"));
        match arg {
            "-o" => options.columns = value()?.split(',').map(full_name).collect(),
            "-t" => options.types = value()?.split(',').collect(),
            "-d" => options.depth = Some(value()?.parse().map_err(|_| "invalid depth".to_owned())?),
            flags if flags.len() > 1 && flags.starts_with('-') => {
                for flag in flags.chars().skip(1) {
                    match flag {
                        'H' => options.scripted = true,
                        'p' => options.exact = true,
                        'r' => options.recursive = true,
                        flag => return Err(format!("invalid option '{flag}'")),
                    }
                }
            }
            other => options.rest.push(other),
        }
    }
    if !options.scripted || !options.exact {
        return Err("the lab prints for scripts only: -Hp".to_owned());
    }
    Ok(options)
}

/// What `names` stand for, with everything below them if asked; all datasets if there are none.
fn rows<'a>(zfs: &'a Zfs, options: &Options<'a>, names: &[&'a str], types: &[&str]) -> Result<Vec<Row<'a>>, String> {
    let absent = |name: &str| Err(format!("cannot open '{name}': dataset does not exist"));
    let wants = |kind: &str| types.contains(&kind) || types.contains(&"all");
    let mut rows = Vec::new();
    let mut add = |dataset: &'a str| {
        let found = &zfs.datasets[dataset];
        let kind = if found.kind == DatasetKind::Volume { "volume" } else { "filesystem" };
        if wants(kind) {
            rows.push(Row { dataset, snapshot: None });
        }
        if wants("snapshot") || wants("snap") {
            let mut snapshots: Vec<_> = found.snapshots.iter().collect();
            snapshots.sort_by_key(|(_, snapshot)| snapshot.txg);
            rows.extend(snapshots.into_iter().map(|(name, _)| Row { dataset, snapshot: Some(name.as_str()) }));
        }
    };
    if names.is_empty() {
        zfs.datasets.keys().for_each(|name| add(name));
        return Ok(rows);
    }
    let mut singles = Vec::new();
    for name in names {
        if let Some((dataset, snapshot)) = name.split_once('@') {
            match zfs
                .datasets
                .get_key_value(dataset)
                .and_then(|(d, found)| Some((d, found.snapshots.get_key_value(snapshot)?)))
            {
                Some((dataset, (snapshot, _))) => singles.push(Row { dataset, snapshot: Some(snapshot) }),
                None => return absent(name),
            }
            continue;
        }
        let Some((top, _)) = zfs.datasets.get_key_value(*name) else { return absent(name) };
        let depth = options.depth.unwrap_or(if options.recursive { usize::MAX } else { 0 });
        let prefix = format!("{name}/");
        add(top);
        let below = zfs.datasets.keys().filter(|below| below.starts_with(&prefix));
        below.filter(|below| below[prefix.len()..].matches('/').count() < depth).for_each(|below| add(below));
    }
    rows.extend(singles);
    Ok(rows)
}

fn usage(call: &mut Call<'_>, why: &str, verb: &str) -> i32 {
    call.warn(format!("{why}\nusage:\n\t{verb} [-rHp] …"));
    2
}

pub(super) fn list(call: &mut Call<'_>, args: &[String]) -> i32 {
    let mut options = match options(args) {
        Ok(options) => options,
        Err(why) => return usage(call, &why, "list"),
    };
    if options.columns.is_empty() {
        options.columns = vec!["name", "used", "available", "referenced", "mountpoint"];
    }
    if let Some(column) = options.columns.iter().find(|column| !is_known(column)) {
        return usage(call, &format!("bad property list: invalid property '{column}'"), "list");
    }
    let known = ["all", "filesystem", "volume", "snapshot", "snap", "bookmark"];
    if let Some(kind) = options.types.iter().find(|kind| !known.contains(kind)) {
        return usage(call, &format!("invalid type '{kind}'"), "list");
    }
    // a snapshot that is named is listed whatever the types
    let types = if options.types.is_empty() { vec!["filesystem", "volume"] } else { options.types.clone() };
    let Some(zfs) = call.world.nodes.get(call.node).map(|host| &host.zfs) else { return 1 };
    match rows(zfs, &options, &options.rest, &types) {
        Ok(rows) => {
            let lines: Vec<String> = rows
                .iter()
                .map(|row| {
                    let cell = |column: &&str| row.value(zfs, column).unwrap_or_else(|| "-".to_owned());
                    options.columns.iter().map(cell).collect::<Vec<_>>().join("\t")
                })
                .collect();
            lines.iter().for_each(|line| call.print(line));
            0
        }
        Err(why) => {
            call.warn(why);
            1
        }
    }
}

pub(super) fn get(call: &mut Call<'_>, args: &[String]) -> i32 {
    let mut options = match options(args) {
        Ok(options) => options,
        Err(why) => return usage(call, &why, "get"),
    };
    if options.columns.is_empty() {
        options.columns = vec!["name", "property", "value", "source"];
    }
    let Some((properties, names)) = options.rest.split_first() else {
        return usage(call, "missing property argument", "get");
    };
    let properties: Vec<&str> = properties.split(',').map(full_name).collect();
    if let Some(property) = properties.iter().find(|property| !is_known(property)) {
        return usage(call, &format!("bad property list: invalid property '{property}'"), "get");
    }
    let types = if options.types.is_empty() { vec!["all"] } else { options.types.clone() };
    let types = if options.types.is_empty() && !options.recursive { vec!["filesystem", "volume"] } else { types };
    let Some(zfs) = call.world.nodes.get(call.node).map(|host| &host.zfs) else { return 1 };
    let rows = match rows(zfs, &options, names, &types) {
        Ok(rows) => rows,
        Err(why) => {
            call.warn(why);
            return 1;
        }
    };
    let mut lines = Vec::new();
    for row in &rows {
        for property in &properties {
            let cell = |column: &&str| match *column {
                "name" => row.name(),
                "property" => (*property).to_owned(),
                "source" => row.source(zfs, property),
                _ => row.value(zfs, property).unwrap_or_else(|| "-".to_owned()),
            };
            lines.push(options.columns.iter().map(cell).collect::<Vec<_>>().join("\t"));
        }
    }
    lines.iter().for_each(|line| call.print(line));
    0
}
