//! A network of the suite's own with a registry in it, and system containers of Debian with systemd and a Docker engine:
//! guests as Proxmox has them, made by the same LXC.
//!
//! Everything lives in namespaces whose first process reads from a pipe that only the suite holds: when the suite ends,
//! however it ends, all of it does. Nothing of the machine is written to but a folder below `target/`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::registry::Registry;

/// Where the network's own end is; the registry listens there, too.
const GATEWAY: &str = "10.0.0.1";
pub const REGISTRY: &str = "10.0.0.1:5000";
/// A start takes two seconds on two idle cores.
const PATIENCE: Duration = Duration::from_secs(90);

static GROUND: LazyLock<Result<Ground, String>> = LazyLock::new(Ground::build);

/// What guests stand on, if they can be had here; if not, the reason is said.
pub fn ground() -> Option<&'static Ground> {
    match &*GROUND {
        Ok(ground) => Some(ground),
        Err(why) => {
            println!("not run: {why}");
            None
        }
    }
}

pub struct Ground {
    folder: PathBuf,
    /// The first process of the namespaces, as the machine counts.
    first: u32,
    pub registry: Registry,
    guests: Mutex<BTreeMap<String, Guest>>,
    _keeps_it: Child,
}

/// A guest that runs.
#[derive(Clone)]
pub struct Guest {
    name: String,
    folder: PathBuf,
    first: u32,
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/engine-real")
}

fn possible() -> Result<(), String> {
    let there = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|dir| dir.join(program).is_file())
    };
    for (program, package) in [("lxc-start", "lxc"), ("nsenter", "util-linux"), ("ip", "iproute2"), ("rustc", "Rust")] {
        if !there(program) {
            return Err(format!("install {package}"));
        }
    }
    let id = Command::new("id").arg("-u").output().map_err(|error| error.to_string())?;
    if id.stdout.trim_ascii() != b"0" {
        return Err("only root makes system containers".to_owned());
    }
    if !home().join("guest.txt").is_file() {
        return Err("`cargo xtask test --install` as root makes the guest, which takes Debian's archive".to_owned());
    }
    Ok(())
}

const OUTER: &str = r#"
trap '' INT TERM
unshare --fork --pid --kill-child --mount-proc --mount --net sh "$1/inner.sh" "$1"
find /sys/fs/cgroup -depth -type d -path "*$2*" -exec rmdir {} + 2>/dev/null
rm -rf "$1"
"#;
/// LXC looks for the bridge in `/sys`, which shows the network that it was mounted in.
const INNER: &str = r#"
set -e
mkdir "$1/cgroup"
mount --rbind /sys/fs/cgroup "$1/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$1/cgroup" /sys/fs/cgroup
ip link set lo up
ip link add br0 type bridge
ip addr add GATEWAY/24 dev br0
ip link set br0 up
"$1/stand-in" stand-in-registry "$1/registry" REGISTRY &
touch "$1/ready"
exec cat > /dev/null
"#;

