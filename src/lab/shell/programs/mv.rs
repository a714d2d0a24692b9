//! `mv -T SOURCE TARGET`: a rename.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::rename;
use crate::lab::shell::tree::{FileError, meta};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let (source, target) = match call.args {
        [t, source, target] if t == "-T" => (source, target),
        _ => return call.unknown(&call.args.join(" ")),
    };
    if let Err(error) = meta(call.world, call.node, source) {
        return call.fail(1, format!("cannot stat '{source}': {error}"));
    }
    match rename(call.world, call.node, source, target) {
        Ok(()) => 0,
        Err(FileError::IsADirectory) => {
            call.fail(1, format!("cannot overwrite directory '{target}' with non-directory"))
        }
        Err(error) => call.fail(1, format!("cannot move '{source}' to '{target}': {error}")),
    }
}
