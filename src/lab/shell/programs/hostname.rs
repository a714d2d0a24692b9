//! `hostname`: the node's name; `-f` as the cluster's other nodes know it.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    match call.args {
        [] => {
            let name = call.node;
            call.print(name);
            0
        }
        [other, ..] => call.unknown(other),
    }
}
