//! Which process holds a lease, as far as this machine can tell.

use serde::{Deserialize, Serialize};

/// A process, told from every other one that ever had its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in ticks since boot.
    pub started: u64,
    /// Since which boot of which machine.
    pub boot: String,
    /// In which process namespace: containers share a kernel and its boot, but not their numbers.
    pub namespace: String,
}

impl ProcessId {
    /// This process; `None` where there is no `/proc`.
    #[must_use]
    pub fn this() -> Option<Self> {
        let pid = std::process::id();
        Some(Self {
            pid,
            started: started(pid)?,
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned(),
            namespace: std::fs::read_link("/proc/self/ns/pid").ok()?.to_str()?.to_owned(),
        })
    }

    /// Whether it is known to be gone. A process of another machine, boot or namespace never is: its
    /// lease has to expire.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let Some(this) = Self::this() else { return false };
        this.boot == self.boot && this.namespace == self.namespace && started(self.pid) != Some(self.started)
    }
}

/// When a living process started: field 22 of its `stat`. The program's name before it may hold anything.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    // a zombie does nothing any more
    if fields.next()? == "Z" { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_ended_one_is_gone() {
        let Some(this) = ProcessId::this() else {
            println!("not run: there is no /proc here");
            return;
        };
        assert!(!this.is_gone());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let child_id = ProcessId { pid: child.id(), started: started(child.id()).unwrap(), ..this.clone() };
        assert!(!child_id.is_gone());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(child_id.is_gone());
        assert!(
            ProcessId { started: this.started + 1, ..this.clone() }.is_gone(),
            "its number was given to another one"
        );
    }

    #[test]
    fn a_process_elsewhere_is_never_known_to_be_gone() {
        let Some(this) = ProcessId::this() else {
            println!("not run: there is no /proc here");
            return;
        };
        let dead = ProcessId { started: this.started + 1, ..this };
        assert!(!ProcessId { boot: "another".into(), ..dead.clone() }.is_gone());
        assert!(!ProcessId { namespace: "pid:[1]".into(), ..dead }.is_gone());
    }
}
