//! The program as a process: streams and exit codes.

use assert_cmd::Command;

/// The built program, in an empty directory and with nothing of the caller's environment.
struct Program {
    directory: tempfile::TempDir,
}

impl Program {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn run(&self, args: &[&str]) -> Answer {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("infra"));
        command.env_clear().env("LANG", "C.UTF-8").env("COLUMNS", "100").current_dir(self.directory.path()).args(args);
        let output = command.output().expect("the program starts");
        Answer {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            err: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }
}

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

#[test]
fn help_is_an_answer() {
    let answer = Program::new().run(&["--help"]);
    assert_eq!(answer.code, Some(0));
    assert!(answer.out.contains("Usage: infra [OPTIONS] <COMMAND>"), "{}", answer.out);
    assert!(answer.out.contains("Example: infra apply --lab"), "{}", answer.out);
    assert!(!answer.out.contains('\u{1b}'), "no colour into a pipe");
    assert_eq!(answer.err, "");
}

#[test]
fn version_is_one_line() {
    let answer = Program::new().run(&["--version"]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    assert_eq!(answer.out, format!("infra {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn version_needs_no_working_directory() {
    let program = Program::new();
    let gone = program.directory.path().join("gone");
    std::fs::create_dir(&gone).expect("a directory");
    let binary = assert_cmd::cargo::cargo_bin!("infra");
    let script = format!("cd '{}' && rmdir ../gone && exec '{}' --version", gone.display(), binary.display());
    let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.starts_with(b"infra "));
}

#[test]
fn wrong_usage_is_64_on_stderr() {
    let program = Program::new();
    for (args, said) in [
        (vec![], "Usage: infra"),
        (vec!["aply"], "unrecognized subcommand 'aply'"),
        (vec!["schema", "nothing"], "invalid value 'nothing'"),
        (vec!["schema", "plan", "--frobnicate"], "unexpected argument '--frobnicate'"),
    ] {
        let answer = program.run(&args);
        assert_eq!((answer.code, answer.out.as_str()), (Some(64), ""), "{args:?}");
        assert!(answer.err.contains(said), "{args:?}: {}", answer.err);
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    let program = Program::new();
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef infra"), ("fish", "complete -c infra")] {
        let answer = program.run(&["completions", shell]);
        assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
        assert!(answer.out.contains(sign), "{shell}");
    }
}

#[test]
fn schemas_are_json() {
    let program = Program::new();
    for (of, keys) in [("plan", ["format", "summary", "changes"]), ("inventory", ["schema", "hosts", "guests"])] {
        let answer = program.run(&["schema", of]);
        assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
        let schema: serde_json::Value = serde_json::from_str(&answer.out).expect("JSON");
        for key in keys {
            assert!(schema["properties"][key].is_object(), "{of}: {key}");
        }
    }
}
