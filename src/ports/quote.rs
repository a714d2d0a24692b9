//! Quoting for a POSIX shell: the only place where it is done.

/// Words that a shell, POSIX's or root's usual bash, does not take for a program's name when bare.
const RESERVED: [&str; 17] = [
    "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select", "then",
    "time", "until", "while",
];

/// Quotes one word so that any POSIX `sh` reads it back byte for byte.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Quotes an argument vector into one command line.
///
/// The program's name is put in quotes if it is a reserved word or holds `=`: unquoted, `a=b` would
/// be an assignment.
#[must_use]
pub fn quote_all(argv: &[String]) -> String {
    let mut words = Vec::with_capacity(argv.len());
    for (index, word) in argv.iter().enumerate() {
        let quoted = quote(word);
        let misread = word.contains('=') || RESERVED.contains(&word.as_str());
        if index == 0 && misread && !quoted.starts_with('\'') {
            words.push(format!("'{word}'"));
        } else {
            words.push(quoted);
        }
    }
    words.join(" ")
}
