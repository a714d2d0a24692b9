//! Root's shell on the machine, by the system's own client, to look at what `infra` says and does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::show;

/// Keys by which the suite and the machine know one another.
pub struct Keys {
    directory: PathBuf,
}

impl Keys {
    /// Those in a directory, made if they are not there.
    pub fn made(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        for name in ["client", "host"] {
            let path = directory.join(name);
            if path.is_file() {
                continue;
            }
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C"]).arg(format!("vm-test {name}")).arg("-f").arg(&path);
            if !crate::process::succeeds(&mut keygen)? {
                bail!("no key could be made in {}", directory.display());
            }
        }
        let keys = Self { directory: directory.to_owned() };
        let known = format!("machine {}\n", keys.host_key()?);
        std::fs::write(keys.known_hosts(), known)?;
        Ok(keys)
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The private key that root lets in.
    pub fn identity(&self) -> PathBuf {
        self.directory.join("client")
    }

    /// The machine's own public key.
    pub fn host_key(&self) -> Result<String> {
        let path = self.directory.join("host.pub");
        let key = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(key.trim().to_owned())
    }

    fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }
}

/// Root's shell on the machine.
pub struct Ssh<'a> {
    keys: &'a Keys,
    port: u16,
}

impl<'a> Ssh<'a> {
    /// To a port of loopback.
    pub fn new(keys: &'a Keys, port: u16) -> Self {
        Self { keys, port }
    }

    /// Runs a script and gives what it printed; an exit code other than 0 is an error with both streams.
    pub fn run(&self, script: &str) -> Result<String> {
        let (code, stdout, stderr) = self.attempt(script)?;
        if code != Some(0) {
            bail!("on the machine, exit code {code:?} of:\n{script}\n{stdout}{stderr}");
        }
        Ok(stdout)
    }

    /// The id that the kernel gave to this boot.
    pub fn boot_id(&self) -> Result<String> {
        Ok(self.run("cat /proc/sys/kernel/random/boot_id")?.trim().to_owned())
    }

    /// Waits until someone answers, who is not of the boot that is over; gives the new boot's id.
    pub fn wait(&self, over: Option<&str>, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            match self.boot_id() {
                Ok(id) if over != Some(id.as_str()) => return Ok(id),
                Err(error) if Instant::now() > deadline => return Err(error.context("the machine did not come up")),
                Ok(_) if Instant::now() > deadline => bail!("the machine did not go down"),
                _ => std::thread::sleep(Duration::from_millis(300)),
            }
        }
    }

    /// The command line that leads there.
    pub fn by_hand(&self) -> String {
        show(&self.command())
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]);
        command.args(["-o", "HostKeyAlias=machine", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=20"]);
        command.args(["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o"]);
        command.arg(format!("UserKnownHostsFile={}", self.keys.known_hosts().display()));
        command.arg("-i").arg(self.keys.identity());
        command.args(["-p", &self.port.to_string(), "root@127.0.0.1"]);
        command
    }

    fn attempt(&self, script: &str) -> Result<(Option<i32>, String, String)> {
        let mut command = self.command();
        command.arg("LC_ALL=C sh -s");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("ssh does not start")?;
        if let Some(mut stdin) = child.stdin.take() {
            // A client that ended early says why on its own.
            let _ = stdin.write_all(script.as_bytes());
        }
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }
}
