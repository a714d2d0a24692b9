//! Programs that keep secrets, run without a shell: arguments as they are, values over standard input and output alone.
//!
//! None of our own secrets is in the environment of a program, and none takes longer than [`LIMIT`]: one that waits for a
//! person who is not there must not keep a run waiting.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::error::Failure;

/// How long a program may take: somebody may have to touch a key or to unlock a vault.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at a running program.
const LOOK: Duration = Duration::from_millis(5);
/// More than this is no secret.
const MOST: u64 = 4 << 20;

/// A program with its arguments.
pub(super) struct Tool {
    program: &'static str,
    command: Command,
    limit: Duration,
}

/// What a program said.
pub(super) struct Said {
    program: &'static str,
    success: bool,
    stdout: SecretSlice<u8>,
    stderr: String,
}

/// How a failure of a program is understood.
pub(super) struct Known {
    /// What is in its message, in lower case.
    pub says: &'static str,
    /// What it means.
    pub why: &'static str,
    /// What the operator can do.
    pub hint: &'static str,
}

impl Tool {
    pub fn new(program: &'static str) -> Self {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("INFRA_SECRET_") {
                command.env_remove(name);
            }
        }
        // Messages are understood by their words.
        command.env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
        Self { program, command, limit: LIMIT }
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end; `input` is what it reads.
    pub fn run(mut self, input: Option<&SecretString>) -> Result<Said, Failure> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = self.program;
        let mut child = self.command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::new(format!("the program `{program}` is not installed"))
                .hint(format!("install `{program}`, or take it out of `secrets.from`")),
            _ => Failure::new(format!("`{program}` cannot be started: {error}")),
        })?;
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let writing = child.stdin.take().zip(input.cloned()).map(|(mut pipe, input)| {
            // A program that does not read to the end says itself what it did not like.
            thread::spawn(move || drop(pipe.write_all(input.expose_secret().as_bytes())))
        });
        let status = ended(&mut child, self.limit).map_err(|error| Failure::new(format!("`{program}`: {error}")))?;
        let Some(status) = status else {
            return Err(Failure::new(format!("`{program}` did not answer within {} s", self.limit.as_secs()))
                .hint(format!("see whether `{program}` waits for you: unlock it, or sign in, and try again")));
        };
        if let Some(writing) = writing {
            let _ = writing.join();
        }
        // A program's own children may hold the pipes for longer (gpg-agent); what it said is there by now.
        let wait = Duration::from_secs(5);
        let stdout = stdout.recv_timeout(wait).unwrap_or_default();
        let stderr = stderr.recv_timeout(wait).unwrap_or_default();
        Ok(Said {
            program,
            success: status.success(),
            stdout: stdout.into(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }
}

/// Reads a pipe to its end beside everything else.
fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let _ = pipe.take(MOST).read_to_end(&mut bytes);
        }
        let _ = send.send(bytes);
    });
    receive
}

/// Waits for a child; one that takes too long is ended.
fn ended(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

impl Said {
    /// What it wrote, if it ended well.
    pub fn answer(self, known: &[Known]) -> Result<SecretString, Failure> {
        if !self.success {
            return Err(self.failure(known));
        }
        match std::str::from_utf8(self.stdout.expose_secret()) {
            Ok(text) => Ok(text.to_owned().into()),
            Err(_) => Err(Failure::new(format!("what `{}` answered is no text", self.program))),
        }
    }

    /// Whether it failed with this in its message (in lower case).
    pub fn failed_with(&self, says: &str) -> bool {
        !self.success && self.stderr.to_lowercase().contains(says)
    }

    /// Why it failed: as it is understood, else in its own last words.
    fn failure(&self, known: &[Known]) -> Failure {
        let lower = self.stderr.to_lowercase();
        if let Some(known) = known.iter().find(|known| lower.contains(known.says)) {
            return Failure::new(known.why).hint(known.hint);
        }
        let plain = |line: &str| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        let last = self.stderr.lines().rev().map(|line| plain(line.trim())).find(|line| !line.is_empty());
        Failure::new(match last {
            Some(last) => format!("`{}` says: {last}", self.program),
            None => format!("`{}` failed and says nothing", self.program),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_its_input_and_its_answer_is_taken_whole() {
        let input = SecretString::from("k9-canary".repeat(20_000));
        let said = Tool::new("cat").run(Some(&input)).unwrap();
        assert_eq!(said.answer(&[]).unwrap().expose_secret(), input.expose_secret());
        let closed = Tool::new("true").run(Some(&input)).unwrap();
        assert_eq!(closed.answer(&[]).unwrap().expose_secret(), "", "it does not read, and that is fine");
    }

    #[test]
    fn failures_are_understood_or_told_in_the_programs_last_words() {
        let known = [Known { says: "no key", why: "there is no key", hint: "make one" }];
        let run = |script: &str| Tool::new("sh").args(["-c", script]).run(None).unwrap();
        let failure = run("echo 'E: No Key for you' >&2; exit 3").answer(&known).unwrap_err();
        assert_eq!((failure.why.as_str(), failure.hint.as_deref()), ("there is no key", Some("make one")));
        let failure = run("echo first >&2; printf 'last \\033[31mword\\n\\n' >&2; exit 1").answer(&known).unwrap_err();
        assert_eq!(failure.why, "`sh` says: last [31mword");
        assert!(run("echo no such thing >&2; exit 1").failed_with("no such thing"));
        assert!(!run("echo no such thing >&2").failed_with("no such thing"));
    }

    #[test]
    fn one_that_is_not_there_or_never_ends_is_said() {
        let missing = Tool::new("infra-no-such-program").run(None).err().unwrap();
        assert!(missing.why.contains("is not installed") && missing.hint.is_some());
        let mut slow = Tool::new("sleep").args(["60"]);
        slow.limit = Duration::from_millis(50);
        assert!(slow.run(None).err().unwrap().why.contains("did not answer"));
    }
}
