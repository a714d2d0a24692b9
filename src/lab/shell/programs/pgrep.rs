//! `pgrep -fa PATTERN`: processes by what they were called with.

use regex::Regex;

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let ["-fa", pattern] = words[..] else { return call.unknown(&words.join(" ")) };
    let Ok(regex) = Regex::new(pattern) else { return call.unknown(pattern) };
    let Some(node) = call.world.nodes.get(call.node) else { return 1 };
    let found: Vec<String> = node
        .machine
        .processes
        .iter()
        .filter(|(_, line)| regex.is_match(line))
        .map(|(pid, line)| format!("{pid} {line}"))
        .collect();
    found.iter().for_each(|line| call.print(line));
    i32::from(found.is_empty())
}
