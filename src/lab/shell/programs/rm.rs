//! `rm [-f]`: files.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::remove;
use crate::lab::shell::tree::FileError;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let (options, paths): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(option) = options.iter().find(|option| !["-f", "--"].contains(&option.as_str())) {
        return call.unknown(option);
    }
    let force = options.iter().any(|option| *option == "-f");
    let mut code = 0;
    for path in paths {
        match remove(call.world, call.node, path) {
            Ok(()) => {}
            Err(FileError::NotFound | FileError::NotADirectory) if force => {}
            Err(error) => code = call.fail(1, format!("cannot remove '{path}': {error}")),
        }
    }
    code
}
