//! The machine's disk, built once: the files of a Debian host, then a disk that boots by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::log::Log;
use super::machine::{DISKS, Hardware, Machine, Start};
use super::requirements;
use super::ssh::Keys;
use crate::process::{is_root, succeeds};

/// The suite of Debian that Proxmox VE 9 is built on.
const SUITE: &str = "trixie";
const ROOTFS: &str = include_str!("rootfs.sh");
const DISK: &str = include_str!("disk.sh");

/// What the machine does at its first boot, when it is a real one: GRUB on its own disk, and a pool.
const FIRST_BOOT: &str = "
set -e
grub-install --target=i386-pc /dev/disk/by-id/virtio-root
update-grub
zpool create -m /tank tank mirror /dev/disk/by-id/virtio-pool-a /dev/disk/by-id/virtio-pool-b
";

/// How long a boot may take. 41–72 s were seen on two cores that had nothing else to do.
pub const BOOT: Duration = Duration::from_secs(400);

/// What is built.
pub struct Image {
    /// The files of the host, with its kernel.
    pub rootfs: PathBuf,
    /// The directory of its disks.
    pub disks: PathBuf,
    /// Whether the disks were made just now.
    pub new: bool,
}

/// The machine's disks, made if they are not there or the scripts that make them are others.
pub fn built(directory: &Path, keys: &Keys, log: &Log) -> Result<Image> {
    let rootfs = directory.join("rootfs");
    if once(&directory.join("rootfs.stamp"), &format!("{SUITE}\n{ROOTFS}"), || {
        let mirror = requirements::mirror()?;
        log.timed("building a Debian host, once; its ZFS module is compiled", || files(&rootfs, &mirror))
    })? {
        log.line(format!("its files: {}", rootfs.display()));
    }
    let disks = directory.join("disks");
    let asked = format!("{SUITE}\n{ROOTFS}\n{DISK}\n{FIRST_BOOT}\n{}", keys.host_key()?);
    let new = once(&directory.join("disks.stamp"), &asked, || {
        log.timed("making its disks", || make_disks(&rootfs, &disks, keys))?;
        log.timed("booting it for the first time", || first_boot(&rootfs, &disks, keys))
    })?;
    Ok(Image { rootfs, disks, new })
}

/// Does something unless the stamp says that just this was done; whether it did.
pub fn once(stamp: &Path, asked: &str, run: impl FnOnce() -> Result<()>) -> Result<bool> {
    if fs::read_to_string(stamp).is_ok_and(|done| done == asked) {
        return Ok(false);
    }
    if stamp.exists() {
        fs::remove_file(stamp)?;
    }
    run()?;
    fs::write(stamp, asked)?;
    Ok(true)
}

fn files(rootfs: &Path, mirror: &str) -> Result<()> {
    let log = rootfs.with_extension("log");
    script(ROOTFS, &[rootfs.as_os_str(), mirror.as_ref(), SUITE.as_ref()], &log)
}

fn make_disks(rootfs: &Path, disks: &Path, keys: &Keys) -> Result<()> {
    fs::create_dir_all(disks)?;
    for (name, mebibytes) in &DISKS[1..] {
        let path = disks.join(format!("{name}.raw"));
        // What another build left on it would be found as a pool.
        fs::File::create(path)?.set_len(mebibytes << 20)?;
    }
    let root = disks.join(format!("{}.raw", DISKS[0].0));
    let log = disks.join("disk.log");
    script(DISK, &[rootfs.as_os_str(), root.as_os_str(), keys.directory().as_os_str()], &log)
}

fn first_boot(rootfs: &Path, disks: &Path, keys: &Keys) -> Result<()> {
    let machine = Machine::start(disks, keys, Hardware::USUAL, Start::Install(rootfs))?;
    machine.ssh().wait(None, BOOT)?;
    machine.ssh().run(FIRST_BOOT)?;
    machine.ssh().run("sync; systemctl poweroff --no-block")?;
    machine.ended(BOOT)
}

/// Runs a script as root, mounting in a namespace of its own, behind everything else that wants the processors.
fn script(text: &str, arguments: &[&std::ffi::OsStr], log: &Path) -> Result<()> {
    if !is_root() {
        bail!("building the machine's disk takes root (debootstrap, chroot)");
    }
    let output = fs::File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
    let mut command = Command::new("nice");
    command.args(["-n", "15", "unshare", "--mount", "sh", "-c", text, "sh"]).args(arguments);
    command.stdin(std::process::Stdio::null()).stdout(output.try_clone()?).stderr(output);
    if !succeeds(&mut command)? {
        let said = fs::read_to_string(log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(8).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("it failed; the end of {}:\n{}", log.display(), last.join("\n"));
    }
    Ok(())
}
