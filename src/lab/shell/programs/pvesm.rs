//! `pvesm path VOLUME` and `pvesm status`.

use super::api::options;
use crate::lab::shell::call::Call;
use crate::lab::world::split_volid;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let (operands, params) = options(call.args);
    match operands.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["path", volid] => path(call, volid),
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
