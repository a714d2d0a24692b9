//! The guest that the suite `engine_real` starts: a root file system of Debian 13 with systemd, a Docker engine and the
//! servers that configurations are rendered for. It is made once, below `target/`, and never written to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::process::{installed, is_root, succeeds};

const SUITE: &str = "engine_real (a real Docker engine and servers in system containers)";
/// What it takes here, and the Debian package of each.
const PROGRAMS: [(&str, &str); 3] = [("lxc-start", "lxc"), ("debootstrap", "debootstrap"), ("nsenter", "util-linux")];
const BASE: &str =
    "systemd,systemd-sysv,dbus,docker.io,docker-cli,docker-compose,iproute2,iptables,curl,ca-certificates";
const SERVERS: [&str; 9] = [
    "postgresql-17",
    "postgresql-17-pgvector",
    "redis-server",
    "valkey-server",
    "bind9",
    "bind9-dnsutils",
    "nats-server",
    "busybox-static",
    "bash-static",
];
/// The suite starts these itself, each with what was rendered for it.
const MASKED: [&str; 5] = ["postgresql", "redis-server", "valkey-server", "named", "nats-server"];
const RELEASE: &str = "trixie";
const ARCHIVE: &str = "http://deb.debian.org/debian";
/// Where Debian keeps the keys that its archive is signed with.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Names what is in it, beside it: whatever lies in it is the guest's.
const STAMP: &str = "guest.txt";

fn stamp() -> String {
    format!("{RELEASE}\n{BASE}\n{}\n", SERVERS.join(","))
}

/// Sees whether it is there, makes it if it may, and says what is missing.
pub fn prepare(may_install: bool) -> Result<Option<String>> {
    let home = crate::root().join("target/engine-real");
    let there = || fs::read_to_string(home.join(STAMP)).is_ok_and(|text| text == stamp());
    if there() {
        return Ok(None);
    }
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(name, _)| !installed(name)).map(|(_, package)| *package).collect();
    if !is_root() {
        return Ok(Some(format!("{SUITE}: root")));
    }
    if !missing.is_empty() {
        return Ok(Some(format!("{SUITE}: install {}", missing.join(", "))));
    }
    if may_install {
        println!("\nmaking the guest of {SUITE} (once, two minutes and 1 GiB)");
        let start = Instant::now();
        fs::create_dir_all(&home)?;
        if make(&home.join("guest"))? {
            fs::write(home.join(STAMP), stamp())?;
            println!("made in {:.0} s", start.elapsed().as_secs_f64());
        } else {
            println!("making it failed; going on without");
        }
    }
    Ok((!there()).then(|| format!("{SUITE}: `cargo xtask test --install` as root, which takes Debian's archive")))
}

fn make(guest: &Path) -> Result<bool> {
    if guest.exists() {
        fs::remove_dir_all(guest)?;
    }
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={BASE}")]);
    if Path::new(KEYS).is_file() {
        debootstrap.arg(format!("--keyring={KEYS}"));
    }
    if !succeeds(debootstrap.arg(RELEASE).arg(guest).arg(ARCHIVE))? {
        return Ok(false);
    }
    // Nothing starts while it is being installed.
    let policy = guest.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    succeeds(Command::new("chmod").arg("755").arg(&policy))?;
    let inside = |words: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(guest).args(["env", "DEBIAN_FRONTEND=noninteractive"]).args(words);
        succeeds(&mut command)
    };
    let install = [&["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends"], &SERVERS[..]].concat();
    if !(inside(&["apt-get", "update", "--quiet=2"])? && inside(&install)? && inside(&["apt-get", "clean"])?) {
        return Ok(false);
    }
    fs::remove_file(policy)?;
    for unit in MASKED {
        let link: PathBuf = guest.join(format!("etc/systemd/system/{unit}.service"));
        let _ = fs::remove_file(&link);
        symlink("/dev/null", &link).with_context(|| format!("{}", link.display()))?;
    }
    Ok(true)
}
