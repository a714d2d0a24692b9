//! `chmod`: octal modes only.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::change;
use crate::lab::shell::tree::FileError;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let Some((mode, files)) = args.split_first().filter(|(_, files)| !files.is_empty()) else {
        return call.fail(1, "missing operand");
    };
    let Ok(bits) = u32::from_str_radix(mode, 8) else { return call.unknown(mode) };
    let mut code = 0;
    for file in files {
        match change(call.world, call.node, file, |meta| meta.mode = bits) {
            Ok(()) => {}
            Err(FileError::NotFound) => code = call.fail(1, format!("cannot access '{file}': {}", FileError::NotFound)),
            Err(error) => code = call.fail(1, format!("changing permissions of '{file}': {error}")),
        }
    }
    code
}
