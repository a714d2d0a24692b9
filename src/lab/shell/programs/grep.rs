//! `grep`: lines of files, directories (`-r`) or standard input that a pattern is in.

use regex::bytes::{Regex, RegexBuilder};

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{FileError, FileKind, link_meta, list, meta, read};

#[derive(Debug, Default)]
struct Options {
    extended: bool,
    fixed: bool,
    fold_case: bool,
    with_name: Option<bool>,
    silent: bool,
    recursive: bool,
    numbered: bool,
    inverted: bool,
    count: bool,
    files: bool,
    only: bool,
    quiet: bool,
    words: bool,
    whole: bool,
    most: Option<usize>,
    /// Endings of names that are looked into (`--include=*.fw`); all, if none is given.
    endings: Vec<String>,
}

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let mut options = Options::default();
    let (mut patterns, mut operands) = (Vec::new(), Vec::new());
    let mut args = call.args.iter();
    let mut ended = false;
    while let Some(arg) = args.next() {
        let letters = arg.strip_prefix('-').filter(|rest| !ended && !rest.is_empty());
        match letters {
            _ if !ended && arg == "--" => ended = true,
            Some(long) if long.starts_with("-include=*") => {
                let ending = &long["-include=*".len()..];
                if ending.contains(['*', '?', '[']) {
                    return call.unknown(arg);
                }
                options.endings.push(ending.to_owned());
            }
            Some(letters) => {
                for (at, letter) in letters.char_indices() {
                    let rest = &letters[at + letter.len_utf8()..];
                    let mut value = || if rest.is_empty() { args.next().cloned() } else { Some(rest.to_owned()) };
                    match letter {
                        'E' => options.extended = true,
                        'F' => options.fixed = true,
                        'i' => options.fold_case = true,
                        'H' => options.with_name = Some(true),
                        'h' => options.with_name = Some(false),
                        's' => options.silent = true,
                        'r' => options.recursive = true,
                        'n' => options.numbered = true,
                        'v' => options.inverted = true,
                        'c' => options.count = true,
                        'l' => options.files = true,
                        'o' => options.only = true,
                        'q' => options.quiet = true,
                        'w' => options.words = true,
                        'x' => options.whole = true,
                        'a' => {}
                        'e' => {
                            patterns.extend(value());
                            break;
                        }
                        'm' => {
                            options.most = value().and_then(|number| number.parse().ok());
                            break;
                        }
                        _ => return call.unknown(arg),
                    }
                }
            }
            None => operands.push(arg.clone()),
        }
    }
    if patterns.is_empty() {
        if operands.is_empty() {
            call.warn("Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.");
            return 2;
        }
        patterns.push(operands.remove(0));
    }
    let Some(regex) = regex(&patterns, &options) else { return call.unknown(&patterns.join(" ")) };
    search(call, &regex, &options, operands)
}

fn search(call: &mut Call<'_>, regex: &Regex, options: &Options, operands: Vec<String>) -> i32 {
    let (mut found, mut failed) = (false, false);
    if operands.is_empty() && !options.recursive {
        let input = call.read_stdin();
        found = lines(call, regex, options, None, &input);
        return i32::from(!found);
    }
    let several = operands.len() > 1 || options.recursive;
    let named = options.with_name.unwrap_or(several);
    let mut queue: Vec<(String, bool)> = operands.into_iter().rev().map(|path| (path, true)).collect();
    while let Some((path, given)) = queue.pop() {
        // links are followed where they were named, and left alone where they were come across
        let kind = if given { meta(call.world, call.node, &path) } else { link_meta(call.world, call.node, &path) };
        let kind = kind.map(|meta| meta.kind);
        if !given && matches!(kind, Ok(FileKind::Link | FileKind::Device)) {
            continue;
        }
        if kind == Ok(FileKind::Directory) && options.recursive {
            let names = list(call.world, call.node, &path).unwrap_or_default();
            let base = path.trim_end_matches('/');
            queue.extend(names.into_iter().rev().map(|name| (format!("{base}/{name}"), false)));
            continue;
        }
        if !given && !options.endings.is_empty() && !options.endings.iter().any(|ending| path.ends_with(ending)) {
            continue;
        }
        match read(call.world, call.node, &path) {
            Ok(content) => {
                found |= lines(call, regex, options, named.then_some(path.as_str()), &content);
                if found && options.quiet {
                    return 0;
                }
            }
            Err(error) => {
                failed = true;
                if !options.silent {
                    let text = match error {
                        FileError::IsADirectory => format!("{path}: Is a directory"),
                        error => format!("{path}: {error}"),
                    };
                    call.fail(2, text);
                }
            }
        }
    }
    if failed { 2 } else { i32::from(!found) }
}

