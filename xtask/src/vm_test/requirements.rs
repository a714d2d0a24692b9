//! Debian programs that the suite needs, installed if it may, and the mirror that this machine's apt uses.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::machine::QEMU;
use crate::process::{installed, is_root, show, succeeds};

/// Programs with the Debian packages that hold them.
const PROGRAMS: [(&str, &str); 7] = [
    (QEMU, "qemu-system-x86"),
    ("debootstrap", "debootstrap"),
    ("sfdisk", "fdisk"),
    ("mkfs.ext4", "e2fsprogs"),
    ("ssh", "openssh-client"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Says what is missing, after having installed what may be.
pub fn prepare(directory: &Path, may_install: bool) -> Result<()> {
    let missing = || PROGRAMS.iter().filter(|(program, _)| !installed(program)).map(|(_, package)| *package);
    let mut packages: Vec<&str> = missing().collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    if may_install && installed("apt-get") && is_root() && apt(&[], &["update", "--quiet"])? {
        // What is there may be newer than its suite, and the suite's QEMU would take its place.
        if !install(&[], &packages)? {
            println!("trying with backports");
            install_from_backports(directory, &packages)?;
        }
    }
    let packages: Vec<&str> = missing().collect();
    match packages.as_slice() {
        [] => Ok(()),
        packages => {
            bail!("missing: `apt-get install {}` as root, or `cargo xtask vm-test --install`", packages.join(" "))
        }
    }
}

/// The mirror of Debian that apt is configured with here.
pub fn mirror() -> Result<String> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"])
        .output()
        .context("apt-get does not start: the machine is built from Debian packages")?;
    let mirrors: BTreeSet<&str> =
        std::str::from_utf8(&output.stdout)?.lines().filter(|line| !line.is_empty()).collect();
    match mirrors.first() {
        Some(mirror) => Ok((*mirror).to_owned()),
        None => bail!("apt knows no mirror of Debian here, from which the machine could be built"),
    }
}

fn install(options: &[String], packages: &[&str]) -> Result<bool> {
    let how = ["install", "--yes", "--no-remove", "--no-install-recommends"];
    apt(options, &[&how, packages].concat())
}

fn apt(options: &[String], arguments: &[&str]) -> Result<bool> {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(options).args(arguments);
    println!("{}", show(&command));
    succeeds(&mut command)
}

/// With backports as a source for this once: apt's own lists and sources stay as they are.
fn install_from_backports(directory: &Path, packages: &[&str]) -> Result<bool> {
    let release = fs::read_to_string("/etc/os-release")?;
    let Some(codename) = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")) else {
        return Ok(false);
    };
    let (sources, lists) = (directory.join("apt/sources.list.d"), directory.join("apt/lists"));
    if sources.exists() {
        fs::remove_dir_all(&sources)?;
    }
    fs::create_dir_all(&sources)?;
    fs::create_dir_all(lists.join("partial"))?;
    for entry in fs::read_dir("/etc/apt/sources.list.d")? {
        let entry = entry?;
        symlink(entry.path(), sources.join(entry.file_name()))?;
    }
    let suite = format!("{codename}-backports");
    fs::write(sources.join("vm-test-backports.list"), format!("deb {} {suite} main\n", mirror()?))?;
    let mut options = vec![
        "-o".to_owned(),
        format!("Dir::Etc::SourceParts={}", sources.display()),
        "-o".to_owned(),
        format!("Dir::State::lists={}", lists.display()),
    ];
    if !apt(&options, &["update", "--quiet"])? {
        return Ok(false);
    }
    options.push(format!("--target-release={suite}"));
    install(&options, packages)
}
