//! `df -B1 --output=FIELD,… PATH…`: space of the file systems that paths are on.

use crate::lab::shell::call::Call;
use crate::lab::shell::kernel::mounts;
use crate::lab::shell::tree::{meta, resolve};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let Some((fields, paths)) = args
        .split_first()
        .filter(|(b1, _)| *b1 == "-B1")
        .and_then(|(_, rest)| rest.split_first())
        .and_then(|(output, paths)| Some((output.strip_prefix("--output=")?, paths)))
    else {
        return call.unknown(&args.join(" "));
    };
    let fields: Vec<&str> = fields.split(',').collect();
    let known = ["file", "source", "fstype", "size", "used", "avail", "target"];
    if let Some(other) = fields.iter().find(|field| !known.contains(field)) {
        return call.unknown(other);
    }
    let mut mounts = mounts(call.world, call.node);
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount[1].len()));
    let head = |field: &&str| match *field {
        "file" => "File",
        "source" => "Filesystem",
        "fstype" => "Type",
        "size" => "1B-blocks",
        "used" => "Used",
        "avail" => "Avail",
        _ => "Mounted on",
    };
    let (mut rows, mut code) = (vec![fields.iter().map(head).map(str::to_owned).collect::<Vec<_>>()], 0);
    for path in paths {
        if let Err(error) = meta(call.world, call.node, path) {
            code = call.fail(1, format!("{path}: {error}"));
            continue;
        }
        let full = resolve(call.world, call.node, path, true);
        let on = |target: &str| target == "/" || full == target || full.starts_with(&format!("{target}/"));
        let Some([source, target, kind, _]) = mounts.iter().find(|mount| on(&mount[1])).cloned() else { continue };
        let Some(node) = call.world.nodes.get(call.node) else { return 1 };
        let (size, used) = match kind.as_str() {
            "vfat" => (1 << 30, 64 << 20),
            _ => (node.root_size, node.root_used),
        };
        let cell = |field: &&str| match *field {
            "file" => path.clone(),
            "source" => source.clone(),
            "fstype" => kind.clone(),
            "size" => size.to_string(),
            "used" => used.to_string(),
            "avail" => (size - used).to_string(),
            _ => target.clone(),
        };
        rows.push(fields.iter().map(cell).collect());
    }
    if rows.len() == 1 && code != 0 {
        return code;
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..fields.len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        call.print(cells.join(" ").trim_end());
    }
    code
}
