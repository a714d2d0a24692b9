//! `cmp -s A B`: whether two files are the same; `-` is standard input.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::read;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let [option, a, b] = call.args else { return call.unknown(&call.args.join(" ")) };
    if option != "-s" {
        return call.unknown(option);
    }
    let first = if a == "-" { Ok(call.read_stdin()) } else { read(call.world, call.node, a) };
    match (first, read(call.world, call.node, b)) {
        (Ok(a), Ok(b)) => i32::from(a != b),
        _ => 2,
    }
}
