//! The saved running state that every case starts from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::image::{BOOT, Image, once};
use super::log::Log;
use super::machine::{DISKS, Hardware, Machine, QEMU, Start, arguments};
use super::ssh::Keys;
use crate::process::succeeds;

/// A machine that was running when it was saved, and its disks as they were then; and what it was made from.
pub struct State<'a> {
    directory: PathBuf,
    rootfs: PathBuf,
    disks: PathBuf,
    keys: &'a Keys,
}

impl<'a> State<'a> {
    /// The saved one; made by a boot if there is none, or if the disks or QEMU are others.
    pub fn saved(directory: &Path, image: Image, keys: &'a Keys, log: &Log) -> Result<Self> {
        let Image { rootfs, disks, new } = image;
        let state = Self { directory: directory.join("state"), rootfs, disks, keys };
        let stamp = directory.join("state.stamp");
        if new && stamp.exists() {
            fs::remove_file(&stamp)?;
        }
        // A state is read only by the QEMU and the hardware that wrote it.
        let version = Command::new(QEMU).arg("--version").output().context("QEMU does not start")?;
        let asked = format!(
            "{}{}",
            String::from_utf8_lossy(&version.stdout),
            arguments(Path::new(""), 0, Hardware::USUAL).join(" ")
        );
        once(&stamp, &asked, || log.timed("booting the machine and saving its running state, once", || state.save()))?;
        Ok(state)
    }

    /// The machine, running again, as it was saved; what is written on it is thrown away with it.
    pub fn restored(&self) -> Result<Machine<'a>> {
        let machine = Machine::start(&self.directory, self.keys, Hardware::USUAL, Start::State(&self.memory()))?;
        machine.ssh().wait(None, BOOT)?;
        // Its clock stood still meanwhile.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        machine.ssh().run(&format!("date --set=@{now} >/dev/null"))?;
        Ok(machine)
    }

    /// Another machine with the same disks, booted with parameters of the kernel; what is written on it is thrown away.
    pub fn booted(&self, hardware: Hardware, parameters: &str) -> Result<Machine<'a>> {
        let machine = Machine::start(&self.disks, self.keys, hardware, Start::Kernel(&self.rootfs, parameters))?;
        machine.ssh().wait(None, BOOT)?;
        Ok(machine)
    }

    fn memory(&self) -> PathBuf {
        self.directory.join("memory")
    }

    fn save(&self) -> Result<()> {
        fs::create_dir_all(&self.directory)?;
        for (name, _) in DISKS {
            let file = format!("{name}.raw");
            let mut copy = Command::new("cp");
            copy.args(["--sparse=always", "--reflink=auto"])
                .arg(self.disks.join(&file))
                .arg(self.directory.join(&file));
            if !succeeds(&mut copy)? {
                bail!("{file} could not be copied");
            }
        }
        let machine = Machine::start(&self.directory, self.keys, Hardware::USUAL, Start::Disk)?;
        machine.ssh().wait(None, BOOT)?;
        // Saved before it has come to rest, every case would pay for what is left to start.
        machine.ssh().run("systemctl is-system-running --wait || true; sync")?;
        machine.save(&self.memory())
    }
}