impl Ground {
    fn build() -> Result<Self, String> {
        possible()?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(home()).map_err(|error| error.to_string())?;
        // Whoever ends the namespaces takes it away.
        let folder = folder.keep();
        let registry = Registry::make(&folder)?;
        fs::write(folder.join("inner.sh"), INNER.replace("GATEWAY", GATEWAY).replace("REGISTRY", REGISTRY)).unwrap();
        let mut outer = Command::new("setsid");
        outer.args(["sh", "-c", OUTER, "sh"]).arg(&folder).arg(tag());
        let log = fs::File::create(folder.join("log")).unwrap();
        outer.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = outer.spawn().map_err(|error| error.to_string())?;
        let start = Instant::now();
        while !folder.join("ready").exists() {
            if child.try_wait().unwrap().is_some() || start.elapsed() > Duration::from_secs(20) {
                let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(format!("no namespaces can be made here: {}", said.trim()));
            }
            sleep(Duration::from_millis(20));
        }
        let child_of = |pid: u32| -> Option<u32> {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        let first = child_of(child.id()).and_then(child_of).ok_or("nobody tells which process is the first one")?;
        Ok(Self { folder, first, registry, guests: Mutex::default(), _keeps_it: child })
    }

    /// The guest of that name, started if it does not run yet.
    ///
    /// # Panics
    /// If it does not start.
    pub fn guest(&self, name: &str, address: &str, gpu: Option<&str>) -> Guest {
        let mut guests = self.guests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let guest = guests.entry(name.to_owned()).or_insert_with(|| {
            let guest = Guest { name: format!("{}-{name}", tag()), folder: self.folder.clone(), first: self.first };
            guest.start(address, gpu);
            guest
        });
        guest.clone()
    }
}

/// Tells ours from what else runs on the machine.
fn tag() -> String {
    format!("infra-real-{}", std::process::id())
}

impl Guest {
    fn beside(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// A program in the namespaces, beside the guests.
    fn ground(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--net", "--mount", "--pid"]).stdin(Stdio::null());
        command
    }

    fn start(&self, address: &str, gpu: Option<&str>) {
        let own = self.beside();
        for name in ["root", "upper/etc/docker", "upper/usr/bin", "work", "docker", "dri"] {
            fs::create_dir_all(own.join(name)).unwrap();
        }
        let daemon = serde_json::json!({
            "registry-mirrors": [format!("http://{REGISTRY}")],
            "insecure-registries": ["ghcr.io", "quay.io", "gcr.io", "nvcr.io"],
            // Every other registry is reached through ours.
            "proxies": { "http-proxy": format!("http://{REGISTRY}"), "https-proxy": format!("http://{REGISTRY}"), "no-proxy": REGISTRY },
        });
        fs::write(own.join("upper/etc/docker/daemon.json"), daemon.to_string()).unwrap();
        if gpu == Some("nvidia") {
            // The engine takes GPUs to be there if it finds this at its start, and runs it before a container.
            let hook = own.join("upper/usr/bin/nvidia-container-runtime-hook");
            fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
            fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let own = own.display();
        let mut config = format!(
            "lxc.uts.name = guest\nlxc.rootfs.path = dir:{own}/root\nlxc.init.cmd = /sbin/init\n\
             lxc.environment = SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1\nlxc.mount.auto = proc:rw sys:rw cgroup:mixed\n\
             lxc.apparmor.profile = unconfined\nlxc.cap.drop =\nlxc.pty.max = 64\nlxc.cgroup.dir = {name}\n\
             lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\nlxc.net.0.name = eth0\n\
             lxc.net.0.ipv4.address = {address}/24\nlxc.net.0.ipv4.gateway = {GATEWAY}\n\
             lxc.mount.entry = {own}/docker var/lib/docker none bind,create=dir 0 0\n\
             lxc.mount.entry = /dev/kmsg dev/kmsg none bind,create=file 0 0\n",
            name = self.name
        );
        if gpu == Some("amd") {
            config.push_str(&format!(
                "lxc.mount.entry = /dev/null dev/kfd none bind,create=file 0 0\n\
                 lxc.mount.entry = {own}/dri dev/dri none bind,create=dir 0 0\n"
            ));
            let made = Command::new("mknod").arg(format!("{own}/dri/renderD128")).args(["c", "1", "3"]).status();
            assert!(made.is_ok_and(|status| status.success()));
        }
        fs::write(self.beside().join("config"), config).unwrap();
        let layers = format!("lowerdir={}/guest,upperdir={own}/upper,workdir={own}/work", home().display());
        let said = |output: Output, what: &str| {
            assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let mut mount = self.ground();
        mount.args(["mount", "-t", "overlay", "overlay", "-o", &layers]).arg(format!("{own}/root"));
        said(mount.output().unwrap(), "mount");
        let mut lxc = self.ground();
        lxc.args(["lxc-start", "--daemon", "--lxcpath"]).arg(&self.folder).args(["--name", &self.name]);
        lxc.args(["--logpriority", "ERROR", "--logfile"]).arg(format!("{own}/log"));
        said(lxc.output().unwrap(), "lxc-start");
        let start = Instant::now();
        while !self.run(["docker", "version"]).status.success() {
            assert!(
                start.elapsed() < PATIENCE,
                "the engine does not start: {}",
                self.text(["sh", "-c", "journalctl --no-pager --unit docker | tail -n 20"]).unwrap_or_else(|said| said)
            );
            sleep(Duration::from_millis(200));
        }
    }

    /// The command that runs `words` in the guest, as `pct exec` does.
    pub fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.ground();
        command.args(["lxc-attach", "--clear-env", "--lxcpath"]).arg(&self.folder).args(["--name", &self.name, "--"]);
        command.args(["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]).args(words);
        command
    }

    /// Runs it to its end.
    pub fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Output {
        self.command(words).output().unwrap()
    }

    /// What it prints, or all that it said where it failed.
    pub fn text<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
        let output = self.run(words);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr)))
    }

    /// Runs it with something to read.
    pub fn feed<'a>(&self, words: impl IntoIterator<Item = &'a str>, input: &[u8]) -> Output {
        let mut child =
            self.command(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }
}
