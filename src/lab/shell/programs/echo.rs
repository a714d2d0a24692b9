//! `echo`: words, without backslashes, on which the shells disagree.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    if let Some(arg) = args.iter().find(|arg| arg.contains('\\')) {
        return call.unknown(arg);
    }
    match args.split_first() {
        Some((first, rest)) if first == "-n" => call.stdout.extend(rest.join(" ").into_bytes()),
        _ => call.print(args.join(" ")),
    }
    0
}
