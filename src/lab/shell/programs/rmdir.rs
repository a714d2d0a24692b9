//! `rmdir`: empty directories.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::remove_directory;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let mut code = 0;
    for path in args {
        if path.starts_with('-') {
            return call.unknown(path);
        }
        if let Err(error) = remove_directory(call.world, call.node, path) {
            code = call.fail(1, format!("failed to remove '{path}': {error}"));
        }
    }
    code
}
