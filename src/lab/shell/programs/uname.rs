//! `uname`: the kernel that runs.

use crate::lab::shell::call::Call;
use crate::lab::world::machine::usual_kernel;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let version = call.world.version;
    let release = call.world.nodes.get(call.node).map_or(usual_kernel(version), |node| node.kernel(version)).to_owned();
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
