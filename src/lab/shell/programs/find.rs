//! `find`: an expression over the tree, with the tests and actions that this project uses.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{FileKind, inode, link_meta, link_target, list, meta, resolve};

/// A test or an action, and how they are joined.
#[derive(Debug)]
enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Kind(FileKind),
    Name(String, bool),
    Path(String),
    Empty,
    Print,
    Printf(String),
    Exec(Vec<String>),
    /// With a number, as the files are kept until the end.
    ExecAll(usize),
    Prune,
}

struct Find<'a> {
    words: &'a [String],
    at: usize,
    least: usize,
    most: usize,
    acts: bool,
    batches: Vec<Vec<String>>,
}

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let mut args = args.iter().peekable();
    let mut follow = false;
    while let Some(option) = args.next_if(|arg| ["-L", "-H", "-P"].contains(&arg.as_str())) {
        follow = option == "-L";
    }
    let mut paths = Vec::new();
    while let Some(path) = args.next_if(|arg| !arg.starts_with('-') && *arg != "(" && *arg != "!") {
        paths.push(path.clone());
    }
    if paths.is_empty() {
        return call.unknown("find without a path");
    }
    let words: Vec<String> = args.cloned().collect();
    let mut find = Find { words: &words, at: 0, least: 0, most: usize::MAX, acts: false, batches: Vec::new() };
    let mut expr = match find.or() {
        Ok(expr) if find.at == words.len() => expr,
        Ok(_) => return call.unknown(&words[find.at]),
        Err(what) => return call.unknown(&what),
    };
    if !find.acts {
        expr = Expr::And(vec![expr, Expr::Print]);
    }
    let mut walk =
        Walk { expr, least: find.least, most: find.most, follow, files: vec![Vec::new(); find.batches.len()], code: 0 };
    for path in paths {
        walk.visit(call, &path, 0, &mut Vec::new());
    }
    for (argv, files) in find.batches.iter().zip(std::mem::take(&mut walk.files)) {
        if !files.is_empty() && exec(call, argv, &files) != 0 {
            walk.code = 1;
        }
    }
    walk.code
}

impl Find<'_> {
    fn next(&mut self) -> Option<&str> {
        self.at += 1;
        self.words.get(self.at - 1).map(String::as_str)
    }

    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut all = vec![self.and()?];
        while matches!(self.peek(), Some("-o" | "-or")) {
            self.at += 1;
            all.push(self.and()?);
        }
        Ok(Expr::Or(all))
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut all = Vec::new();
        while let Some(word) = self.peek() {
            match word {
                "-o" | "-or" | ")" => break,
                "-a" | "-and" => self.at += 1,
                _ => all.push(self.one()?),
            }
        }
        Ok(Expr::And(all))
    }

    fn value(&mut self, of: &str) -> Result<String, String> {
        self.next().map(str::to_owned).ok_or_else(|| format!("{of} without a value"))
    }

    fn one(&mut self) -> Result<Expr, String> {
        let word = self.value("an expression")?;
        Ok(match word.as_str() {
            "!" | "-not" => Expr::Not(Box::new(self.one()?)),
            "(" => {
                let inner = self.or()?;
                if self.next() != Some(")") {
                    return Err("( without )".to_owned());
                }
                inner
            }
            "-size" => match self.value("-size")?.as_str() {
                "+0" => Expr::Not(Box::new(Expr::Empty)),
                other => return Err(format!("-size {other}")),
            },
            "-type" => Expr::Kind(match self.value("-type")?.as_str() {
                "f" => FileKind::File,
                "d" => FileKind::Directory,
                "l" => FileKind::Link,
                "c" | "b" => FileKind::Device,
                other => return Err(format!("-type {other}")),
            }),
            "-name" => Expr::Name(self.value("-name")?, false),
            "-iname" => Expr::Name(self.value("-iname")?, true),
            "-path" | "-wholename" => Expr::Path(self.value("-path")?),
            "-empty" => Expr::Empty,
            "-print" => {
                self.acts = true;
                Expr::Print
            }
            "-printf" => {
                self.acts = true;
                Expr::Printf(self.value("-printf")?)
            }
            "-prune" => Expr::Prune,
            "-maxdepth" => {
                self.most = self.value("-maxdepth")?.parse().map_err(|_| "-maxdepth".to_owned())?;
                Expr::And(Vec::new())
            }
            "-mindepth" => {
                self.least = self.value("-mindepth")?.parse().map_err(|_| "-mindepth".to_owned())?;
                Expr::And(Vec::new())
            }
            "-exec" => {
                self.acts = true;
                let mut argv = Vec::new();
                loop {
                    match self.value("-exec")? {
                        end if end == ";" => break Expr::Exec(argv),
                        end if end == "+" && argv.last().is_some_and(|last| last == "{}") => {
                            argv.pop();
                            self.batches.push(argv);
                            break Expr::ExecAll(self.batches.len() - 1);
                        }
                        word => argv.push(word),
                    }
                }
            }
            other => return Err(other.to_owned()),
        })
    }
}

