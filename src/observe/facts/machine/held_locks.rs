//! Locks on guests' files that a process holds right now.

use std::collections::BTreeMap;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::HeldLock;
use crate::ports::Output;

/// Asks for them: files by inode, locks by inode and process, processes by number.
pub const COMMANDS: &[&[&str]] = &[
    &["find", "/run/lock/", "-type", "f", "-printf", "%i %p\\n"],
    &["cat", "/proc/locks"],
    &["ps", "-eo", "pid=,etimes=,comm="],
];

/// Folders that guests' locks are in.
const FOLDERS: [&str; 2] = ["/run/lock/qemu-server/", "/run/lock/lxc/"];

/// Reads them.
///
/// # Errors
/// When files or locks could not be listed.
pub fn read(outputs: &[Output]) -> Result<Vec<HeldLock>, Invalid> {
    let [files, locks, processes] = outputs else { return Err(Invalid::new("not asked for")) };
    let files = text::good(files, "find")?;
    let by_inode: BTreeMap<u64, &str> = files
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, path)| FOLDERS.iter().any(|folder| path.starts_with(folder)))
        .filter_map(|(inode, path)| Some((inode.parse().ok()?, path)))
        .collect();
    // Who holds it is worth knowing, but that it is held counts without it.
    let processes = text::good(processes, "ps").unwrap_or_default();
    let by_pid: BTreeMap<u32, (u64, &str)> = processes.lines().filter_map(process).collect();
    let mut held = Vec::new();
    for line in text::good(locks, "cat")?.lines() {
        let Some((pid, inode)) = flock(line) else { continue };
        let Some(path) = by_inode.get(&inode) else { continue };
        let process = by_pid.get(&pid);
        held.push(HeldLock {
            path: (*path).to_owned(),
            vmid: number(path),
            pid,
            command: process.map(|(_, command)| (*command).to_owned()),
            running_s: process.map(|(seconds, _)| *seconds),
        });
    }
    Ok(held)
}

/// `1: FLOCK  ADVISORY  WRITE 1234 00:19:5678 0 EOF`; one that waits has `->` after its number.
fn flock(line: &str) -> Option<(u32, u64)> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    match parts[..] {
        [_, "FLOCK", _, "WRITE", pid, file, ..] => Some((pid.parse().ok()?, file.rsplit(':').next()?.parse().ok()?)),
        _ => None,
    }
}

fn process(line: &str) -> Option<(u32, (u64, &str))> {
    let (pid, rest) = line.trim_start().split_once(' ')?;
    let (seconds, command) = rest.trim_start().split_once(' ')?;
    Some((pid.parse().ok()?, (seconds.parse().ok()?, command.trim())))
}

/// The number in a lock's name: `lock-100.conf`, `pve-config-104.lock`, `.104`.
fn number(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const FILES: &str =
        "21 /run/lock/qemu-server/lock-100.conf\n22 /run/lock/lxc/pve-config-104.lock\n23 /run/lock/other\n";
    const PROCESSES: &str = "      1 90000 systemd\n   4711  1800 task UPID:hq:000\n";

    #[test]
    fn a_file_is_no_lock_and_one_that_is_held_names_its_holder() {
        let locks = "1: FLOCK  ADVISORY  WRITE 4711 00:19:22 0 EOF\n2: FLOCK  ADVISORY  WRITE 1 00:19:23 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 99 00:19:22 0 EOF\n3: POSIX  ADVISORY  WRITE 1 00:19:21 0 EOF\n";
        let held = read(&[output(0, FILES, ""), output(0, locks, ""), output(0, PROCESSES, "")]).unwrap();
        let [lock] = &held[..] else { panic!("{held:?}") };
        assert_eq!((lock.vmid, lock.pid, lock.running_s), (Some(104), 4711, Some(1800)));
        assert_eq!(lock.command.as_deref(), Some("task UPID:hq:000"));
        assert!(read(&[output(0, FILES, ""), output(0, "", ""), output(0, "", "")]).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_listed_is_no_empty_answer() {
        let denied = output(1, "", "cat: /proc/locks: Permission denied\n");
        assert!(read(&[output(0, FILES, ""), denied, output(0, "", "")]).is_err());
    }
}
