//! Files into one tree: united within a layer, overridden between layers.

use super::parse::{Entry, Node, Value};
use crate::diag::{Diagnostic, Diagnostics};

/// Unites the files of one layer. An entry that is written twice is an error that shows both.
pub(super) fn unite(mut files: Vec<Node>, diagnostics: &mut Diagnostics) -> Option<Node> {
    files.retain(|file| is_block(file, diagnostics));
    let mut files = files.into_iter();
    let mut united = files.next()?;
    for file in files {
        let (Value::Map(into), Value::Map(more)) = (&mut united.value, file.value) else { continue };
        for entry in more {
            let levels = levels(entry.name());
            add(into, entry, levels, diagnostics);
        }
    }
    Some(united)
}

fn is_block(file: &Node, diagnostics: &mut Diagnostics) -> bool {
    if matches!(file.value, Value::Map(_)) {
        return true;
    }
    diagnostics.push(
        Diagnostic::error("inventory.type", "an inventory is a block of keys")
            .at(file.span, "this is something else")
            .hint("start with `schema: 1` and `name: …`"),
    );
    false
}

/// How many levels below a key of the top blocks are joined.
fn levels(name: &str) -> usize {
    match name {
        "hosts" | "images" | "guests" | "image_digests" | "models" => 1,
        // They hold `groups` and `zones`, which hold the entries.
        "firewall" | "dns" => 2,
        _ => 0,
    }
}

fn add(into: &mut Vec<Entry>, entry: Entry, levels: usize, diagnostics: &mut Diagnostics) {
    let Some(there) = into.iter_mut().find(|there| there.name() == entry.name()) else {
        into.push(entry);
        return;
    };
    let same = matches!((there.value.text(), entry.value.text()), (Some(a), Some(b)) if a == b);
    match (&mut there.value.value, entry.value.value) {
        (Value::Map(own), Value::Map(more)) if levels > 0 => {
            for entry in more {
                add(own, entry, levels - 1, diagnostics);
            }
        }
        _ if same => {}
        _ => {
            let name = entry.key.text().unwrap_or_default();
            diagnostics.push(
                Diagnostic::error("inventory.duplicate-entry", format!("`{name}` is written in two files"))
                    .at(entry.key.span, "again here")
                    .related(there.key.span, "first here")
                    .hint("keep one of them; a file that shall override others is given with an `-i` of its own"),
            );
        }
    }
}

/// Puts one layer over another: blocks are joined, everything else replaced.
pub(super) fn overlay(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::Map(mut entries), Value::Map(more)) => {
            for entry in more {
                match entries.iter().position(|own| own.name() == entry.name()) {
                    Some(at) => {
                        let own = entries.remove(at);
                        let key = if matches!(entry.value.value, Value::Map(_)) { own.key } else { entry.key };
                        entries.insert(at, Entry { key, value: overlay(own.value, entry.value) });
                    }
                    None => entries.push(entry),
                }
            }
            Node { value: Value::Map(entries), ..base }
        }
        (_, value) => Node { value, ..over },
    }
}
