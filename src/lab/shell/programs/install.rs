//! `install -m MODE -T SOURCE TARGET`: a copy that has its bits from the start; `install -d -m MODE DIRECTORY…`.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::{change, make_directory, remove, write};
use crate::lab::shell::tree::{FileError, FileKind, meta, read};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if let [d, m, mode, paths @ ..] = call.args
        && (d.as_str(), m.as_str()) == ("-d", "-m")
    {
        return directories(call, mode, paths);
    }
    let [m, mode, t, source, target] = call.args else { return call.unknown(&call.args.join(" ")) };
    let (Ok(mode), "-m", "-T") = (u32::from_str_radix(mode, 8), m.as_str(), t.as_str()) else {
        return call.unknown(&call.args.join(" "));
    };
    let content = match read(call.world, call.node, source) {
        Ok(content) => content,
        Err(error) => return call.fail(1, format!("cannot stat '{source}': {error}")),
    };
    match meta(call.world, call.node, target).map(|meta| meta.kind) {
        Ok(FileKind::Directory) => {
            return call.fail(1, format!("cannot overwrite directory '{target}' with non-directory"));
        }
        // the real one unlinks the target first, so that it becomes root's
        Ok(_) => {
            if let Err(error) = remove(call.world, call.node, target) {
                return call.fail(1, format!("cannot remove '{target}': {error}"));
            }
        }
        Err(_) => {}
    }
    if let Err(error) = write(call.world, call.node, target, content, mode) {
        return call.fail(1, format!("cannot create regular file '{target}': {error}"));
    }
    match change(call.world, call.node, target, |meta| meta.mode = mode) {
        Err(FileError::NotPermitted) => {
            call.fail(1, format!("setting permissions for '{target}': {}", FileError::NotPermitted))
        }
        _ => 0,
    }
}

/// Makes directories with those that they are in; one that is there gets the bits, too.
fn directories(call: &mut Call<'_>, mode: &str, paths: &[String]) -> i32 {
    let Ok(mode) = u32::from_str_radix(mode, 8) else { return call.unknown(mode) };
    for path in paths {
        let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            match make_directory(call.world, call.node, &path[..end], 0o755) {
                Ok(()) | Err(FileError::Exists) => {}
                Err(error) => return call.fail(1, format!("cannot create directory '{path}': {error}")),
            }
        }
        if let Err(error) = change(call.world, call.node, path, |meta| meta.mode = mode) {
            return call.fail(1, format!("cannot change permissions of '{path}': {error}"));
        }
    }
    0
}