struct Walk {
    expr: Expr,
    least: usize,
    most: usize,
    follow: bool,
    files: Vec<Vec<String>>,
    code: i32,
}

impl Walk {
    fn kind(&self, call: &Call<'_>, path: &str) -> Option<FileKind> {
        let own = link_meta(call.world, call.node, path).ok().map(|meta| meta.kind);
        // a link that leads nowhere is a link, even where links are followed
        if self.follow { meta(call.world, call.node, path).ok().map(|meta| meta.kind).or(own) } else { own }
    }

    /// `above` are the directories that one is in, to notice a loop of links.
    fn visit(&mut self, call: &mut Call<'_>, path: &str, depth: usize, above: &mut Vec<String>) {
        let Some(kind) = self.kind(call, path) else {
            call.warn(format!("find: '{path}': No such file or directory"));
            self.code = 1;
            return;
        };
        let end = resolve(call.world, call.node, path, self.follow);
        if kind == FileKind::Directory && above.contains(&end) {
            call.warn(format!(
                "find: File system loop detected; '{path}' is part of the same file system loop as '{end}'."
            ));
            self.code = 1;
            return;
        }
        let mut prune = false;
        if depth >= self.least {
            let expr = std::mem::replace(&mut self.expr, Expr::Print);
            self.holds(call, &expr, path, depth, kind, &mut prune);
            self.expr = expr;
        }
        if kind != FileKind::Directory || depth >= self.most || prune {
            return;
        }
        above.push(end);
        let names = list(call.world, call.node, path).unwrap_or_default();
        let base = if path == "/" { "" } else { path };
        let slash = if base.ends_with('/') { "" } else { "/" };
        for name in names {
            self.visit(call, &format!("{base}{slash}{name}"), depth + 1, above);
        }
        above.pop();
    }

    fn holds(
        &mut self,
        call: &mut Call<'_>,
        expr: &Expr,
        path: &str,
        depth: usize,
        kind: FileKind,
        prune: &mut bool,
    ) -> bool {
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
        match expr {
            Expr::And(all) => all.iter().all(|one| self.holds(call, one, path, depth, kind, prune)),
            Expr::Or(all) => all.iter().any(|one| self.holds(call, one, path, depth, kind, prune)),
            Expr::Not(one) => !self.holds(call, one, path, depth, kind, prune),
            Expr::Kind(wanted) => *wanted == kind,
            Expr::Name(pattern, false) => fits(pattern.as_bytes(), name.as_bytes()),
            Expr::Name(pattern, true) => fits(pattern.to_lowercase().as_bytes(), name.to_lowercase().as_bytes()),
            Expr::Path(pattern) => fits(pattern.as_bytes(), path.as_bytes()),
            Expr::Empty => match kind {
                FileKind::Directory => list(call.world, call.node, path).is_ok_and(|names| names.is_empty()),
                FileKind::File => meta(call.world, call.node, path).is_ok_and(|meta| meta.size == 0),
                FileKind::Device | FileKind::Link => false,
            },
            Expr::Prune => {
                *prune = true;
                true
            }
            Expr::Print => {
                call.print(path);
                true
            }
            Expr::Printf(format) => match printed(call, format, (path, name), kind, depth, self.follow) {
                Ok(text) => {
                    call.stdout.extend(text.into_bytes());
                    true
                }
                Err(what) => {
                    self.code = call.unknown(&what);
                    true
                }
            },
            Expr::Exec(argv) => {
                let argv: Vec<String> = argv.iter().map(|word| word.replace("{}", path)).collect();
                exec(call, &argv, &[]) == 0
            }
            Expr::ExecAll(number) => {
                self.files[*number].push(path.to_owned());
                true
            }
        }
    }
}

