//! `pvesm path VOLUME`, `pvesm list STORAGE` and `pvesm status`.

use serde_json::Value;

use super::api::{Done, ask, options, refuse, scalar};
use crate::lab::shell::call::Call;
use crate::lab::world::split_volid;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let (operands, params) = options(call.args);
    match operands.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["path", volid] => path(call, volid),
        ["list", storage] => list(call, storage, params),
        ["status"] => status(call, params.iter().find(|(key, _)| key == "storage").map(|(_, name)| name.as_str())),
        _ => call.unknown(&call.args.join(" ")),
    }
}

fn path(call: &mut Call<'_>, volid: &str) -> i32 {
    let Some((storage, name)) = split_volid(volid) else {
        call.warn(format!("unable to parse volume ID '{volid}'"));
        return 255;
    };
    if !call.world.storages.contains_key(storage) {
        call.warn(format!("storage '{storage}' does not exist"));
        return 255;
    }
    if !call.world.is_zfs(storage) && !name.contains('/') {
        call.warn(format!("unable to parse directory volume name '{name}'"));
        return 255;
    }
    match call.world.volume_path(volid) {
        Some(path) => {
            call.print(path);
            0
        }
        None => 255,
    }
}

fn list(call: &mut Call<'_>, storage: &str, params: Vec<(String, String)>) -> i32 {
    let path = format!("/nodes/{}/storage/{storage}/content", call.node);
    let rows = match ask(call, "GET", &path, params) {
        Ok(Done::Data(Value::Array(rows))) => rows,
        Ok(_) => return 255,
        Err(refusal) => return refuse(call, &refusal, "pvesm list <storage> [OPTIONS]"),
    };
    let text = |row: &Value, key: &str| scalar(&row[key]).unwrap_or_default();
    let mut rows: Vec<[String; 5]> =
        rows.iter().map(|row| ["volid", "format", "content", "size", "vmid"].map(|key| text(row, key))).collect();
    rows.sort();
    let width = |column: usize, least: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0).max(least);
    let (volid, size) = (width(0, 5), width(3, 4));
    let line = |[id, format, content, bytes, vmid]: &[String; 5]| {
        format!("{id:<volid$} {format:<7} {content:<9} {bytes:>size$} {vmid}").trim_end().to_owned()
    };
    call.print(line(&["Volid", "Format", "Type", "Size", "VMID"].map(str::to_owned)));
    rows.iter().for_each(|row| call.print(line(row)));
    0
}

fn status(call: &mut Call<'_>, only: Option<&str>) -> i32 {
    if only.is_some_and(|name| !call.world.storages.contains_key(name)) {
        call.warn("400 Parameter verification failed.\nstorage: No such storage.\npvesm status  [OPTIONS]");
        return 255;
    }
    let node = call.node;
    let rows: Vec<[String; 7]> = call
        .world
        .storages
        .iter()
        .filter(|(name, storage)| storage.serves(node) && only.is_none_or(|only| only == name.as_str()))
        .map(|(name, storage)| {
            let (total, free) = call.world.space(node, name);
            let used = total.saturating_sub(free);
            let hundredths = used.saturating_mul(10_000).checked_div(total).unwrap_or_default();
            let state = if storage.disabled { "disabled" } else { "active" };
            [
                name.clone(),
                storage.type_name().to_owned(),
                state.to_owned(),
                (total >> 10).to_string(),
                (used >> 10).to_string(),
                (free >> 10).to_string(),
                format!("{}.{:02}%", hundredths / 100, hundredths % 100),
            ]
        })
        .collect();
    let width = rows.iter().map(|row| row[0].len()).max().unwrap_or(0) + 1;
    call.print(format!(
        "{:<width$} {:>10} {:>10} {:>15} {:>15} {:>15} {:>8}",
        "Name", "Type", "Status", "Total (KiB)", "Used (KiB)", "Available (KiB)", "%"
    ));
    for [name, kind, state, total, used, free, percent] in rows {
        call.print(format!("{name:<width$} {kind:>10} {state:>10} {total:>15} {used:>15} {free:>15} {percent:>8}"));
    }
    0
}
