//! Switching a configuration in a guest: the one way in which files of ours get there.
//!
//! The new files are put beside the old ones and looked at by the program they are for, then put in their places and
//! loaded by one command in the guest, which puts the old ones back if the new ones are not taken or nothing answers:
//! a connection that breaks in between decides nothing. Must not know what a file means.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::operations::{check, exec, output};
use crate::model::Content;
use crate::model::guest_look::GuestLook;
use crate::model::step::{Op, Undo};

/// A file that is switched.
pub struct Switched {
    /// Where it belongs.
    pub path: String,
    /// What it shall be.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// The group that may read it, where root's is not enough.
    pub group: Option<&'static str>,
    /// What stands for its content where the text differs each time that it is written, as that of a zone does by its
    /// serial: drift is told by it.
    pub known_as: Option<String>,
}

/// A configuration that is switched.
pub struct Switch {
    /// Its files, in the order in which they get to their places.
    pub files: Vec<Switched>,
    /// Directories that have to be there first.
    pub directories: Vec<&'static str>,
    /// Commands that look at the new files, beside the old ones.
    pub valid: Vec<Vec<String>>,
    /// Has what is in place loaded and looks whether it answers; for a shell.
    pub load: String,
    /// What it means if it was not taken.
    pub otherwise: String,
}

/// Where a file waits to be put in its place.
pub fn new_of(path: &str) -> String {
    format!("{path}.infra-new")
}

/// Where the one before is kept.
fn old_of(path: &str) -> String {
    format!("{path}.infra-old")
}

/// SHA-256 in lower-case hex.
pub fn sha256(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Switch {
    /// The operations, for a step inside the guest, and how it is taken back. `look` is what is there.
    pub fn operations(&self, look: &GuestLook) -> (Vec<Op>, Undo) {
        let mut ops: Vec<Op> = self.directories.iter().map(|path| exec(["mkdir", "-p", path])).collect();
        for file in &self.files {
            let new = new_of(&file.path);
            ops.push(Op::PutFile { path: new.clone(), content: file.content.clone(), mode: file.mode });
            ops.extend(file.group.map(|group| exec(["chown", &format!("root:{group}"), &new])));
        }
        ops.extend(self.valid.iter().map(|argv| exec(argv.clone())));
        let is_there = |file: &&Switched| look.files.contains_key(&file.path);
        ops.extend(self.files.iter().filter(is_there).map(|file| exec(["cp", "-p", &file.path, &old_of(&file.path)])));
        let back: Vec<String> = self
            .files
            .iter()
            .map(|file| match is_there(&file) {
                true => format!("cp -p {} {}", old_of(&file.path), file.path),
                false => format!("rm -f {}", file.path),
            })
            .collect();
        let put: Vec<String> =
            self.files.iter().map(|file| format!("cp -p {} {}", new_of(&file.path), file.path)).collect();
        let waiting: Vec<String> = self.files.iter().map(|file| new_of(&file.path)).collect();
        let (put, waiting, load) = (put.join(" && "), waiting.join(" "), &self.load);
        // With nothing before it there is nothing to load again.
        let reload = if self.files.iter().any(|file| is_there(&file)) { format!("{load}; ") } else { String::new() };
        let all_back = back.join("; ");
        let switch =
            format!("{put} && {load} && rm -f {waiting} && exit 0; {all_back}; {reload}rm -f {waiting}; exit 1");
        ops.push(exec(["sh", "-c", &switch]));
        let (paths, sums): (Vec<&str>, Vec<String>) = self
            .files
            .iter()
            .filter_map(|file| Some((file.path.as_str(), format!("{}  {}", sha256(file.content.text()?), file.path))))
            .unzip();
        let first = new_of(self.files.first().map_or("", |file| file.path.as_str()));
        let loaded = format!("test -e {first} || sha256sum {}", paths.join(" "));
        ops.push(check(output(["sh", "-c", &loaded], sums.join("\n")), &*self.otherwise));
        let undo = match reload.is_empty() {
            true => back.join(" && "),
            false => format!("{} && {load}", back.join(" && ")),
        };
        (ops, Undo::Ops { ops: vec![exec(["sh", "-c", &undo])] })
    }
}