/// What `-printf` prints.
fn printed(
    call: &Call<'_>,
    format: &str,
    (path, name): (&str, &str),
    kind: FileKind,
    depth: usize,
    follow: bool,
) -> Result<String, String> {
    let told = || {
        let own = link_meta(call.world, call.node, path);
        if follow { meta(call.world, call.node, path).or(own) } else { own }
    };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some('\\') => out.push('\\'),
                other => return Err(format!("\\{}", other.unwrap_or_default())),
            },
            '%' => match chars.next() {
                Some('%') => out.push('%'),
                Some('p') => out.push_str(path),
                Some('i') => out.push_str(&inode(path).to_string()),
                Some('f') => out.push_str(name),
                Some('h') => out.push_str(path.rsplit_once('/').map_or(".", |(up, _)| up)),
                Some('l') => out.push_str(&link_target(call.world, call.node, path).unwrap_or_default()),
                Some('d') => out.push_str(&depth.to_string()),
                Some('s') => {
                    let size = told().map(|meta| meta.size).unwrap_or_default();
                    out.push_str(&size.to_string());
                }
                Some('m') => {
                    let mode = told().map(|meta| meta.mode).unwrap_or_default();
                    out.push_str(&format!("{mode:o}"));
                }
                Some('U') => out.push_str(&owner(call, path).0.to_string()),
                Some('G') => out.push_str(&owner(call, path).1.to_string()),
                Some('y') => out.push(match kind {
                    FileKind::File => 'f',
                    FileKind::Directory => 'd',
                    FileKind::Link => 'l',
                    FileKind::Device => 'c',
                }),
                Some('T') if chars.next() == Some('@') => {
                    let at = told().map(|meta| meta.modified_ms).unwrap_or_default();
                    out.push_str(&format!("{}.0000000000", at / 1000));
                }
                other => return Err(format!("%{}", other.unwrap_or_default())),
            },
            c => out.push(c),
        }
    }
    Ok(out)
}

fn owner(call: &Call<'_>, path: &str) -> (u32, u32) {
    link_meta(call.world, call.node, path).map(|meta| (meta.uid, meta.gid)).unwrap_or_default()
}

/// Runs a program of this host as a child.
fn exec(call: &mut Call<'_>, argv: &[String], files: &[String]) -> i32 {
    let all: Vec<String> = argv.iter().chain(files).cloned().collect();
    let Some((name, args)) = all.split_first() else { return 1 };
    let Some(program) = super::program(name) else {
        call.warn(format!("find: '{name}': No such file or directory"));
        return 127;
    };
    let mut nothing = Vec::new();
    let (stdout, stderr) = (Vec::new(), Vec::new());
    let mut child = Call { world: call.world, node: call.node, name, args, stdin: &mut nothing, stdout, stderr };
    let code = program(&mut child);
    let (stdout, stderr) = (std::mem::take(&mut child.stdout), std::mem::take(&mut child.stderr));
    call.stdout.extend(stdout);
    call.stderr.extend(stderr);
    code
}

/// Whether a name fits a pattern of the shell: `*`, `?`, `[a-z]`, `[!a]`.
pub(super) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
        Some((b'?', rest)) => text.split_first().is_some_and(|(_, text)| fits(rest, text)),
        Some((b'\\', rest)) if !rest.is_empty() => text.first() == rest.first() && fits(&rest[1..], &text[1..]),
        Some((b'[', rest)) => {
            let Some((first, tail)) = text.split_first() else { return false };
            let negated = matches!(rest.first(), Some(b'!' | b'^'));
            let set = if negated { &rest[1..] } else { rest };
            let Some(end) = set.iter().skip(1).position(|byte| *byte == b']').map(|at| at + 1) else {
                return *first == b'[' && fits(rest, tail);
            };
            let (members, after) = (&set[..end], &set[end + 1..]);
            let mut within = false;
            let mut at = 0;
            while at < members.len() {
                if at + 2 < members.len() && members[at + 1] == b'-' {
                    within |= (members[at]..=members[at + 2]).contains(first);
                    at += 3;
                } else {
                    within |= members[at] == *first;
                    at += 1;
                }
            }
            within != negated && fits(after, tail)
        }
        Some((byte, rest)) => text.first() == Some(byte) && fits(rest, &text[1..]),
    }
}
