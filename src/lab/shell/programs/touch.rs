//! `touch`: an empty file, if there is none.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::write;
use crate::lab::shell::tree::meta;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let mut code = 0;
    for path in args {
        if path.starts_with('-') {
            return call.unknown(path);
        }
        if meta(call.world, call.node, path).is_ok() {
            continue;
        }
        if let Err(error) = write(call.world, call.node, path, Vec::new(), 0o644) {
            code = call.fail(1, format!("cannot touch '{path}': {error}"));
        }
    }
    code
}
