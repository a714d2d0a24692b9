//! The grammar: lists of simple commands, one line at a time, as a shell reads its input.

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself.
    Text(String),
    /// `"$NAME"`, or `$?`, whose value never splits.
    Variable(String),
}

/// One word.
pub(super) type Word = Vec<Part>;

/// Where a stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirect {
    /// `</dev/null`
    NoInput,
    /// `>&2`
    OutToErr,
    /// `2>&1`
    ErrToOut,
    /// `>/dev/null`
    NoOut,
    /// `2>/dev/null`
    NoErr,
    /// `>FILE`
    Write(Word),
    /// `>>FILE`
    Append(Word),
}

/// A program with its arguments, or only assignments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Simple {
    /// `NAME=value` before the program.
    pub assignments: Vec<(String, Word)>,
    /// Program and arguments.
    pub words: Vec<Word>,
    /// In the order they were written.
    pub redirects: Vec<Redirect>,
}

/// When a command of a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// In any case.
    Always,
    /// If the one before it succeeded.
    Success,
    /// If the one before it failed.
    Failure,
    /// At the other end of a pipe from the one before it.
    Pipe,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// As `sh` words it.
    pub message: String,
}

/// Reads a script piece by piece, so that what stands before an error has run, as in a shell.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first line.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line that was read last.
    pub fn line(&self) -> usize {
        self.line
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.text[self.at..].starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { line: self.line, message: message.into() })
    }

    fn blanks(&mut self) {
        loop {
            if self.eat("\\\n") {
                self.line += 1;
            } else if matches!(self.peek(), Some(' ' | '\t')) {
                self.next();
            } else {
                break;
            }
        }
        if self.peek() == Some('#') {
            while self.peek().is_some_and(|c| c != '\n') {
                self.next();
            }
        }
    }

    /// Everything up to the end of the next line that is not empty.
    pub fn list(&mut self) -> Result<Option<Vec<(When, Simple)>>, SyntaxError> {
        loop {
            self.blanks();
            match self.peek() {
                None => return Ok(None),
                Some('\n') => self.next(),
                Some(_) => break,
            };
        }
        let mut list = Vec::new();
        let mut when = When::Always;
        loop {
            list.push((when, self.simple()?));
            self.blanks();
            when = if self.eat("&&") {
                When::Success
            } else if self.eat("||") {
                When::Failure
            } else if self.eat("|") {
                When::Pipe
            } else if self.eat(";") || self.eat("&") {
                // What is sent into the background is done before the next: a lab's command takes no time.
                When::Always
            } else {
                match self.next() {
                    None | Some('\n') => return Ok(Some(list)),
                    Some(c) => return self.error(format!("Syntax error: \"{c}\" unexpected")),
                }
            };
            self.blanks();
            match (when, self.peek()) {
                (When::Always, None | Some('\n')) => {
                    self.next();
                    return Ok(Some(list));
                }
                (_, Some('\n')) => {
                    while self.peek() == Some('\n') {
                        self.next();
                        self.blanks();
                    }
                }
                (_, None) => return self.error("Syntax error: end of file unexpected"),
                _ => {}
            }
        }
    }

    fn simple(&mut self) -> Result<Simple, SyntaxError> {
        let mut simple = Simple::default();
        loop {
            self.blanks();
            match self.peek() {
                None | Some('\n' | ';' | '&' | '|') => break,
                Some('<' | '>') => simple.redirects.push(self.redirect()?),
                Some(c @ ('(' | ')' | '{' | '}' | '!' | '`')) => {
                    return self.error(format!("Syntax error: \"{c}\" unexpected"));
                }
                Some('2') if self.text[self.at..].starts_with("2>") => simple.redirects.push(self.redirect()?),
                Some(_) => {
                    let start = self.at;
                    let word = self.word()?;
                    match self.text[start..self.at].split_once('=') {
                        Some((name, _)) if simple.words.is_empty() && is_name(name) => {
                            simple.assignments.push((name.to_owned(), without_prefix(word, name.len() + 1)));
                        }
                        _ => simple.words.push(word),
                    }
                }
            }
        }
        if simple.words.is_empty() && simple.assignments.is_empty() {
            let what = self.peek().map_or("end of file".to_owned(), |c| format!("\"{}\"", c.escape_default()));
            return self.error(format!("Syntax error: {what} unexpected"));
        }
        Ok(simple)
    }

    fn redirect(&mut self) -> Result<Redirect, SyntaxError> {
        let known = [("2>&1", Redirect::ErrToOut), (">&2", Redirect::OutToErr), ("1>&2", Redirect::OutToErr)];
        for (text, redirect) in known {
            if self.eat(text) {
                return Ok(redirect);
            }
        }
        let operator = ["2>", "<", ">>", ">"].into_iter().find(|operator| self.eat(operator));
        self.blanks();
        let target = self.word()?;
        match (operator, &target[..]) {
            (Some("<"), [Part::Text(path)]) if path == "/dev/null" => Ok(Redirect::NoInput),
            (Some(">"), [Part::Text(path)]) if path == "/dev/null" => Ok(Redirect::NoOut),
            (Some("2>"), [Part::Text(path)]) if path == "/dev/null" => Ok(Redirect::NoErr),
            (Some(">"), _) => Ok(Redirect::Write(target)),
            (Some(">>"), _) => Ok(Redirect::Append(target)),
            _ => self.error("Syntax error: this redirection is not known to the lab"),
        }
    }

    fn word(&mut self) -> Result<Word, SyntaxError> {
        let mut word = Vec::new();
        let mut text = String::new();
        let mut quoted = false;
        loop {
            match self.peek() {
                None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => break,
                Some('\'') => {
                    self.next();
                    quoted = true;
                    loop {
                        match self.next() {
                            Some('\'') => break,
                            Some(c) => text.push(c),
                            None => return self.error("Syntax error: Unterminated quoted string"),
                        }
                    }
                }
                Some('"') => {
                    self.next();
                    quoted = true;
                    self.double_quoted(&mut word, &mut text)?;
                }
                Some('\\') => {
                    self.next();
                    quoted = true;
                    match self.next() {
                        Some('\n') | None => {}
                        Some(c) => text.push(c),
                    }
                }
                Some('$') if self.text[self.at..].starts_with("$?") => {
                    self.eat("$?");
                    word.push(Part::Text(std::mem::take(&mut text)));
                    word.push(Part::Variable("?".to_owned()));
                    quoted = true;
                }
                Some(c @ ('$' | '`' | '*' | '?' | '[' | '~')) if c != '[' || !(word.is_empty() && text.is_empty()) => {
                    return self.error(format!("Syntax error: an unquoted \"{c}\" is not known to the lab"));
                }
                Some(c) => {
                    self.next();
                    text.push(c);
                }
            }
        }
        if text.is_empty() && word.is_empty() && !quoted {
            let what = self.peek().map_or("end of file".to_owned(), |c| format!("\"{}\"", c.escape_default()));
            return self.error(format!("Syntax error: {what} unexpected"));
        }
        word.push(Part::Text(text));
        word.retain(|part| *part != Part::Text(String::new()));
        Ok(word)
    }

    fn double_quoted(&mut self, word: &mut Word, text: &mut String) -> Result<(), SyntaxError> {
        loop {
            match self.next() {
                None => return self.error("Syntax error: Unterminated quoted string"),
                Some('"') => return Ok(()),
                Some('\\') => match self.next() {
                    Some(c @ ('$' | '`' | '"' | '\\')) => text.push(c),
                    Some('\n') | None => {}
                    Some(c) => text.extend(['\\', c]),
                },
                Some('$') => {
                    let rest = &self.text[self.at..];
                    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                    let name = if rest.starts_with('?') { "?" } else { &rest[..length] };
                    if name != "?" && !is_name(name) {
                        return self.error("Syntax error: this expansion is not known to the lab");
                    }
                    self.at += name.len();
                    word.push(Part::Text(std::mem::take(text)));
                    word.push(Part::Variable(name.to_owned()));
                }
                Some('`') => return self.error("Syntax error: \"`\" is not known to the lab"),
                Some(c) => text.push(c),
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Takes `NAME=` off the front of a word; it is never quoted, so it is all in the first part.
fn without_prefix(mut word: Word, length: usize) -> Word {
    if let Some(Part::Text(text)) = word.first_mut() {
        text.drain(..length.min(text.len()));
    }
    word.retain(|part| *part != Part::Text(String::new()));
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<String>> {
        let list = Reader::new(line).list().unwrap().unwrap();
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable(name) => format!("<{name}>"),
        };
        list.iter().map(|(_, s)| s.words.iter().map(|w| w.iter().map(text).collect()).collect()).collect()
    }

    #[test]
    fn quotes_are_taken_off() {
        assert_eq!(words(r#"a 'b c' 'it'\''s' "d $x\"" '' \$e"#), [["a", "b c", "it's", "d <x>\"", "", "$e"]]);
    }

    #[test]
    fn lists_are_split_where_a_shell_splits_them() {
        assert_eq!(words("a; b && c || d 2>&1 </dev/null").len(), 4);
        let mut reader = Reader::new("c=$?; printf x\n\n# comment\nnext\n");
        let first = reader.list().unwrap().unwrap();
        assert_eq!(first[0].1.assignments, [("c".to_owned(), vec![Part::Variable("?".to_owned())])]);
        assert_eq!(reader.list().unwrap().unwrap()[0].1.words.len(), 1);
        assert_eq!(reader.list(), Ok(None));
    }

    #[test]
    fn what_is_not_known_is_an_error_and_not_a_guess() {
        for line in ["a $(b)", "a `b`", "a |& b", "a *", "(a)", "a 2> /tmp/x", "a 'b", "a &&", "a $HOME", "echo ~"] {
            assert!(Reader::new(line).list().is_err(), "{line}");
        }
    }
}
