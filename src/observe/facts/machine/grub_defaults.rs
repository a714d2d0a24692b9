//! `/etc/default/grub` and `/etc/default/grub.d/*.cfg`, as far as they are assignments.
//!
//! `grub-mkconfig` has the shell read them. This reads what people and packages write there: assignments with
//! quotes, references to variables that were set before, comments, continued lines. Whatever else is in them is
//! said to be unclear and never guessed at.

use std::collections::BTreeMap;

use crate::model::machine::{ConfigFiles, GrubDefaults};

/// Reads them; nothing where there is no `/etc/default/grub`.
pub fn read(config: &ConfigFiles) -> Option<GrubDefaults> {
    const FILE: &str = "/etc/default/grub";
    config.get(FILE)?;
    let files = [FILE].into_iter().chain(config.in_dir("/etc/default/grub.d", ".cfg").map(|(path, _)| path));
    let mut defaults = GrubDefaults::default();
    let mut variables: BTreeMap<String, Value> = BTreeMap::new();
    for path in files {
        let text = config.content(path).unwrap_or_default();
        let mut sets = false;
        let mut reader = Reader { text, at: 0 };
        while let Some(statement) = reader.statement(&variables) {
            match statement {
                Statement::Assignment { name, value } => {
                    sets |= ASKED.contains(&name.as_str());
                    variables.insert(name, value);
                }
                Statement::Other { line } => {
                    defaults.unclear.get_or_insert_with(|| {
                        format!("`{path}` has on line {line} something that is more than an assignment")
                    });
                }
            }
        }
        if sets {
            defaults.set_in.push(path.to_owned());
        }
    }
    let mut value = |name: &str| match variables.get(name) {
        Some(Value::Known(text)) => Some(text.clone()),
        Some(Value::Unknown) => {
            defaults.unclear.get_or_insert_with(|| format!("`{name}` is set by a command"));
            None
        }
        None => None,
    };
    let words = |text: Option<String>| -> Vec<String> {
        text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let (linux, linux_default, default) = (value(ASKED[0]), value(ASKED[1]), value(ASKED[2]));
    defaults.linux = words(linux);
    defaults.linux_default = words(linux_default);
    defaults.default = default;
    Some(defaults)
}

const ASKED: [&str; 3] = ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_DEFAULT"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Known(String),
    /// What a command prints, or something of which only a shell knows what it is.
    Unknown,
}

enum Statement {
    Assignment { name: String, value: Value },
    Other { line: usize },
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn statement(&mut self, variables: &BTreeMap<String, Value>) -> Option<Statement> {
        loop {
            match self.peek()? {
                ' ' | '\t' | '\n' | '\r' | ';' => {
                    self.take();
                }
                '#' => self.skip_line(),
                '\\' if self.rest().starts_with("\\\n") => self.at += 2,
                _ => break,
            }
        }
        let line = self.text[..self.at].matches('\n').count() + 1;
        if let Some(rest) = self.rest().strip_prefix("export ") {
            self.at = self.text.len() - rest.len();
        }
        let name_len = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        let name = self.rest()[..name_len].to_owned();
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !named || !self.rest()[name_len..].starts_with('=') {
            self.skip_line();
            return Some(Statement::Other { line });
        }
        self.at += name_len + 1;
        let value = self.value(variables);
        // `NAME=value command` sets nothing
        let end = self.rest().trim_start_matches([' ', '\t', '\r']);
        if !(end.is_empty() || end.starts_with(['\n', ';', '#'])) {
            self.skip_line();
            return Some(Statement::Other { line });
        }
        Some(Statement::Assignment { name, value })
    }

    fn skip_line(&mut self) {
        let end = self.rest().find('\n').unwrap_or(self.rest().len());
        self.at += end;
    }

