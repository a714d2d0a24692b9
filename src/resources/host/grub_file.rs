//! Taking words out of the kernel command line in `/etc/default/grub` and its drop-ins.
//!
//! The files are shell scripts. Nothing is evaluated here: assignments to `GRUB_CMDLINE_LINUX` and
//! `GRUB_CMDLINE_LINUX_DEFAULT` are found, and whole words are cut out of their values; every other byte stays.
//! Entry: [`without`].

use std::ops::Range;

const VARIABLES: [&str; 2] = ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"];

/// Cuts every word that is `unwanted` out of the command lines, with the space beside it.
///
/// # Errors
/// With the line in which such a word stands in a way that cannot be cut out: put together from parts.
pub fn without(text: &str, unwanted: &dyn Fn(&str) -> bool) -> Result<String, String> {
    let mut cuts: Vec<Range<usize>> = Vec::new();
    for value in values(text) {
        cuts.extend(words(text, &value).into_iter().filter(|word| unwanted(&text[word.clone()])).map(|word| {
            let before = text[value.start..word.start].bytes().rev().take_while(|b| is_blank(*b)).count();
            if before > 0 {
                return word.start - before..word.end;
            }
            let after = text[word.end..value.end].bytes().take_while(|b| is_blank(*b)).count();
            word.start..word.end + after
        }));
    }
    let edited = cut(text, &cuts);
    for value in values(&edited) {
        let plain = edited[value.clone()].replace(['"', '\'', '\\'], "");
        if plain.split_whitespace().any(unwanted) {
            let line = edited[..value.start].matches('\n').count() + 1;
            return Err(format!("line {line}: {}", edited[value].lines().next().unwrap_or_default()));
        }
    }
    Ok(edited)
}

/// Without these ranges; those that overlap are cut once.
fn cut(text: &str, cuts: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in cuts {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        at = at.max(range.end);
    }
    out.push_str(&text[at..]);
    out
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Words of a value that stand alone in it, without the quotes around all of it.
fn words(text: &str, value: &Range<usize>) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut start, mut end) = (value.start, value.end);
    if end - start >= 2 && matches!(bytes[start], b'"' | b'\'') && bytes[end - 1] == bytes[start] {
        (start, end) = (start + 1, end - 1);
    }
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        if bytes[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let from = at;
        while at < end && !bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if !text[from..at].contains(['"', '\'', '\\', '$', '`']) {
            found.push(from..at);
        }
    }
    found
}

/// Where the values of the assignments are, quotes included.
fn values(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut values = Vec::new();
    let mut at = 0;
    // Whether arguments of a command follow, which are no assignments unless the command is `export`.
    let mut in_arguments = false;
    while at < bytes.len() {
        match bytes[at] {
            b'\n' | b';' | b'&' | b'|' | b'(' | b')' => {
                in_arguments = false;
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            b'#' => at = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| at + end),
            _ => {
                let end = word_end(bytes, at).max(at + 1);
                let word = text.get(at..end).unwrap_or_default();
                if let Some((name, _)) = word.split_once('=').filter(|_| !in_arguments) {
                    let value = at + name.len() + 1;
                    if VARIABLES.contains(&name.trim_end_matches('+')) {
                        values.push(value..end);
                    }
                } else if !matches!(word, "export" | "readonly" | "then" | "else" | "do" | "if" | "{" | "!") {
                    in_arguments = true;
                }
                at = end;
            }
        }
    }
    values
}

/// Where the word that begins at `at` ends: at the first blank or operator outside of quotes.
fn word_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' => at = closing(bytes, at + 1, b'\''),
            b'"' => at = quoted_end(bytes, at + 1, b'"'),
            b'`' => at = quoted_end(bytes, at + 1, b'`'),
            b'$' if bytes.get(at + 1) == Some(&b'(') => at = parenthesis_end(bytes, at + 2),
            b'$' if bytes.get(at + 1) == Some(&b'{') => at = closing(bytes, at + 2, b'}'),
            byte if byte.is_ascii_whitespace() => return at,
            b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the next `until`.
