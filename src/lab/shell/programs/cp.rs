//! `cp [-p] SOURCE TARGET`: a file.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::{change, write};
use crate::lab::shell::tree::{FileKind, meta, read};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let (keep, source, target) = match call.args {
        [source, target] => (false, source, target),
        [p, source, target] if p == "-p" => (true, source, target),
        _ => return call.unknown(&call.args.join(" ")),
    };
    let from = match meta(call.world, call.node, source) {
        Ok(meta) if meta.kind == FileKind::Directory => {
            return call.fail(1, format!("-r not specified; omitting directory '{source}'"));
        }
        Ok(meta) => meta,
        Err(error) => return call.fail(1, format!("cannot stat '{source}': {error}")),
    };
    let content = match read(call.world, call.node, source) {
        Ok(content) => content,
        Err(error) => return call.fail(1, format!("cannot open '{source}' for reading: {error}")),
    };
    // A new file has the bits of its source; one that is there keeps its own.
    if let Err(error) = write(call.world, call.node, target, content, from.mode) {
        return call.fail(1, format!("cannot create regular file '{target}': {error}"));
    }
    if keep {
        let kept = change(call.world, call.node, target, |meta| {
            (meta.mode, meta.uid, meta.gid) = (from.mode, from.uid, from.gid);
        });
        if let Err(error) = kept {
            return call.fail(1, format!("preserving permissions for '{target}': {error}"));
        }
    }
    0
}
