//! Carries a script out, one list after the other.

use std::collections::BTreeMap;

use super::call::{Call, Program};
use super::edit;
use super::programs;
use super::syntax::{Part, Reader, Redirect, Simple, When, Word};
use super::tree;
use crate::lab::guests;
use crate::lab::world::World;
use crate::ports::Output;

/// Runs one command line on a node, as sshd hands it to root's login shell.
pub fn run_line(world: &mut World, node: &str, line: &str, stdin: &[u8]) -> Output {
    run(world, node, programs::program, Shell::Bash, line, stdin)
}

/// Runs one command line inside a guest, which has programs of its own.
pub fn run_in_guest(world: &mut World, vmid: u32, line: &str, stdin: &[u8]) -> Output {
    crate::lab::guest_units::settle(world, vmid);
    let name = world.guests.get(&vmid).map(|guest| guest.name(vmid)).unwrap_or_default();
    run(world, &name, guests::find, Shell::Bash, line, stdin)
}

/// Whether a command line waits for standard input. A real shell finds out by running it; the lab
/// runs a command only when its input is complete, and must not wait for one that nobody sends.
#[must_use]
pub fn reads_input(line: &str) -> bool {
    let mut reader = Reader::new(line);
    while let Ok(Some(list)) = reader.list() {
        for (_, simple) in list {
            let words: Vec<&str> = simple
                .words
                .iter()
                .map(|word| match &word[..] {
                    [Part::Text(text)] => text.as_str(),
                    _ => "",
                })
                .collect();
            let reads = wants_input(&words);
            if reads && !simple.redirects.contains(&Redirect::NoInput) {
                return true;
            }
        }
    }
    false
}

fn wants_input(words: &[&str]) -> bool {
    match words {
        ["cat" | "sh"] | ["dd" | "tee", ..] | ["sh", "-s"] | ["cat", "-"] => true,
        ["sh", "-c", inner] => reads_input(inner),
        // What is run in a container has the input of whoever runs it, in a VM only if it is passed on.
        ["pct", "exec", _, "--", inner @ ..] => wants_input(inner),
        ["qm", "guest", "exec", options @ ..] => options.windows(2).any(|pair| pair == ["--pass-stdin", "1"]),
        _ => false,
    }
}

type Find = fn(&str) -> Option<Program>;