/// Prints what there is to print of one file; whether a line was selected.
fn lines(call: &mut Call<'_>, regex: &Regex, options: &Options, name: Option<&str>, content: &[u8]) -> bool {
    let mut selected = 0;
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let prefix = name.map(|name| format!("{name}:")).unwrap_or_default();
    let all: Vec<&[u8]> = if content.is_empty() { Vec::new() } else { content.split(|byte| *byte == b'\n').collect() };
    for (number, line) in all.into_iter().enumerate() {
        if regex.is_match(line) == options.inverted {
            continue;
        }
        selected += 1;
        if options.count || options.files || options.quiet {
            continue;
        }
        let head = if options.numbered { format!("{prefix}{}:", number + 1) } else { prefix.clone() };
        let parts: Vec<&[u8]> =
            if options.only { regex.find_iter(line).map(|part| part.as_bytes()).collect() } else { vec![line] };
        for part in parts.into_iter().filter(|part| !options.only || !part.is_empty()) {
            call.stdout.extend_from_slice(head.as_bytes());
            call.stdout.extend_from_slice(part);
            call.stdout.push(b'\n');
        }
        if options.most.is_some_and(|most| selected >= most) {
            break;
        }
    }
    if options.count && !options.quiet {
        call.print(format!("{prefix}{selected}"));
    } else if options.files && selected > 0 && !options.quiet {
        call.print(name.unwrap_or("(standard input)"));
    }
    selected > 0
}

/// POSIX's patterns in the words of the crate; nothing, where they mean what it cannot.
fn regex(patterns: &[String], options: &Options) -> Option<Regex> {
    let parts: Vec<&str> = patterns.iter().flat_map(|pattern| pattern.split('\n')).collect();
    let mut all = Vec::new();
    for part in parts {
        let text = match (options.fixed, options.extended) {
            (true, _) => regex::escape(part),
            (false, true) => part.to_owned(),
            (false, false) => basic(part)?,
        };
        all.push(format!("(?:{text})"));
    }
    let mut text = all.join("|");
    if options.words {
        text = format!(r"(?:^|\W)(?:{text})(?:\W|$)");
    }
    if options.whole {
        text = format!("^(?:{text})$");
    }
    RegexBuilder::new(&text).case_insensitive(options.fold_case).unicode(false).build().ok()
}

/// A basic regular expression, where `\(` groups and `(` is itself.
fn basic(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?') => out.push(c),
                c @ ('1'..='9') => return Some(c).and(None),
                c => out.extend(['\\', c]),
            },
            '(' | ')' | '{' | '}' | '|' | '+' | '?' => out.extend(['\\', c]),
            '[' => {
                out.push('[');
                let mut first = true;
                while let Some(c) = chars.next() {
                    out.push(c);
                    if c == '[' && chars.peek() == Some(&':') {
                        for c in chars.by_ref() {
                            out.push(c);
                            if c == ']' {
                                break;
                            }
                        }
                    } else if c == ']' && !first {
                        break;
                    }
                    first = first && c == '^';
                }
            }
            c => out.push(c),
        }
    }
    Some(out)
}
