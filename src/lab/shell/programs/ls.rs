//! `ls [-1]`: names, one per line.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{FileError, FileKind, list, meta};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let (options, paths): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(option) = options.into_iter().find(|option| !["-1", "-A", "-1A", "-a", "--"].contains(&option.as_str()))
    {
        return call.unknown(option);
    }
    let all = args.iter().any(|arg| ["-A", "-1A", "-a"].contains(&arg.as_str()));
    let mut code = 0;
    for path in &paths {
        let listed = match meta(call.world, call.node, path) {
            Ok(meta) if meta.kind == FileKind::Directory => list(call.world, call.node, path),
            Ok(_) => Ok(vec![(*path).clone()]),
            Err(error) => Err(error),
        };
        match listed {
            Ok(names) => {
                if paths.len() > 1 && names != [(*path).clone()] {
                    if !call.stdout.is_empty() {
                        call.print("");
                    }
                    call.print(format!("{path}:"));
                }
                for name in names.iter().filter(|name| all || !name.starts_with('.')) {
                    call.print(name);
                }
            }
            Err(error @ (FileError::NotFound | FileError::NotADirectory)) => {
                code = call.fail(2, format!("cannot access '{path}': {error}"));
            }
            Err(error) => code = call.fail(2, format!("cannot open directory '{path}': {error}")),
        }
    }
    code
}
