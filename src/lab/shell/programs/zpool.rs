//! `zpool list -Hp -o …`, `zpool status -x`.

use crate::lab::shell::call::Call;
use crate::lab::world::Zpool;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let Some(zfs) = call.world.nodes.get(call.node).map(|host| host.zfs.clone()) else { return 1 };
    let (columns, names) = match args[..] {
        ["list", "-Hp", "-o", columns, ref names @ ..] => (columns, names),
        ["list", "-Hp", ref names @ ..] => ("name,size,allocated,free,health", names),
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
    let cell = |name: &str, pool: &Zpool, column: &str| match column {
        "name" => Some(name.to_owned()),
        "size" => Some(pool.size.to_string()),
        "allocated" | "alloc" => Some(zfs.used(name).to_string()),
        "free" => Some(pool.size.saturating_sub(zfs.used(name)).to_string()),
        "capacity" | "cap" => Some((zfs.used(name) * 100 / pool.size.max(1)).to_string()),
        "health" => Some(pool.health.clone()),
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
