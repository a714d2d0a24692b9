//! The merge key `<<`.

use super::{Entry, Node, Value};
use crate::diag::{Diagnostic, Diagnostics, Span};

/// Adds what merge keys bring and `entries` does not have; earlier sources win over later ones.
pub(super) fn spread(entries: &mut Vec<Entry>, merged: Vec<(Span, Node)>, diagnostics: &mut Diagnostics) {
    for (place, source) in merged {
        let sources = match source.value {
            Value::List(items) => items,
            Value::Map(_) | Value::Scalar(_) => vec![source],
        };
        for source in sources {
            let Value::Map(more) = source.value else {
                diagnostics.push(
                    Diagnostic::error("inventory.syntax", "`<<` takes a block of keys, or a list of such blocks")
                        .at(place, "")
                        .hint("write `<<: *name`, where `&name` marks the block above"),
                );
                continue;
            };
            for entry in more {
                if !entries.iter().any(|own| own.name() == entry.name()) {
                    entries.push(entry);
                }
            }
        }
    }
}
