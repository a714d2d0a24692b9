//! `test` and `[`: one comparison or file test, and its negation.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{FileKind, meta};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let mut args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    if call.name == "[" && args.pop() != Some("]") {
        return call.fail(2, "missing `]'");
    }
    let negated = args.len() > 1 && args[0] == "!";
    if negated {
        args.remove(0);
    }
    let kind = |path: &str| meta(call.world, call.node, path).ok();
    let number = |text: &str| text.parse::<i64>();
    let holds = match args[..] {
        [] => Some(false),
        [text] => Some(!text.is_empty()),
        ["-n", text] => Some(!text.is_empty()),
        ["-z", text] => Some(text.is_empty()),
        ["-e" | "-r", path] => Some(kind(path).is_some()),
        ["-f", path] => Some(kind(path).is_some_and(|m| m.kind == FileKind::File)),
        ["-d", path] => Some(kind(path).is_some_and(|m| m.kind == FileKind::Directory)),
        ["-c", path] => Some(kind(path).is_some_and(|m| m.kind == FileKind::Device)),
        ["-s", path] => Some(kind(path).is_some_and(|m| m.size > 0)),
        [a, "=", b] => Some(a == b),
        [a, "!=", b] => Some(a != b),
        [a, operator @ ("-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge"), b] => match (number(a), number(b)) {
            (Ok(a), Ok(b)) => Some(match operator {
                "-eq" => a == b,
                "-ne" => a != b,
                "-lt" => a < b,
                "-le" => a <= b,
                "-gt" => a > b,
                _ => a >= b,
            }),
            (Err(_), _) => return call.fail(2, format!("Illegal number: {a}")),
            (_, Err(_)) => return call.fail(2, format!("Illegal number: {b}")),
        },
        _ => None,
    };
    match holds {
        Some(holds) => i32::from(holds == negated),
        None => call.unknown(&args.join(" ")),
    }
}
