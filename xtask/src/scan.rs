//! Which rooms a source file uses.
//!
//! A light reading of Rust: comments and literals are blanked, items under `#[cfg(test)]` too, and what
//! is left is searched for `crate::`. Not a parser; it errs towards seeing too much.

/// A use of `crate::<room>` and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    pub line: usize,
    pub room: String,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub struct Found {
    /// Rooms that it uses outside of tests.
    pub uses: Vec<Use>,
    /// Modules that it declares for tests only, in files of their own.
    pub test_modules: Vec<String>,
}

/// Reads one file.
pub fn scan(text: &str) -> Found {
    let mut bytes = blank_comments_and_literals(text.as_bytes());
    let test_modules = blank_tests(&mut bytes);
    let code = String::from_utf8_lossy(&bytes);
    let mut uses = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].bytes().last();
        if before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':' || b == b'$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        if rest.trim_start().starts_with('{') {
            uses.extend(group(rest.trim_start()).into_iter().map(|room| Use { line, room }));
        } else {
            uses.push(Use { line, room: word(rest) });
        }
    }
    uses.sort();
    uses.dedup();
    Found { uses, test_modules }
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first words of the items of `{a::b, c::{d, e}, f}`.
fn group(text: &str) -> Vec<String> {
    let (mut depth, mut rooms, mut fresh) = (0, Vec::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            '{' => {
                depth += 1;
                fresh = depth == 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ',' if depth == 1 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                rooms.push(word(&text[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    rooms
}

/// Replaces comments, strings and characters by blanks; line breaks stay.
fn blank_comments_and_literals(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let end = match text[at] {
            b'/' if text[at..].starts_with(b"//") => line_end(text, at),
            b'/' if text[at..].starts_with(b"/*") => block_end(text, at),
            b'"' => string_end(text, at + 1),
            b'r' | b'b' if !after_word(text, at) => raw_end(text, at).unwrap_or(at + 1),
            b'\'' => character_end(text, at),
            _ => at + 1,
        };
        if end > at + 1 {
            out[at..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        }
        at = end;
    }
    out
}

fn after_word(text: &[u8], at: usize) -> bool {
    at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_')
}

fn line_end(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |length| at + length)
}

fn block_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string_end(text: &[u8], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The end of `r"…"`, `r#"…"#`, `br"…"`; `None` for a word that merely starts with these letters.
fn raw_end(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let start = if rest.starts_with(b"br") { 2 } else { usize::from(rest.starts_with(b"r")) };
    if start == 0 {
        return None;
    }
    let hashes = rest[start..].iter().take_while(|b| **b == b'#').count();
    if rest.get(start + hashes) != Some(&b'"') {
        return None;
    }
    let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let from = at + start + hashes + 1;
    let length = text[from..].windows(close.len()).position(|window| window == close);
    Some(length.map_or(text.len(), |length| from + length + close.len()))
}

/// The end of a character literal; a lifetime is left as it is.
fn character_end(text: &[u8], at: usize) -> usize {
    if text.get(at + 1) == Some(&b'\\') {
        return text[at + 3..].iter().position(|b| *b == b'\'').map_or(text.len(), |length| at + 4 + length);
    }
    let next = String::from_utf8_lossy(&text[at + 1..text.len().min(at + 5)]);
    let width = next.chars().next().map_or(1, char::len_utf8);
    if text.get(at + 1 + width) == Some(&b'\'') { at + 2 + width } else { at + 1 }
}

/// Blanks items under `#[cfg(test)]`; gives the names of modules among them that have their own file.
fn blank_tests(code: &mut [u8]) -> Vec<String> {
    const MARK: &[u8] = b"#[cfg(test)]";
    let mut modules = Vec::new();
    while let Some(at) = code.windows(MARK.len()).position(|window| window == MARK) {
        let mut end = at + MARK.len();
        let mut depth = 0;
        while end < code.len() {
            match code[end] {
                b'{' => depth += 1,
                b'}' if depth <= 1 => break,
                b'}' => depth -= 1,
                b';' if depth == 0 => break,
                _ => {}
            }
            end += 1;
        }
        end = code.len().min(end + 1);
        let item = String::from_utf8_lossy(&code[at + MARK.len()..end]).into_owned();
        if let Some(name) = item.trim().strip_suffix(';').and_then(|item| item.rsplit_once("mod ")) {
            modules.push(name.1.trim().to_owned());
        }
        code[at..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(text: &str) -> Vec<(usize, String)> {
        scan(text).uses.into_iter().map(|u| (u.line, u.room)).collect()
    }

    fn one(line: usize, room: &str) -> (usize, String) {
        (line, room.to_owned())
    }

    #[test]
    fn uses_inline_paths_and_groups_are_found() {
        let text =
            "use crate::model::Addr;\nfn f() { crate::plan::g(); }\nuse crate::{\n  diag::X,\n  event::{A, B},\n};\n";
        assert_eq!(rooms(text), [one(1, "model"), one(2, "plan"), one(3, "diag"), one(3, "event")]);
        assert_eq!(rooms("pub(crate) use crate::exec::run;"), [one(1, "exec")]);
    }

    #[test]
    fn comments_strings_and_characters_are_not_code() {
        let text = "// use crate::a::b;\n/* crate::b /* crate::c */ */\nlet s = \"crate::d \\\" crate::e\";\nlet r = r#\"crate::f \" \"#;\nlet c = '\"'; let d: &'static str = x; crate::g::h();\n";
        assert_eq!(rooms(text), [one(5, "g")]);
        assert_eq!(rooms("let c = '\\''; crate::a::b(); let n = '\\n'; crate::c::d();"), [one(1, "a"), one(1, "c")]);
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let text = "use crate::a::b;\n#[cfg(test)]\nmod tests {\n  use crate::b::c;\n  fn f() { if x { y } }\n}\nfn g() { crate::d::e() }\n";
        assert_eq!(rooms(text), [one(1, "a"), one(7, "d")]);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_named() {
        let found = scan("#[cfg(test)]\nmod sample;\nmod real;\n#[cfg(test)]\nuse crate::x::y;\n");
        assert_eq!(found.test_modules, ["sample"]);
        assert_eq!(found.uses, []);
    }

    #[test]
    fn other_crates_are_not_ours() {
        assert_eq!(rooms("use other_crate::a; $crate::b::c!(); use crate::d;"), [one(1, "d")]);
    }
}
