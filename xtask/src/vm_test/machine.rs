//! The emulated machine: its hardware, starting it, and ending it with whoever started it.

use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::monitor::Monitor;
use super::ssh::{Keys, Ssh};

/// The program.
pub const QEMU: &str = "qemu-system-x86_64";

/// The card that the suite passes through: what it is and where the root port puts it. Its audio function is `.1`.
pub const GPU: (&str, &str) = ("1234:1111", "0000:01:00.0");
/// Another display device, which nobody names and which has to stay as it is.
pub const BYSTANDER: &str = "0000:02:00.0";

/// Disks of the machine, by name and size in MiB; the first is the system's and is not made but built.
pub const DISKS: [(&str, u64); 3] = [("root", 0), ("pool-a", 2048), ("pool-b", 2048)];

/// How long QEMU may take to open its monitor.
const MONITOR: Duration = Duration::from_secs(20);
/// How long a saved state may take to be read or written.
const STATE: Duration = Duration::from_secs(180);

/// What machines differ in. A saved state fits the usual one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// Whether the chipset has an IOMMU.
    pub iommu: bool,
    /// Whether the device that nobody names has the id of the one that is named.
    pub twins: bool,
}

impl Hardware {
    /// An IOMMU, and display devices of different ids.
    pub const USUAL: Self = Self { iommu: true, twins: false };
}

