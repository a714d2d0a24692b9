//! `findmnt -J [-n] TARGET`, `findmnt -no FIELD TARGET`: what is mounted where.

use serde_json::{Value, json};

use crate::lab::shell::call::Call;
use crate::lab::shell::kernel::mounts;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (field, target) = match words[..] {
        ["-J", target] | ["-J", "-n", target] => (None, target),
        ["-no", field, target] | ["-n", "-o", field, target] => (Some(field), target),
        _ => return call.unknown(&words.join(" ")),
    };
    let all = mounts(call.world, call.node);
    // what was mounted last is on top
    let Some([source, target, kind, options]) = all.iter().rev().find(|mount| mount[1] == target).cloned() else {
        return 1;
    };
    match field {
        None => {
            let row = json!({"target": target, "source": source, "fstype": kind, "options": options});
            call.print(listed(&row));
        }
        Some("SOURCE") => call.print(source),
        Some("TARGET") => call.print(target),
        Some("FSTYPE") => call.print(kind),
        Some("OPTIONS") => call.print(options),
        Some(other) => return call.unknown(other),
    }
    0
}

/// As util-linux prints one row: three spaces for each level.
fn listed(row: &Value) -> String {
    let fields: Vec<String> =
        row.as_object().into_iter().flatten().map(|(key, value)| format!("         \"{key}\": {value}")).collect();
    format!("{{\n   \"filesystems\": [\n      {{\n{}\n      }}\n   ]\n}}", fields.join(",\n"))
}
