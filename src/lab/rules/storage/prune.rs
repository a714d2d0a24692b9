//! `/nodes/N/storage/S/prunebackups`: which backups the retention options would keep, and removing the others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::super::world::property::Properties;
use super::super::super::world::{Volume, Work};
use super::super::endpoint::Access::{All, Any};
use super::super::param::{Kind, Param, optional as o};
use super::super::{Answer, Call, Endpoint, Refusal};
use super::{LOOK, missing, params};
use crate::ports::Method::{Delete, Get};

const PRUNE: &[Param] =
    &[o("prune-backups", Kind::Props(&params::PRUNE)), o("type", Kind::Enum(&["qemu", "lxc"])), o("vmid", Kind::Vmid)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/storage/{storage}/prunebackups", &[PRUNE], Any("/storage/{storage}", LOOK), dry),
    Endpoint::new(Delete, "/nodes/{node}/storage/{storage}/prunebackups", &[PRUNE], All, prune),
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Backup {
    name: String,
    kind: String,
    vmid: Option<u32>,
    time: i64,
    mark: &'static str,
}

/// Marks the backups of one guest, newest first: each option in turn keeps the newest of so many periods that nothing
/// before it covers.
fn mark(backups: &mut [Backup], keep: &Properties) {
    let count = |key: &str| keep.get(key).and_then(|n| n.parse::<usize>().ok()).unwrap_or_default();
    let options = ["keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"];
    if options.iter().all(|key| count(key) == 0) {
        return;
    }
    backups.sort_by_key(|b| -b.time);
    for option in options {
        let covered: BTreeSet<String> =
            backups.iter().filter(|b| b.mark == "keep").map(|b| period(option, b)).collect();
        let mut found = BTreeSet::new();
        for backup in backups.iter_mut().filter(|b| b.mark.is_empty()) {
            let id = period(option, backup);
            if covered.contains(&id) {
                continue;
            }
            if found.contains(&id) {
                backup.mark = "remove";
            } else if found.len() >= count(option) {
                break;
            } else {
                found.insert(id);
                backup.mark = "keep";
            }
        }
    }
    for backup in backups.iter_mut().filter(|b| b.mark.is_empty()) {
        backup.mark = "remove";
    }
}

fn period(option: &str, backup: &Backup) -> String {
    let format = match option {
        "keep-hourly" => "%Y-%m-%d %H",
        "keep-daily" => "%Y-%m-%d",
        "keep-weekly" => "%G-%V",
        "keep-monthly" => "%Y-%m",
        "keep-yearly" => "%Y",
        _ => return backup.name.clone(),
    };
    let time = jiff::Timestamp::from_second(backup.time).unwrap_or_default();
    time.to_zoned(jiff::tz::TimeZone::UTC).strftime(format).to_string()
}

fn marked(call: &Call<'_>) -> Result<Vec<Backup>, Refusal> {
    let id = call.var("storage");
    let storage = call.world.storages.get(id).ok_or_else(|| missing(id))?;
    let text = call.values.get("prune-backups").or(storage.options.get("prune-backups").map(String::as_str));
    let Some(keep) = text.map(Properties::parse) else {
        return Err(format!("no prune-backups options configured for storage '{id}'").into());
    };
    let (kind, vmid) = (call.values.get("type"), call.values.int("vmid"));
    let mut groups = BTreeMap::<(String, Option<u32>), Vec<Backup>>::new();
    for (name, volume) in call.world.volumes(call.var("node"), id) {
        let Some(backup) = backup(&name, &volume) else { continue };
        let fits = kind.is_none_or(|k| k == backup.kind) && vmid.is_none_or(|v| backup.vmid.map(i64::from) == Some(v));
        if fits {
            groups.entry((backup.kind.clone(), backup.vmid)).or_default().push(backup);
        }
    }
    let mut all = Vec::new();
    for mut group in groups.into_values() {
        mark(&mut group, &keep);
        for backup in group.iter_mut().filter(|b| b.mark.is_empty()) {
            backup.mark = "keep";
        }
        all.extend(group);
    }
    Ok(all)
}

fn backup(name: &str, volume: &Volume) -> Option<Backup> {
    let leaf = name.strip_prefix("backup/")?;
    let kind = ["qemu", "lxc"].into_iter().find(|kind| leaf.starts_with(&format!("vzdump-{kind}-")));
    Some(Backup {
        name: name.to_owned(),
        // A file with a name of another form is nobody's to prune.
        mark: if volume.protected { "protected" } else { kind.map_or("renamed", |_| "") },
        kind: kind.unwrap_or("unknown").to_owned(),
        vmid: volume.vmid,
        time: volume.ctime,
    })
}

fn dry(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage");
    let rows = marked(call)?.into_iter().map(|b| {
        let mut row = json!({"volid": format!("{id}:{}", b.name), "ctime": b.time, "type": b.kind, "mark": b.mark});
        if let Some(vmid) = b.vmid {
            row["vmid"] = json!(vmid);
        }
        row
    });
    Ok(Value::Array(rows.collect()).into())
}

fn prune(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.var("storage").to_owned();
    let path = format!("/storage/{id}");
    match call.values.get("vmid") {
        Some(vmid) if !call.world.may(call.caller, &path, &["Datastore.Allocate"]) => {
            call.need(&path, &["Datastore.AllocateSpace"])?;
            call.need(&format!("/vms/{vmid}"), &["VM.Backup"])?;
        }
        Some(_) => {}
        None => call.need(&path, &["Datastore.Allocate"])?,
    }
    let gone = marked(call)?.into_iter().filter(|b| b.mark == "remove").map(|b| b.name).collect();
    Ok(call.spawn("prunebackups", "", 1000, Work::FreeVolumes { storage: id, volumes: gone }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(keep: &str, days: &[i64]) -> Vec<&'static str> {
        let backup = |day: &i64| Backup {
            name: format!("backup/vzdump-qemu-100-{day}"),
            kind: "qemu".into(),
            vmid: Some(100),
            time: 1_795_219_200 + day * 86_400,
            mark: "",
        };
        let mut backups: Vec<Backup> = days.iter().map(backup).collect();
        mark(&mut backups, &Properties::parse(keep));
        backups.iter().map(|b| b.mark).collect()
    }

    #[test]
    fn the_newest_are_kept() {
        assert_eq!(marks("keep-last=2", &[0, 1, 2]), ["keep", "keep", "remove"]);
    }

    #[test]
    fn what_an_earlier_option_covers_does_not_count_for_a_later_one() {
        // 2026-11-21 and the two days before it: the daily option goes on where the last one ended.
        assert_eq!(marks("keep-last=1,keep-daily=1", &[0, 1, 2]), ["keep", "keep", "remove"]);
    }

    #[test]
    fn without_options_everything_stays() {
        assert_eq!(marks("keep-all=1", &[0, 1]), ["", ""]);
    }
}
