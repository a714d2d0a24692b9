//! `ls [-1] [-R]`: names, one per line.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{FileError, FileKind, list, meta};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let (options, paths): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(option) =
        options.into_iter().find(|option| !["-1", "-A", "-1A", "-1R", "-a", "--"].contains(&option.as_str()))
    {
        return call.unknown(option);
    }
    let all = args.iter().any(|arg| ["-A", "-1A", "-a"].contains(&arg.as_str()));
    if let (true, [path]) = (args.iter().any(|arg| arg == "-1R"), &paths[..]) {
        return recursively(call, path);
    }
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

/// Every directory below, each under its own name.
fn recursively(call: &mut Call<'_>, top: &str) -> i32 {
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let names = match list(call.world, call.node, &path) {
            Ok(names) => names,
            Err(error) => return call.fail(2, format!("cannot access '{path}': {error}")),
        };
        if !call.stdout.is_empty() {
            call.print("");
        }
        call.print(format!("{path}:"));
        let names: Vec<String> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
        for name in &names {
            call.print(name);
        }
        let below = names.iter().rev().map(|name| format!("{path}/{name}"));
        open.extend(
            below.filter(|path| meta(call.world, call.node, path).is_ok_and(|m| m.kind == FileKind::Directory)),
        );
    }
    0
}
