//! Redis and Valkey: the same program as far as anybody asks it here.
//!
//! Facts: redis `src/config.c`, `src/server.c`. Its configuration is the file in its first argument, then its options.

use super::{Family, HttpReply, Judged, Place};
use crate::lab::shell::Call;
use crate::lab::world::World;

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "redis",
    repositories: &["redis", "redis/redis-stack-server", "valkey/valkey"],
    bytes: 45_000_000,
    starts_ms: 500,
    programs: &["cat", "getent", "grep", "ls", "redis-cli", "redis-server", "sh", "valkey-cli", "valkey-server"],
    judge,
    listens: |world, place| vec![port(world, place)],
    ask: |_, _, _| HttpReply { status: 0, ..HttpReply::default() },
    run,
};

fn file(world: &World, place: &Place) -> Option<String> {
    let command = place.container(world)?.command.clone()?;
    command.get(1).filter(|word| word.starts_with('/')).cloned()
}

/// A setting of its file, by its name.
fn setting(world: &World, place: &Place, name: &str) -> Option<String> {
    let text = place.file(world, &file(world, place)?)?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(|value| value.trim().to_owned())
}

fn port(world: &World, place: &Place) -> u16 {
    setting(world, place, "port").and_then(|text| text.parse().ok()).unwrap_or(6379)
}

fn judge(world: &World, place: &Place) -> Judged {
    let Some(path) = file(world, place) else { return Judged::ready(["* Ready to accept connections tcp"]) };
    let Some(text) = place.file(world, &path) else {
        return Judged::ends(1, [format!("# Fatal error, can't open config file '{path}': No such file or directory")]);
    };
    let known = [
        "appendfsync",
        "appendonly",
        "bind",
        "dir",
        "maxmemory",
        "maxmemory-policy",
        "port",
        "protected-mode",
        "requirepass",
        "save",
        "loglevel",
        "tcp-keepalive",
        "timeout",
        "databases",
        "cluster-enabled",
        "replicaof",
        "masterauth",
        "user",
        "aclfile",
    ];
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    for (number, line) in lines {
        let name = line.split_whitespace().next().unwrap_or_default();
        if !known.contains(&name) {
            let number = number + 1;
            return Judged::ends(
                1,
                [format!(
                    "*** FATAL CONFIG FILE ERROR (Redis 7.4.6) ***\nReading the configuration file, at line {number}\n>>> '{line}'\nBad directive or wrong number of arguments"
                )],
            );
        }
    }
    Judged::ready(["* Ready to accept connections tcp"])
}

fn run(call: &mut Call<'_>, place: &Place) -> Option<i32> {
    let asks = call.name.ends_with("-cli") && call.args.iter().any(|word| word == "ping");
    let by_shell = call.name == "sh" && call.args.iter().any(|word| word.contains("-cli ping"));
    if !asks && !by_shell {
        return None;
    }
    let locked = setting(call.world, place, "requirepass").is_some();
    call.print(if locked { "NOAUTH Authentication required." } else { "PONG" });
    Some(0)
}