    fn value(&mut self, variables: &BTreeMap<String, Value>) -> Value {
        let mut text = String::new();
        let mut known = true;
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' | ';' => break,
                '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.take();
                    let end = self.rest().find('\'');
                    known &= end.is_some();
                    let end = end.unwrap_or(self.rest().len());
                    text.push_str(&self.rest()[..end]);
                    self.at = (self.at + end + 1).min(self.text.len());
                }
                '"' => {
                    self.take();
                    known &= self.double_quoted(variables, &mut text);
                }
                '\\' => {
                    self.take();
                    match self.take() {
                        Some('\n') | None => {}
                        Some(other) => text.push(other),
                    }
                }
                '$' | '`' => known &= self.expansion(variables, &mut text),
                other => {
                    self.take();
                    text.push(other);
                }
            }
        }
        if known { Value::Known(text) } else { Value::Unknown }
    }

    fn double_quoted(&mut self, variables: &BTreeMap<String, Value>, text: &mut String) -> bool {
        let mut known = true;
        while let Some(next) = self.peek() {
            match next {
                '"' => {
                    self.take();
                    return known;
                }
                '\\' => {
                    self.take();
                    match self.take() {
                        Some('\n') | None => {}
                        Some(other @ ('$' | '`' | '"' | '\\')) => text.push(other),
                        Some(other) => text.extend(['\\', other]),
                    }
                }
                '$' | '`' => known &= self.expansion(variables, text),
                other => {
                    self.take();
                    text.push(other);
                }
            }
        }
        false
    }

    /// `$NAME` and `${NAME}` of what was set before; everything else that begins so is unknown.
    fn expansion(&mut self, variables: &BTreeMap<String, Value>, text: &mut String) -> bool {
        if self.take() == Some('`') {
            let end = self.rest().find('`').map_or(self.rest().len(), |end| end + 1);
            self.at += end;
            return false;
        }
        let braces = self.rest().starts_with('{');
        if self.rest().starts_with('(') {
            self.skip_parentheses();
            return false;
        }
        self.at += usize::from(braces);
        let len = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        let name = self.rest()[..len].to_owned();
        self.at += len;
        if braces {
            let plain = self.rest().starts_with('}');
            self.at += self.rest().find('}').map_or(self.rest().len(), |end| end + 1);
            if !plain {
                return false;
            }
        }
        match variables.get(&name) {
            Some(Value::Known(value)) => {
                text.push_str(value);
                true
            }
            Some(Value::Unknown) => false,
            // grub-mkconfig starts with its variables unset
            None => name.starts_with("GRUB_"),
        }
    }

    fn skip_parentheses(&mut self) {
        let mut depth = 0usize;
        while let Some(next) = self.take() {
            match next {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::ConfigFile;

    fn defaults(files: &[(&str, &str)]) -> GrubDefaults {
        let mut config = ConfigFiles::default();
        for (path, content) in files {
            let file = ConfigFile { content: (*content).to_owned(), ..ConfigFile::default() };
            config.files.insert((*path).to_owned(), file);
        }
        read(&config).unwrap()
    }

    #[test]
    fn a_stock_file_is_clear() {
        let stock = "# comment with 'a quote\nGRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n\
                     GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`\n\
                     GRUB_CMDLINE_LINUX_DEFAULT=\"quiet intel_iommu=on iommu=pt\"\n\
                     GRUB_CMDLINE_LINUX=\"root=ZFS=rpool/ROOT/pve-1 boot=zfs\"\n#GRUB_TERMINAL=console";
        let read = defaults(&[("/etc/default/grub", stock)]);
        assert_eq!(read.words(), ["root=ZFS=rpool/ROOT/pve-1", "boot=zfs", "quiet", "intel_iommu=on", "iommu=pt"]);
        assert_eq!((read.default.as_deref(), read.unclear), (Some("0"), None));
    }

    #[test]
    fn later_files_win_and_may_add_to_what_was_set() {
        let read = defaults(&[
            ("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n"),
            ("/etc/default/grub.d/10-a.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt\"\n"),
            ("/etc/default/grub.d/20-b.cfg", "GRUB_CMDLINE_LINUX='console=tty0 '\\\n'nomodeset' # end\n"),
            ("/etc/default/grub.d/30-c.cfg.bak", "GRUB_CMDLINE_LINUX=no\n"),
            ("/etc/default/grub.d/proxmox-kernel-pin.cfg", "GRUB_DEFAULT=\"a>b\"\n"),
        ]);
        assert_eq!(read.words(), ["console=tty0", "nomodeset", "quiet", "iommu=pt"]);
        assert_eq!(read.default.as_deref(), Some("a>b"));
        assert_eq!((read.set_in.len(), read.unclear), (4, None));
    }

    #[test]
    fn what_only_a_shell_can_know_is_unclear() {
        for text in [
            "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet $(cat /x)\"\n",
            "GRUB_CMDLINE_LINUX_DEFAULT=`cat /x`\n",
            "GRUB_CMDLINE_LINUX=\"${GRUB_X:-quiet}\"\n",
            "GRUB_CMDLINE_LINUX=\"$HOME\"\n",
            "GRUB_CMDLINE_LINUX=\"quiet\n",
            "if true; then\nGRUB_CMDLINE_LINUX=quiet\nfi\n",
            ". /etc/default/more\n",
            "GRUB_CMDLINE_LINUX+=\" quiet\"\n",
            "GRUB_CMDLINE_LINUX=quiet intel_iommu=on\n",
        ] {
            assert!(defaults(&[("/etc/default/grub", text)]).unclear.is_some(), "{text}");
        }
    }

    #[test]
    fn hostile_files_end() {
        for text in ["$", "A=$", "A=${", "A=$(", "A=`", "A='", "A=\"\\", "\\", "=", "é=ü", "A=é\"ü$é", "A=(", "export "]
        {
            defaults(&[("/etc/default/grub", text)]);
        }
    }
}