fn closing(bytes: &[u8], at: usize, until: u8) -> usize {
    bytes.iter().skip(at).position(|b| *b == until).map_or(bytes.len(), |found| at + found + 1)
}

/// Behind the next `until` that no backslash stands before.
fn quoted_end(bytes: &[u8], mut at: usize, until: u8) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == until => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the parenthesis that closes a substitution; those inside are counted, quotes are not looked into.
fn parenthesis_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn off(word: &str) -> bool {
        matches!(word, "iommu=off" | "intel_iommu=off")
    }

    fn edit(text: &str) -> String {
        without(text, &off).unwrap()
    }

    #[test]
    fn a_word_goes_with_one_space_and_all_else_stays() {
        for (before, after) in [
            ("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=off\"\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n"),
            ("GRUB_CMDLINE_LINUX_DEFAULT=\"iommu=off quiet\"", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\""),
            ("GRUB_CMDLINE_LINUX='a  iommu=off  b'\n", "GRUB_CMDLINE_LINUX='a  b'\n"),
            ("GRUB_CMDLINE_LINUX=iommu=off # why\n", "GRUB_CMDLINE_LINUX= # why\n"),
            ("GRUB_CMDLINE_LINUX=\"iommu=off intel_iommu=off\"\n", "GRUB_CMDLINE_LINUX=\"\"\n"),
            ("export GRUB_CMDLINE_LINUX=\"iommu=off\"\r\n", "export GRUB_CMDLINE_LINUX=\"\"\r\n"),
            ("if x; then GRUB_CMDLINE_LINUX=\"a iommu=off\"; fi\n", "if x; then GRUB_CMDLINE_LINUX=\"a\"; fi\n"),
            (
                "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT iommu=off\"\n",
                "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT\"\n",
            ),
            ("GRUB_CMDLINE_LINUX+=\" iommu=off\"\n", "GRUB_CMDLINE_LINUX+=\"\"\n"),
            ("GRUB_CMDLINE_LINUX=\"a \\\niommu=off b\"\n", "GRUB_CMDLINE_LINUX=\"a \\\nb\"\n"),
        ] {
            assert_eq!(edit(before), after);
        }
    }

    #[test]
    fn what_is_no_command_line_is_not_touched() {
        for text in [
            "# GRUB_CMDLINE_LINUX=\"iommu=off\"\n",
            "GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} iommu=off )`\n",
            "OTHER=\"iommu=off\"\n",
            "echo GRUB_CMDLINE_LINUX=iommu=off\n",
            "GRUB_CMDLINE_LINUX=\"xiommu=off iommu=offx\"\n",
            "X='a\nGRUB_CMDLINE_LINUX=iommu=off\n'\n",
        ] {
            assert_eq!(edit(text), text);
        }
    }

    #[test]
    fn every_assignment_is_looked_at() {
        let text = "GRUB_CMDLINE_LINUX=\"iommu=off\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"a iommu=off\"\nGRUB_CMDLINE_LINUX=\"b iommu=off\"\n";
        assert_eq!(edit(text), "GRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"a\"\nGRUB_CMDLINE_LINUX=\"b\"\n");
    }

    #[test]
    fn a_word_put_together_from_parts_is_refused_with_its_line() {
        let error = without("A=1\nGRUB_CMDLINE_LINUX=\"quiet\"' iommu=off'\n", &off).unwrap_err();
        assert!(error.starts_with("line 2: "), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_the_file_nothing_but_the_words_goes(text in "([A-Za-z_=\"'\\\\`$(){}# \t\r\n;|&é]|GRUB_CMDLINE_LINUX=|GRUB_CMDLINE_LINUX_DEFAULT=\"|iommu=off|quiet ){0,60}") {
            prop_assert_eq!(without(&text, &|_| false).unwrap(), text.as_str());
            if let Ok(once) = without(&text, &off) {
                prop_assert_eq!(without(&once, &off), Ok(once.clone()));
                let letters = |text: &str| text.replace("intel_iommu=off", "").replace("iommu=off", "").replace([' ', '\t'], "");
                prop_assert_eq!(letters(&once), letters(&text));
            }
        }
    }
}
