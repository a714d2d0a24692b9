//! `printenv NAME`: of the environment only what sshd says of the connection.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let [name] = call.args else { return call.unknown(&call.args.join(" ")) };
    if name != "SSH_CONNECTION" {
        return call.unknown(name);
    }
    let Some(node) = call.world.nodes.get(call.node) else { return 1 };
    let line = format!("{} 50022 {} 22", call.world.operator_at(call.node), node.address);
    call.print(line);
    0
}
