//! `stat -c FORMAT`.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{FileKind, Meta, meta};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = match call.args.split_first() {
        // The lab's tree follows links anyway.
        Some((first, rest)) if first == "-L" => rest,
        _ => call.args,
    };
    let Some(([c, format], files)) = args.split_first_chunk::<2>().filter(|([c, _], _)| c == "-c") else {
        return call.unknown("stat without -c");
    };
    debug_assert_eq!(c, "-c");
    let mut code = 0;
    for file in files.iter().filter(|file| *file != "--") {
        match meta(call.world, call.node, file) {
            Ok(meta) => match line(format, file, &meta) {
                Ok(line) => call.print(line),
                Err(what) => return call.unknown(&what),
            },
            Err(error) => code = call.fail(1, format!("cannot statx '{file}': {error}")),
        }
    }
    code
}

fn line(format: &str, name: &str, meta: &Meta) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push_str(name),
            Some('u') => out.push_str(&meta.uid.to_string()),
            Some('g') => out.push_str(&meta.gid.to_string()),
            Some('a') => out.push_str(&format!("{:o}", meta.mode)),
            Some('s') => out.push_str(&meta.size.to_string()),
            Some('Y') => out.push_str(&(meta.modified_ms / 1000).to_string()),
            Some('F') => out.push_str(match meta.kind {
                FileKind::File if meta.size == 0 => "regular empty file",
                FileKind::File => "regular file",
                FileKind::Directory => "directory",
                FileKind::Device => "character special file",
                FileKind::Link => "symbolic link",
            }),
            Some('%') => out.push('%'),
            other => return Err(format!("%{}", other.unwrap_or_default())),
        }
    }
    Ok(out)
}
