//! `tail -n N [FILE]`: the last lines.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::read;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (count, file) = match args[..] {
        ["-n", count] => (count, None),
        ["-n", count, file] => (count, Some(file)),
        _ => return call.unknown(&args.join(" ")),
    };
    let Ok(count) = count.parse::<usize>() else { return call.unknown(count) };
    let input = match file {
        None => call.read_stdin(),
        Some(file) => match read(call.world, call.node, file) {
            Ok(content) => content,
            Err(error) => return call.fail(1, format!("cannot open '{file}' for reading: {error}")),
        },
    };
    let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    call.stdout.extend(lines[lines.len().saturating_sub(count)..].concat());
    0
}
