//! Regular expressions of Perl.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// How large a compiled expression may be, in bytes: the description comes from outside.
const LIMIT: usize = 1 << 20;

/// A regular expression as the description has it, compiled when it is first needed.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) fn new(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    /// As the description has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the whole of `value`; `None` where we cannot tell, as the expression uses what
    /// only Perl can do.
    #[must_use]
    pub fn matches(&self, value: &str) -> Option<bool> {
        let compiled = self.compiled.get_or_init(|| {
            // `m/^$pattern$/`: an alternative at the top binds `^` and `$` to its ends only, and `$` lets a
            // final line break pass.
            let whole = format!(r"^{}\n?\z", translate(&self.text));
            RegexBuilder::new(&whole).size_limit(LIMIT).dfa_size_limit(LIMIT).build().ok()
        });
        compiled.as_ref().map(|regex| regex.is_match(value))
    }
}

/// What Perl writes differently: `(?^i:…)` resets the flags first, `\0` is a NUL.
fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '(']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("(?^") {
            let flags: String = after.chars().take_while(char::is_ascii_alphabetic).collect();
            // `u`, `a`, `l` and `d` choose a character set, which is Unicode here anyway.
            let kept: String = flags.chars().filter(|flag| "imsx".contains(*flag)).collect();
            out.push_str("(?");
            out.push_str(&kept);
            rest = &after[flags.len()..];
        } else if let Some(after) = rest.strip_prefix('\\') {
            let Some(escaped) = after.chars().next() else { break };
            match escaped {
                '0' => out.push_str(r"\x00"),
                'Z' => out.push_str(r"\n?\z"),
                other => {
                    out.push('\\');
                    out.push(other);
                }
            }
            rest = &after[escaped.len_utf8()..];
        } else {
            out.push('(');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> Option<bool> {
        Pattern::new(pattern.to_owned()).matches(value)
    }

    #[test]
    fn the_whole_value_is_meant_as_perl_means_it() {
        assert_eq!(matches("(/dev/[^,]+|socket)", "socket"), Some(true));
        assert_eq!(matches("(/dev/[^,]+|socket)", "a socket"), Some(false));
        assert_eq!(matches("a|b", "ax"), Some(true), "^ belongs to the first alternative only");
        assert_eq!(matches("[a-z]+", "abc\n"), Some(true));
    }

    #[test]
    fn groups_with_reset_flags_and_nul_are_understood() {
        assert_eq!(matches("(?^:^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}$)", "10de:2684"), Some(true));
        assert_eq!(matches("(?^i:abc)", "ABC"), Some(true));
        assert_eq!(matches(r"(?^:\w+=x(?:\0\w+=x)*)", "a=x\0b=x"), Some(true));
        assert_eq!(matches(r"[^\x00-\x08\x0a-\x1F\x7F]+", "a\u{1}"), Some(false));
    }

    #[test]
    fn what_only_perl_can_do_is_not_guessed() {
        assert_eq!(matches("(?!x).*", "y"), None);
        assert_eq!(matches(r"(a)\1", "aa"), None);
    }
}
