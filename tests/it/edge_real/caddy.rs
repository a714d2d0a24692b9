//! A Caddy of the test's own: started from a rendered file, known to serve once it says so, ended with the test.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use infra::blueprint::Blueprint;
use infra::render::{CaddyPlace, caddyfile};

/// A start takes a fraction of a second; the first one makes keys.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for one Caddy, and where things are in it.
pub struct Home {
    pub folder: tempfile::TempDir,
    pub place: CaddyPlace,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let place = CaddyPlace {
            admin: format!("unix/{}", path("admin.sock")),
            users: path("users"),
            storage: Some(path("storage")),
            bind: vec!["127.0.0.1".parse().unwrap()],
            http_port: free_port(),
            https_port: free_port(),
        };
        // Caddy imports no empty file.
        fs::write(&place.users, "nobody $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n").unwrap();
        Self { folder, place }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The rendered file, written.
    pub fn write(&self, name: &str, blueprint: &Blueprint) -> PathBuf {
        let text = caddyfile(&blueprint.name, blueprint.ingress.as_ref().unwrap(), &self.place).unwrap();
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs one of Caddy's commands on a file.
    pub fn command(&self, verb: &str, file: &Path) -> Output {
        self.caddy(verb, file).output().unwrap()
    }

    fn caddy(&self, verb: &str, file: &Path) -> Command {
        let mut command = Command::new("caddy");
        command.args([verb, "--adapter", "caddyfile", "--config"]).arg(file);
        // What it keeps beside its storage stays in the folder, too.
        command.env("HOME", self.folder.path()).env("XDG_CONFIG_HOME", self.path("config"));
        command.env("XDG_DATA_HOME", self.path("data")).stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it serves.
    pub fn run(self, blueprint: &Blueprint) -> Caddy {
        let file = self.write("Caddyfile", blueprint);
        let mut child = self.caddy("run", &file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (tell, log) = channel();
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let caddy = Caddy { child, log, home: self };
        caddy.wait("serving initial configuration");
        caddy
    }
}

/// A port that nothing listens on right now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running Caddy.
pub struct Caddy {
    child: Child,
    log: Receiver<String>,
    pub home: Home,
}

impl Caddy {
    /// Where plain sites are.
    pub fn http(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.home.place.http_port).into()
    }

    /// Where sites with certificates are.
    pub fn https(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.home.place.https_port).into()
    }

    /// Waits for a line of its log.
    pub fn wait(&self, what: &str) {
        let mut seen = String::new();
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("Caddy never says `{what}`:\n{seen}"));
            if line.contains(what) {
                return;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
