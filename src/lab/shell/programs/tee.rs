//! `tee FILE`: standard input into a file and on.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::write;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-')) {
        return call.unknown(option);
    }
    let input = call.read_stdin();
    let mut code = 0;
    for path in args {
        if let Err(error) = write(call.world, call.node, path, input.clone(), 0o644) {
            code = call.fail(1, format!("{path}: {error}"));
        }
    }
    call.stdout.extend(input);
    code
}
