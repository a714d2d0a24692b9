//! `zpool list -Hp -o …`, `zpool status [-x]`.

use crate::lab::shell::call::Call;
use crate::lab::world::Zpool;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let Some(zfs) = call.world.nodes.get(call.node).map(|host| host.zfs.clone()) else { return 1 };
    let (columns, names) = match args[..] {
        ["list", "-Hp", "-o", columns, ref names @ ..] => (columns, names),
        ["list", "-Hp", ref names @ ..] => ("name,size,allocated,free,health", names),
        ["status"] => {
            status(call);
            return 0;
        }
        ["status", "-x"] => {
            let bad: Vec<&String> = zfs.pools.iter().filter(|(_, p)| p.health != "ONLINE").map(|(n, _)| n).collect();
            if bad.is_empty() {
                call.print("all pools are healthy");
            }
            for name in bad {
                call.print(format!("  pool: {name}\n state: {}", zfs.pools[name].health));
            }
            return 0;
        }
        _ => return call.unknown(&args.join(" ")),
    };
    if let Some(name) = names.iter().find(|name| !zfs.pools.contains_key(**name)) {
        call.warn(format!("cannot open '{name}': no such pool"));
        return 1;
    }
    let states = call.world.nodes.get(call.node).map(|host| host.machine.pools.clone()).unwrap_or_default();
    let cell = |name: &str, pool: &Zpool, column: &str| match column {
        "name" => Some(name.to_owned()),
        "size" => Some(pool.size.to_string()),
        "allocated" | "alloc" => Some(zfs.used(name).to_string()),
        "free" => Some(pool.size.saturating_sub(zfs.used(name)).to_string()),
        "capacity" | "cap" => Some((zfs.used(name) * 100 / pool.size.max(1)).to_string()),
        "health" => Some(pool.health.clone()),
        "fragmentation" | "frag" => Some(states.get(name).map_or(0, |state| state.fragmentation).to_string()),
        _ => None,
    };
    for (name, pool) in zfs.pools.iter().filter(|(name, _)| names.is_empty() || names.contains(&name.as_str())) {
        let mut cells = Vec::new();
        for column in columns.split(',') {
            match cell(name, pool, column) {
                Some(cell) => cells.push(cell),
                None => return call.unknown(column),
            }
        }
        call.print(cells.join("\t"));
    }
    0
}

/// Every pool with its disks.
fn status(call: &mut Call<'_>) {
    let Some(node) = call.world.nodes.get(call.node) else { return };
    let mut out = Vec::new();
    for (at, (name, pool)) in node.zfs.pools.iter().enumerate() {
        let state = node.machine.pools.get(name).cloned().unwrap_or_default();
        if at > 0 {
            out.push(String::new());
        }
        out.push(format!("  pool: {name}\n state: {}", pool.health));
        match pool.health.as_str() {
            "DEGRADED" => out.push(
                "status: One or more devices could not be used because the label is missing or\n\tinvalid.  Sufficient \
                 replicas exist for the pool to continue\n\tfunctioning in a degraded state.\naction: Replace the device \
                 using 'zpool replace'."
                    .to_owned(),
            ),
            _ if state.data_errors > 0 => out.push(
                "status: One or more devices has experienced an error resulting in data\n\tcorruption.  Applications may be \
                 affected.\naction: Restore the file in question if possible.  Otherwise restore the\n\tentire pool from \
                 backup."
                    .to_owned(),
            ),
            _ => {}
        }
        if let Some(ended) = state.scrubbed_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
            let ended = ended.strftime("%a %b %e %H:%M:%S %Y");
            out.push(format!("  scan: scrub repaired 0B in 00:10:12 with {} errors on {ended}", state.data_errors));
        }
        let longest = state.disks.keys().map(|disk| disk.len() + 2).max().unwrap_or_default().max(name.len());
        let row = |label: &str, health: &str| format!("\t{label:<longest$}  {health:<9} {:>4} {:>5} {:>5}", 0, 0, 0);
        out.push("config:\n".to_owned());
        out.push(format!("\t{:<longest$}  {:<9} {:>4} {:>5} {:>5}", "NAME", "STATE", "READ", "WRITE", "CKSUM"));
        out.push(row(name, &pool.health));
        out.extend(state.disks.iter().map(|(disk, health)| row(&format!("  {disk}"), health)));
        out.push(match state.data_errors {
            0 => "\nerrors: No known data errors".to_owned(),
            errors => format!("\nerrors: {errors} data errors, use '-v' for a list"),
        });
    }
    if out.is_empty() {
        out.push("no pools available".to_owned());
    }
    out.iter().for_each(|line| call.print(line));
}
