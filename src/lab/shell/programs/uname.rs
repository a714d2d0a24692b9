//! `uname`: the kernel that the release ships.

use crate::lab::shell::call::Call;
use crate::lab::world::Version;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let release = match call.world.version {
        Version::V8_4 => "6.8.12-15-pve",
        Version::V9_1 => "6.17.2-1-pve",
        Version::V9_2 => "6.17.9-1-pve",
    };
    let node = call.node;
    match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["-s"] => call.print("Linux"),
        ["-r"] => call.print(release),
        ["-n"] => call.print(node),
        ["-m"] => call.print("x86_64"),
        _ => return call.unknown(&call.args.join(" ")),
    }
    0
}
