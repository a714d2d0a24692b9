//! `dd of=FILE`: standard input into a file.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::write;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let mut target = None;
    for arg in args {
        match arg.split_once('=') {
            Some(("of", path)) => target = Some(path),
            Some(("bs", _)) | Some(("status", "none")) | Some(("conv", "fsync")) => {}
            _ => return call.unknown(arg),
        }
    }
    let input = call.read_stdin();
    let Some(path) = target else {
        call.stdout.extend(input);
        return 0;
    };
    match write(call.world, call.node, path, input, 0o644) {
        Ok(()) => 0,
        Err(error) => call.fail(1, format!("failed to open '{path}': {error}")),
    }
}
