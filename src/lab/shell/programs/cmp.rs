//! `cmp -s A B`: whether two files are the same.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::read;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let [option, a, b] = call.args else { return call.unknown(&call.args.join(" ")) };
    if option != "-s" {
        return call.unknown(option);
    }
    match (read(call.world, call.node, a), read(call.world, call.node, b)) {
        (Ok(a), Ok(b)) => i32::from(a != b),
        _ => 2,
    }
}