/// Where the machine begins.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// With the kernel of these files, as the disk has no boot loader yet; writes stay.
    Install(&'a Path),
    /// From its disk; writes stay.
    Disk,
    /// From a saved running state; writes are thrown away in the end.
    State(&'a Path),
    /// With the kernel of these files and these parameters; writes are thrown away in the end.
    Kernel(&'a Path, &'a str),
}

/// What the kernel needs whatever else it is told.
const PARAMETERS: &str = "root=LABEL=root ro console=ttyS0,115200 quiet";

/// A running QEMU. Dropping it ends it.
pub struct Machine<'a> {
    child: Child,
    monitor: Monitor,
    keys: &'a Keys,
    port: u16,
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Machine<'a> {
    /// Starts it with the disks of `directory`. What it prints on its console goes to `directory/console.log`.
    pub fn start(directory: &Path, keys: &'a Keys, hardware: Hardware, start: Start) -> Result<Self> {
        let port = free_port()?;
        let socket = directory.join("monitor");
        let mut command = outliving_nobody(QEMU);
        command.args(arguments(directory, port, hardware));
        command.args(["-display", "none", "-no-user-config", "-serial"]);
        command.arg(format!("file:{}", directory.join("console.log").display()));
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        if let Start::Install(files) | Start::Kernel(files, _) = start {
            command.arg("-kernel").arg(only(&files.join("boot"), "vmlinuz-")?);
            command.arg("-initrd").arg(only(&files.join("boot"), "initrd.img-")?);
        }
        match start {
            Start::Install(_) => {
                command.args(["-append", PARAMETERS]);
            }
            Start::Kernel(_, parameters) => {
                command.args(["-append", &format!("{PARAMETERS} {parameters}")]);
            }
            Start::State(memory) => {
                command.arg("-incoming").arg(format!("exec:cat {}", quoted(memory)));
            }
            Start::Disk => {}
        }
        if matches!(start, Start::State(_) | Start::Kernel(..)) {
            command.arg("-snapshot");
            // What is written meanwhile lies beside the disks, not on a /tmp that may be memory.
            command.env("TMPDIR", directory);
        }
        let errors = directory.join("qemu.log");
        let _ = std::fs::remove_file(&socket);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("{QEMU} does not start"))?;
        let mut child = Some(child);
        let monitor = Monitor::connect(&socket, MONITOR).map_err(|error| {
            if let Some(mut child) = child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
            let said = std::fs::read_to_string(&errors).unwrap_or_default();
            error.context(format!("{QEMU} did not come up: {}", said.trim()))
        })?;
        let child = child.context("QEMU was started")?;
        let mut machine = Self { child, monitor, keys, port };
        if matches!(start, Start::State(_)) {
            machine.resume()?;
        }
        Ok(machine)
    }

    /// Root's shell on it.
    pub fn ssh(&self) -> Ssh<'a> {
        Ssh::new(self.keys, self.port)
    }

    /// The port of loopback that leads to its SSH.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes its running state to a file and ends it. Its disks are then what that state has seen.
    pub fn save(mut self, memory: &Path) -> Result<()> {
        self.monitor.ask("stop", json!({}))?;
        self.monitor.ask("migrate-set-parameters", json!({ "max-bandwidth": 4_u64 << 30 }))?;
        self.monitor.ask("migrate", json!({ "uri": format!("exec:cat > {}", quoted(memory)) }))?;
        let deadline = std::time::Instant::now() + STATE;
        loop {
            let progress = self.monitor.ask("query-migrate", json!({}))?;
            match progress["status"].as_str() {
                Some("completed") => break,
                Some("failed" | "cancelled") => bail!("QEMU could not save the machine's state: {progress}"),
                _ if std::time::Instant::now() > deadline => bail!("saving the machine's state takes too long"),
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        self.monitor.ask("quit", json!({}))?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has powered itself off.
    pub fn ended(mut self, limit: Duration) -> Result<()> {
        let deadline = std::time::Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            if std::time::Instant::now() > deadline {
                bail!("the machine does not power off");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Once the state is read, lets it run: asking once is not enough while it is still being read.
    fn resume(&mut self) -> Result<()> {
        let deadline = std::time::Instant::now() + STATE;
        loop {
            match self.monitor.status()?.as_str() {
                "running" => return Ok(()),
                "inmigrate" => {}
                _ => {
                    self.monitor.ask("cont", json!({}))?;
                }
            }
            if std::time::Instant::now() > deadline {
                bail!("QEMU could not restore the machine's state");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The machine as arguments of QEMU. A saved state fits this and nothing else: [`super::state`] keeps it with the state.
pub fn arguments(directory: &Path, port: u16, hardware: Hardware) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("-accel", "tcg,thread=multi".into());
    add("-machine", "q35,kernel-irqchip=split".into());
    // An Intel machine, as its IOMMU is; what TCG offers on top would make it neither.
    add("-cpu", "Skylake-Client-v3,model-id=Intel(R) Core(TM) i7 stand-in,enforce=off,check=off".into());
    add("-smp", "2".into());
    add("-m", "4096".into());
    add("-nodefaults", String::new());
    add("-rtc", "base=utc".into());
    if hardware.iommu {
        // Before every other device, or those would not be behind it.
        add("-device", "intel-iommu,intremap=on".into());
    }
    add("-device", "cirrus-vga,addr=0x1".into());
    for (index, (name, _)) in DISKS.iter().enumerate() {
        let file = directory.join(format!("{name}.raw"));
        add("-drive", format!("file={},if=none,id={name},format=raw,cache=unsafe,discard=unmap", file.display()));
        let boot = if index == 0 { ",bootindex=1" } else { "" };
        add("-device", format!("virtio-blk-pci,drive={name},serial={name},addr={:#x}{boot}", 2 + index));
    }
    add("-netdev", format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"));
    add("-device", "virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,addr=0x5,romfile=".into());
    add("-device", "virtio-rng-pci,addr=0x6".into());
    for slot in [1, 2] {
        add("-device", format!("pcie-root-port,id=slot{slot},chassis={slot},slot={slot},addr={:#x}", 7 + slot));
    }
    add("-device", "bochs-display,bus=slot1,addr=0x0,multifunction=on".into());
    add("-device", "ich9-intel-hda,bus=slot1,addr=0x0.0x1".into());
    let bystander = if hardware.twins { "bochs-display" } else { "virtio-gpu-pci" };
    add("-device", format!("{bystander},bus=slot2,addr=0x0"));
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

/// A program that ends with us, however we end.
pub fn outliving_nobody(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A path for the shell that QEMU gives it to.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// The only file of a directory whose name begins so.
fn only(directory: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => bail!("there should be one {prefix}* in {}", directory.display()),
    }
}

/// A port of loopback that nobody listens on.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