fn run(world: &mut World, node: &str, find: Find, shell: Shell, script: &str, stdin: &[u8]) -> Output {
    let mut machine = Machine {
        world,
        node,
        find,
        shell,
        variables: BTreeMap::new(),
        status: 0,
        stdin: stdin.to_vec(),
        pipe: Vec::new(),
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    let code = machine.script(script);
    Output { code, stdout: machine.stdout, stderr: machine.stderr }
}

/// Which shell reads the line; they word their errors differently.
#[derive(Debug, Clone, Copy)]
enum Shell {
    /// Root's login shell.
    Bash,
    /// Debian's `sh`.
    Dash,
}

struct Machine<'a> {
    world: &'a mut World,
    node: &'a str,
    find: Find,
    shell: Shell,
    variables: BTreeMap<String, String>,
    status: i32,
    stdin: Vec<u8>,
    /// What is on its way to the next command of a pipeline.
    pipe: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Machine<'_> {
    fn script(&mut self, text: &str) -> i32 {
        let mut reader = Reader::new(text);
        loop {
            let line = reader.line();
            let list = match reader.list() {
                Ok(Some(list)) => list,
                Ok(None) => return self.status,
                Err(error) => {
                    self.complain(error.line, &error.message);
                    return 2;
                }
            };
            let mut ran = false;
            for (index, (when, simple)) in list.iter().enumerate() {
                ran = match when {
                    When::Always => true,
                    When::Success => self.status == 0,
                    When::Failure => self.status != 0,
                    When::Pipe => ran,
                };
                if !ran {
                    continue;
                }
                if *when == When::Pipe {
                    self.stdin = std::mem::take(&mut self.pipe);
                }
                let piped = list.get(index + 1).is_some_and(|(next, _)| *next == When::Pipe);
                if let Some(code) = self.simple(simple, line, piped) {
                    return code;
                }
            }
        }
    }

    /// Whether somebody removed a program from the host.
    fn is_removed(&self, name: &str) -> bool {
        let here = self.world.nodes.get(self.node);
        here.is_some_and(|node| node.around.removed_programs.iter().any(|removed| removed == name))
    }

    fn complain(&mut self, line: usize, message: &str) {
        let text = match self.shell {
            Shell::Bash => format!("bash: line {line}: {message}\n"),
            Shell::Dash => format!("sh: {line}: {message}\n"),
        };
        self.stderr.extend_from_slice(text.as_bytes());
    }

    fn expand(&self, word: &Word) -> String {
        word.iter().fold(String::new(), |mut text, part| {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Variable(name) if name == "?" => text.push_str(&self.status.to_string()),
                Part::Variable(name) => text.push_str(self.variables.get(name).map_or("", String::as_str)),
            }
            text
        })
    }

    /// Runs one command; gives an exit code back if the script ends here.
    fn simple(&mut self, simple: &Simple, line: usize, piped: bool) -> Option<i32> {
        let words: Vec<String> = simple.words.iter().map(|word| self.expand(word)).collect();
        let assignments: Vec<(String, String)> =
            simple.assignments.iter().map(|(name, word)| (name.clone(), self.expand(word))).collect();
        let Some((name, args)) = words.split_first() else {
            self.variables.extend(assignments);
            self.status = 0;
            return None;
        };
        match name.as_str() {
            "exit" => {
                return Some(args.first().and_then(|code| code.parse().ok()).unwrap_or(self.status));
            }
            "." => {
                let Ok(text) = tree::read(self.world, self.node, args.first().map_or("", String::as_str)) else {
                    self.complain(line, &format!(".: cannot open {}: No such file", args.join(" ")));
                    return Some(2);
                };
                let text = String::from_utf8_lossy(&text).into_owned();
                let settings = text.lines().filter_map(|line| line.split_once('='));
                let settings = settings.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
                self.variables.extend(settings);
                self.status = 0;
                return None;
            }
            "wait" if args.is_empty() => {
                self.status = 0;
                return None;
            }
            "export" => {
                for (name, value) in args.iter().filter_map(|arg| arg.split_once('=')) {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                self.status = 0;
                return None;
            }
            _ => {}
        }
        let removed = self.is_removed(name);
        let mut nothing = Vec::new();
        let input = if simple.redirects.contains(&Redirect::NoInput) { &mut nothing } else { &mut self.stdin };
        let (mut code, mut stdout, mut stderr) = if name == "sh" {
            nested(self.world, self.node, self.find, args, input)
        } else if let Some(program) = (self.find)(name).filter(|_| !removed) {
            let (stdout, stderr) = (Vec::new(), Vec::new());
            let mut call = Call { world: self.world, node: self.node, name, args, stdin: input, stdout, stderr };
            let code = program(&mut call);
            (code, call.stdout, call.stderr)
        } else {
            let message = match self.shell {
                Shell::Bash => format!("bash: line {line}: {name}: command not found\n"),
                Shell::Dash => format!("sh: {line}: {name}: not found\n"),
            };
            (127, Vec::new(), message.into_bytes())
        };
        // Errors go where the output goes by then: `>FILE 2>&1` is both into the file.
        let gone = |redirect: &Redirect| matches!(redirect, Redirect::Write(_) | Redirect::Append(_) | Redirect::NoOut);
        let mut redirects: Vec<&Redirect> = simple.redirects.iter().collect();
        if let (Some(to), Some(errors)) = (
            redirects.iter().position(|redirect| gone(redirect)),
            redirects.iter().position(|redirect| **redirect == Redirect::ErrToOut),
        ) && to < errors
        {
            redirects.swap(to, errors);
        }
        for redirect in redirects {
            match redirect {
                Redirect::NoInput => {}
                Redirect::OutToErr => stderr.append(&mut stdout),
                Redirect::ErrToOut => stdout.append(&mut stderr),
                Redirect::NoOut => stdout.clear(),
                Redirect::NoErr => stderr.clear(),
                Redirect::Write(path) | Redirect::Append(path) => {
                    let path = self.expand(path);
                    let mut content = match redirect {
                        Redirect::Append(_) => tree::read(self.world, self.node, &path).unwrap_or_default(),
                        _ => Vec::new(),
                    };
                    content.append(&mut stdout);
                    if let Err(error) = edit::write(self.world, self.node, &path, content, 0o644) {
                        self.complain(line, &format!("{path}: {error}"));
                        code = 1;
                    }
                }
            }
        }
        if piped {
            self.pipe = std::mem::take(&mut stdout);
        }
        self.stdout.append(&mut stdout);
        self.stderr.append(&mut stderr);
        self.status = code;
        None
    }
}

/// `sh -s` and `sh -c`. Commands of `sh -s` find no input: the script is all there is.
fn nested(world: &mut World, node: &str, find: Find, args: &[String], stdin: &mut Vec<u8>) -> (i32, Vec<u8>, Vec<u8>) {
    let (script, stdin) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["-s"] => (std::mem::take(stdin), Vec::new()),
        ["-c", line] => (line.as_bytes().to_vec(), std::mem::take(stdin)),
        _ => return (2, Vec::new(), b"sh: 0: Illegal option: the lab knows `-s` and `-c`\n".to_vec()),
    };
    let Ok(script) = String::from_utf8(script) else {
        return (2, Vec::new(), b"sh: 1: Syntax error: the lab reads UTF-8 only\n".to_vec());
    };
    let Output { code, stdout, stderr } = run(world, node, find, Shell::Dash, &script, &stdin);
    (code, stdout, stderr)
}
