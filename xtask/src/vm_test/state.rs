//! The saved running state that every case starts from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::image::{BOOT, once};
use super::log::Log;
use super::machine::{DISKS, Machine, QEMU, Start, hardware};
use super::ssh::Keys;
use crate::process::succeeds;

/// A machine that was running when it was saved, and its disks as they were then.
pub struct State<'a> {
    directory: PathBuf,
    keys: &'a Keys,
}

impl<'a> State<'a> {
    /// The saved one; made by a boot if there is none, or if the disks or QEMU are others.
    pub fn saved(directory: &Path, disks: &Path, new_disks: bool, keys: &'a Keys, log: &Log) -> Result<Self> {
        let state = Self { directory: directory.join("state"), keys };
        let stamp = directory.join("state.stamp");
        if new_disks && stamp.exists() {
            fs::remove_file(&stamp)?;
        }
        // A state is read only by the QEMU and the hardware that wrote it.
        let version = Command::new(QEMU).arg("--version").output().context("QEMU does not start")?;
        let asked = format!("{}{}", String::from_utf8_lossy(&version.stdout), hardware(Path::new(""), 0).join(" "));
        once(&stamp, &asked, || {
            log.timed("booting the machine and saving its running state, once", || state.save(disks))
        })?;
        Ok(state)
    }

    /// The machine, running again, as it was saved; what is written on it is thrown away with it.
    pub fn restored(&self) -> Result<Machine<'a>> {
        let machine = Machine::start(&self.directory, self.keys, &Start::State(&self.memory()))?;
        machine.ssh().wait(None, BOOT)?;
        // Its clock stood still meanwhile.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        machine.ssh().run(&format!("date --set=@{now} >/dev/null"))?;
        Ok(machine)
    }

    fn memory(&self) -> PathBuf {
        self.directory.join("memory")
    }

    fn save(&self, disks: &Path) -> Result<()> {
        fs::create_dir_all(&self.directory)?;
        for (name, _) in DISKS {
            let file = format!("{name}.raw");
            let mut copy = Command::new("cp");
            copy.args(["--sparse=always", "--reflink=auto"]).arg(disks.join(&file)).arg(self.directory.join(&file));
            if !succeeds(&mut copy)? {
                bail!("{file} could not be copied");
            }
        }
        let machine = Machine::start(&self.directory, self.keys, &Start::Disk)?;
        machine.ssh().wait(None, BOOT)?;
        // Saved before it has come to rest, every case would pay for what is left to start.
        machine.ssh().run("systemctl is-system-running --wait || true; sync")?;
        machine.save(&self.memory())
    }
}
