//! Quoting for a POSIX shell: the only place where it is done.

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
/// The program's name is always put in quotes if it holds `=`: unquoted, `a=b` would be an assignment.
#[must_use]
pub fn quote_all(argv: &[String]) -> String {
    let mut words = Vec::with_capacity(argv.len());
    for (index, word) in argv.iter().enumerate() {
        let quoted = quote(word);
        if index == 0 && word.contains('=') && !quoted.starts_with('\'') {
            words.push(format!("'{word}'"));
        } else {
            words.push(quoted);
        }
    }
    words.join(" ")
}
