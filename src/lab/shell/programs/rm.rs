//! `rm [-f] [-r]`: files, and in guests directories with all that is in them.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::{remove, remove_directory};
use crate::lab::shell::tree::{FileError, FileKind, list, meta};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let (options, paths): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(option) = options.iter().find(|option| !["-f", "-r", "-rf", "-fr", "--"].contains(&option.as_str())) {
        return call.unknown(option);
    }
    let force = options.iter().any(|option| option.contains('f'));
    let deep = options.iter().any(|option| option.contains('r'));
    // Nothing of ours removes a directory of a host with all that is in it.
    if deep && call.world.nodes.contains_key(call.node) {
        return call.unknown("-r on a host");
    }
    let mut code = 0;
    for path in paths {
        if deep && meta(call.world, call.node, path).is_ok_and(|meta| meta.kind == FileKind::Directory) {
            tree(call, path);
            continue;
        }
        match remove(call.world, call.node, path) {
            Ok(()) => {}
            Err(FileError::NotFound | FileError::NotADirectory) if force => {}
            Err(error) => code = call.fail(1, format!("cannot remove '{path}': {error}")),
        }
    }
    code
}

/// Removes a directory with all that is in it; one that is only there for what is in it goes with that.
fn tree(call: &mut Call<'_>, path: &str) {
    for name in list(call.world, call.node, path).unwrap_or_default() {
        let inner = format!("{path}/{name}");
        match meta(call.world, call.node, &inner).map(|meta| meta.kind) {
            Ok(FileKind::Directory) => tree(call, &inner),
            _ => drop(remove(call.world, call.node, &inner)),
        }
    }
    // What is only there for what was in it is gone by now.
    let _ = remove_directory(call.world, call.node, path);
}
