//! `ps -eo pid=,etimes=,comm=`: the first process, and those that hold a guest's lock.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::held_locks;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if call.args != ["-eo", "pid=,etimes=,comm="] {
        return call.unknown(&call.args.join(" "));
    }
    let Some(node) = call.world.nodes.get(call.node) else { return 1 };
    let up = (call.world.now_ms - node.booted_ms).max(0) / 1000;
    let mut lines = vec![format!("{:>7} {up:>7} systemd", 1)];
    for (_, _, pid) in held_locks(call.world, call.node) {
        lines.push(format!("{pid:>7} {up:>7} task UPID:{}:0", call.node));
    }
    call.print(lines.join("\n"));
    0
}
