//! Where a person works: the project's own inventory, a state directory, the program, and a served lab.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A copy of the inventory and an empty state directory, which go when this goes.
pub struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    /// Without any inventory.
    pub fn empty() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn new() -> Self {
        Self::with("inventories/vrooli")
    }

    /// With this inventory of the project's.
    pub fn with(inventory: &str) -> Self {
        let Self { directory } = Self::empty();
        for from in [inventory, "profiles"] {
            let to = directory.path().join(from);
            std::fs::create_dir_all(&to).expect("a directory");
            for entry in std::fs::read_dir(original(from)).expect("the project's own inventory") {
                let entry = entry.expect("an entry");
                std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
            }
        }
        Self { directory }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("infra"));
        command.env_clear().env("LANG", "C.UTF-8").env("COLUMNS", "120").env("USER", "ada");
        command.current_dir(self.directory.path()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs to the end; the exit code must be `code`. Gives stdout.
    pub fn run(&self, code: i32, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(args).output().expect("the program starts");
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(code), "infra {}\n{out}\n{err}", args.join(" "));
        out.into_owned()
    }

    /// Changes a file as it is here.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        replace(&self.path(file), &self.path(file), &[(from, to)]);
    }

    /// Changes a file as it is in the project, whatever was changed here before.
    pub fn rewrite(&self, file: &str, changes: &[(&str, &str)]) {
        replace(&original(file), &self.path(file), changes);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn original(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn replace(source: &Path, target: &Path, changes: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(source).expect("a file of the inventory");
    for (from, to) in changes {
        assert!(text.contains(from), "{} has no `{from}`", source.display());
        text = text.replacen(from, to, 1);
    }
    std::fs::write(target, text).expect("a file of the inventory");
}

/// `infra lab serve` in a process of its own, which goes when this goes.
pub struct Served {
    child: Child,
    pub ready: Value,
}

impl Served {
    pub fn start(desk: &Desk, args: &[&str]) -> Self {
        let mut command = desk.command(&[&["lab", "serve"], args].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut served = Self { child, ready: Value::Null };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        served.ready = serde_json::from_str(&line).expect("one line of JSON");
        served
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        send(&self.child, name);
    }

    /// The inventory file that leads there.
    pub fn inventory(&self) -> &str {
        self.ready["inventory"].as_str().expect("a path")
    }
}

/// Sends a process that was started here a signal, by name.
pub fn send(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
