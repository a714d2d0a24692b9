//! Values of module options in files of `modprobe.d`.
//!
//! Owns where `options MODULE NAME=VALUE` stands and how a value is exchanged; every other byte stays.
//! Entries: [`values`], [`set`].

use std::ops::Range;

/// The values that a file gives to a module's parameter, in order.
pub fn values<'a>(text: &'a str, module: &str, parameter: &str) -> Vec<&'a str> {
    places(text, module, parameter).into_iter().map(|place| &text[place]).collect()
}

/// Gives every occurrence of a module's parameter another value; where there is none, nothing changes.
pub fn set(text: &str, module: &str, parameter: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut at = 0;
    for place in places(text, module, parameter) {
        out.push_str(&text[at..place.start]);
        out.push_str(value);
        at = place.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Where the values are.
fn places(text: &str, module: &str, parameter: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = logical_end(text, at);
        let tokens = tokens(text, at..end);
        let token = |index: usize| tokens.get(index).map(|range| &text[range.clone()]);
        if token(0) == Some("options") && token(1).is_some_and(|of| same(of, module)) {
            places.extend(tokens.iter().skip(2).filter_map(|range| {
                let (name, value) = text[range.clone()].split_once('=').filter(|(_, value)| !value.contains('"'))?;
                same(name, parameter).then(|| range.end - value.len()..range.end)
            }));
        }
        at = end;
    }
    places
}

fn same(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other.replace('-', "_")
}

/// Behind the line that begins at `at`, with the lines that continue it.
fn logical_end(text: &str, mut at: usize) -> usize {
    loop {
        let Some(line) = text[at..].find('\n') else { return text.len() };
        let continued = text[at..at + line].ends_with('\\');
        at += line + 1;
        if !continued {
            return at;
        }
    }
}

/// Words of a logical line. A backslash before a line's end is blank, as is a carriage return.
fn tokens(text: &str, line: Range<usize>) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let blank =
        |at: usize| bytes[at].is_ascii_whitespace() || (bytes[at] == b'\\' && bytes.get(at + 1) == Some(&b'\n'));
    let mut tokens = Vec::new();
    let mut at = line.start;
    while at < line.end {
        if blank(at) {
            at += 1;
            continue;
        }
        let from = at;
        let mut quoted = false;
        while at < line.end && (quoted || !blank(at)) {
            quoted ^= bytes[at] == b'"';
            at += 1;
        }
        tokens.push(from..at);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_exchanged_in_place() {
        let edit = |text: &str| set(text, "zfs", "zfs_arc_max", "7");
        for (before, after) in [
            ("options zfs zfs_arc_max=1\n", "options zfs zfs_arc_max=7\n"),
            ("options zfs zfs_arc_max=1", "options zfs zfs_arc_max=7"),
            (
                "options  zfs\tzfs_arc_min=1 zfs_arc_max=2  x=3\r\n",
                "options  zfs\tzfs_arc_min=1 zfs_arc_max=7  x=3\r\n",
            ),
            ("options zfs \\\n  zfs_arc_max=1\r\n", "options zfs \\\n  zfs_arc_max=7\r\n"),
            (
                "options zfs zfs_arc_max=1\noptions zfs zfs-arc-max=2\n",
                "options zfs zfs_arc_max=7\noptions zfs zfs-arc-max=7\n",
            ),
            ("options zfs zfs_arc_max=\n", "options zfs zfs_arc_max=7\n"),
        ] {
            assert_eq!(edit(before), after);
        }
        for untouched in [
            "# options zfs zfs_arc_max=1\n",
            "#options zfs zfs_arc_max=1\n",
            "options spl zfs_arc_max=1\n",
            "options zfs zfs_arc_max_x=1\n",
            "options zfs zfs_arc_max\n",
            "options zfs x=\"a zfs_arc_max=1\"\n",
            "# continued \\\noptions zfs zfs_arc_max=1\n",
            "",
        ] {
            assert_eq!(edit(untouched), untouched);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_file_only_values_change(text in "(options zfs |zfs_arc_max=|[0-9]{1,3}|[a-z\"\\\\# \t\r\né=]){0,40}") {
            let once = set(&text, "zfs", "zfs_arc_max", "7");
            prop_assert_eq!(set(&once, "zfs", "zfs_arc_max", "7"), once.as_str());
            let mut back = once.clone();
            let old = values(&text, "zfs", "zfs_arc_max");
            let new = places(&once, "zfs", "zfs_arc_max");
            prop_assert_eq!(old.len(), new.len());
            for (place, value) in new.into_iter().zip(old).rev() {
                back.replace_range(place, value);
            }
            prop_assert_eq!(back, text);
        }
    }
}
