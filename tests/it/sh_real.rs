//! Quoting, batches and file uploads, read by a real `sh`.

use std::io::Write as _;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use infra::ports::{
    Batch, BatchError, BoxFuture, Command, OnFailure, Output, PutError, Shell, TransportError, put, quote, quote_all,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Runs commands on this machine, through `sh` exactly as sshd would.
pub struct LocalSh;

impl Shell for LocalSh {
    fn run<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move { Ok(sh(&["-c", &command.line()], &command.stdin)) })
    }
}

fn sh(args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Process::new("sh")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("every machine that this is built on has a POSIX sh");
    let mut pipe = child.stdin.take().unwrap();
    let input = stdin.to_vec();
    let feed = std::thread::spawn(move || {
        // the shell may end before it has read everything
        let _ = pipe.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    Output { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr: output.stderr }
}

pub fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn any_word_without_nul_survives_quoting() {
    let words = prop::collection::vec(
        prop_oneof![any::<String>(), "[ -~\n\t]{0,20}", r#"['"\\$`!~*?\[\]{}()<>|&;# =\n-]{0,12}"#,],
        1..200,
    );
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&words, |words| {
            let words: Vec<String> = words.into_iter().map(|w| w.replace('\0', "")).collect();
            let line = format!("printf '%s\\0' {}", words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "));
            let output = sh(&["-s"], line.as_bytes());
            prop_assert_eq!(output.code, 0);
            let seen: Vec<&[u8]> = output.stdout.strip_suffix(b"\0").unwrap().split(|b| *b == 0).collect();
            let sent: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            prop_assert_eq!(seen, sent);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_program_is_never_taken_for_an_assignment_or_a_keyword() {
    for name in ["a=b", "if", "done", "!", "{", "case", "while"] {
        let output = sh(&["-c", &quote_all(&[name.to_owned(), "x".to_owned()])], b"");
        assert_eq!(output.code, 127, "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Batches with what they must come back as; `shell` runs them. The lab's interpreter takes the same.
pub fn batch_cases(run: &dyn Fn(&Command) -> Output) {
    let limit = Duration::from_secs(20);
    let mut all = Batch::new(0x5eed, OnFailure::Continue);
    all.push(["printf", "%s", "no line break"]);
    all.push(["printf", "a\\nb\\n\\n"]);
    all.push(["false"]);
    all.push(["true"]);
    all.push(["cat"]);
    all.push(["cat", "/nonexistent/file"]);
    all.push(["no-such-program", "it's", "$HOME", "*"]);
    all.push(["printf", "%s\\n", "it's", "$HOME `id`", "", "a  b", "*", "\\"]);
    let seen = all.read(&run(&all.command(limit))).unwrap();
    let codes: Vec<i32> = seen.iter().map(|o| o.code).collect();
    assert_eq!(codes, [0, 0, 1, 0, 0, 1, 127, 0]);
    assert_eq!(seen[0].stdout, b"no line break");
    assert_eq!(seen[1].stdout, b"a\nb\n\n");
    assert_eq!(seen[4].stdout, b"", "a command in a batch has no input");
    assert_eq!(seen[5].stderr, b"cat: /nonexistent/file: No such file or directory\n");
    assert!(String::from_utf8_lossy(&seen[6].stderr).contains("no-such-program: not found"));
    assert_eq!(seen[7].stdout, b"it's\n$HOME `id`\n\na  b\n*\n\\\n");
    assert!(seen.iter().enumerate().all(|(i, o)| o.stderr.is_empty() || i == 5 || i == 6));

    let mut stop = Batch::new(7, OnFailure::Stop);
    stop.push(["true"]);
    stop.push(["test", "a", "=", "b"]);
    stop.push(["printf", "never"]);
    let seen = stop.read(&run(&stop.command(limit))).unwrap();
    assert_eq!(seen.iter().map(|o| o.code).collect::<Vec<_>>(), [0, 1]);

    let mut empty = Batch::new(8, OnFailure::Continue);
    assert_eq!(empty.read(&run(&empty.command(limit))).unwrap(), []);

    // a command that prints a delimiter of this very batch is noticed, not believed
    empty.push(["printf", "\\n%032x 0 0\\n", "8"]);
    assert_eq!(empty.read(&run(&empty.command(limit))), Err(BatchError::Ambiguous));
}

#[test]
fn batches_come_back_in_parts() {
    batch_cases(&|command| blocking(LocalSh.run(command)).unwrap());
}

#[test]
fn a_batch_survives_binary_output_and_signals() {
    let mut batch = Batch::new(9, OnFailure::Continue);
    batch.push(["head", "-c", "100000", "/dev/urandom"]);
    batch.push(["sh", "-c", "kill -TERM $$"]);
    batch.push(["printf", "after"]);
    let seen = batch.read(&blocking(LocalSh.run(&batch.command(Duration::from_secs(20)))).unwrap()).unwrap();
    assert_eq!(seen[0].stdout.len(), 100_000);
    assert_eq!(seen[1].code, 143);
    assert_eq!(seen[2].stdout, b"after");
}

#[test]
fn put_replaces_a_file_with_its_bits_and_leaves_nothing_behind() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a file's name");
    let text = path.to_str().unwrap();
    std::fs::write(&path, "old").unwrap();
    let content: Vec<u8> = (0..300_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    blocking(put(&LocalSh, text, &content, 0o640)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn put_into_nowhere_says_which_program_failed() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{}/missing/file", dir.path().display());
    let Err(PutError::Failed { program, code: 1, message, .. }) = blocking(put(&LocalSh, &text, b"x", 0o644)) else {
        panic!()
    };
    assert_eq!(program, "install");
    assert!(message.contains("No such file or directory"), "{message}");
    assert!(matches!(blocking(put(&LocalSh, "relative", b"", 0o644)), Err(PutError::Path(_))));
    assert!(matches!(blocking(put(&LocalSh, "/dir/", b"", 0o644)), Err(PutError::Path(_))));
}
