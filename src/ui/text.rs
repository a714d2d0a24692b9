//! Widths, wrapping, numbers and lists in words.

use std::time::Duration;

use unicode_width::UnicodeWidthChar;

/// Columns that a text takes; escape sequences take none.
pub fn columns(text: &str) -> usize {
    let mut width = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // CSI … m: all that the theme writes.
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            width += c.width().unwrap_or(0);
        }
    }
    width
}

/// Fills up with blanks to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Cuts to `width` columns, marking that it did.
pub fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns(ellipsis));
    let mut taken = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            taken += c.width().unwrap_or(0);
            taken <= room
        })
        .collect();
    format!("{}{ellipsis}", kept.trim_end())
}

/// Breaks one line at blanks so that no line is wider than `width` where that can be; every line but
/// the first is indented by `indent`. Ends with a line break.
pub fn wrap(line: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut taken = 0;
    let mut at_start = true;
    for word in line.split(' ') {
        let need = columns(word);
        if !at_start && need > 0 && taken + 1 + need > width {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            taken = indent;
        } else if !at_start {
            out.push(' ');
            taken += 1;
        }
        out.push_str(word);
        taken += need;
        at_start = false;
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out
}

/// `1 host`, `2 hosts`.
#[must_use]
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub fn join_and<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<S> = items.into_iter().collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// `0.4 s`, `12.0 s`, `3 min 05 s`, `1 h 02 min`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Makes a text from elsewhere harmless to print on one line: control characters and escape sequences
/// become visible, tabs become blanks.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_take_no_columns() {
        assert_eq!(columns("\u{1b}[1m\u{1b}[31mgone\u{1b}[0m"), 4);
        assert_eq!(columns("数据"), 4);
    }

    #[test]
    fn wrapping_keeps_inner_blanks_and_breaks_before_what_is_too_wide() {
        assert_eq!(wrap("+ create  ct.a  does not exist", 80, 4), "+ create  ct.a  does not exist\n");
        assert_eq!(wrap("+ create  ct.a  does not exist", 20, 4), "+ create  ct.a  does\n    not exist\n");
        assert_eq!(wrap("a-word-that-does-not-fit anywhere", 10, 2), "a-word-that-does-not-fit\n  anywhere\n");
        assert_eq!(wrap("trailing   ", 80, 4), "trailing\n");
    }

    #[test]
    fn cutting_says_so_and_never_splits_a_wide_character() {
        assert_eq!(cut("memory", 6, "…"), "memory");
        assert_eq!(cut("memory", 5, "…"), "memo…");
        assert_eq!(cut("数据数据", 5, "…"), "数据…");
    }

    #[test]
    fn lists_and_durations_read_as_words() {
        assert_eq!(join_and(["a"]), "a");
        assert_eq!(join_and(["a", "b", "c"]), "a, b and c");
        assert_eq!(duration(Duration::from_millis(3210)), "3.2 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(duration(Duration::from_secs(3720)), "1 h 02 min");
    }

    #[test]
    fn what_a_host_says_cannot_move_the_cursor() {
        assert_eq!(one_line("a\u{1b}[2Jb\rc\n"), "a\\u{1b}[2Jb\\rc");
        assert_eq!(one_line("a\nb"), "a\\nb");
    }
}
