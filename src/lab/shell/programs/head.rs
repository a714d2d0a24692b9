//! `head [-n N | -c N]` of standard input or one file.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::read;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (bytes, count, files) = match args[..] {
        ["-c", count, ref files @ ..] => (true, count, files),
        ["-n", count, ref files @ ..] => (false, count, files),
        [short, ref files @ ..] if short.starts_with('-') => (false, &short[1..], files),
        ref files => (false, "10", files),
    };
    let Ok(count) = count.parse::<usize>() else { return call.unknown(&args.join(" ")) };
    let input = match files {
        [] => call.read_stdin(),
        [file] => match read(call.world, call.node, file) {
            Ok(content) => content,
            Err(error) => return call.fail(1, format!("cannot open '{file}' for reading: {error}")),
        },
        _ => return call.unknown(&args.join(" ")),
    };
    if bytes {
        call.stdout.extend(input.into_iter().take(count));
    } else {
        call.stdout.extend(input.split_inclusive(|byte| *byte == b'\n').take(count).flatten());
    }
    0
}
