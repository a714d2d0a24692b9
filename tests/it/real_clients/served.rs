//! A lab on loopback with what programs need to find it, and our own look at it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use infra::adapters::{Https, HttpsTarget, SystemClock, Trust};
use infra::lab::{Lab, LabHost, LabOptions, RunningLab, Scenario};
use infra::ports::{Api as _, Method, Request};
use secrecy::ExposeSecret as _;
use serde_json::Value;

/// Of root@pam.
pub const PASSWORD: &str = "a password of the lab";
/// Work takes a hundredth of its real time: long enough to be polled, and a refused login waits 30 ms.
const PACE: u32 = 1;
/// How long any program may take, all in all.
const LIMIT: Duration = Duration::from_secs(240);

/// A lab that runs while this lives.
pub struct Served {
    lab: RunningLab,
    venv: PathBuf,
    own: Https,
    /// Home of the programs, and where they leave their claims.
    pub home: tempfile::TempDir,
}

/// What a program left behind.
pub struct Ended {
    pub success: bool,
    pub output: String,
}

impl Served {
    pub async fn start(venv: &Path) -> Self {
        let mut scenario = Scenario { any_download: true, pace: PACE, ..Scenario::example() };
        scenario.sites[0].root_password = Some(PASSWORD.to_owned());
        let clock = Arc::new(SystemClock);
        let lab = Lab::start(LabOptions { scenario, state: None, clock, listen: None }).await.unwrap();
        let api = &lab.hosts["pve1"].api;
        let trust = Trust::Pinned(api.fingerprint);
        let own = Https::new(&HttpsTarget::new(&api.host, api.port, trust, &api.token_id, api.token.clone())).unwrap();
        Self { lab, venv: venv.to_owned(), own, home: tempfile::tempdir().unwrap() }
    }

    pub fn host(&self) -> &LabHost {
        &self.lab.hosts["pve1"]
    }

    /// A program of the environment, told where the lab is and nothing else.
    fn command(&self, program: &str) -> Command {
        let api = &self.host().api;
        let (user, token_name) = api.token_id.split_once('!').unwrap();
        let token = api.token.expose_secret();
        let port = api.port.to_string();
        let python = self.venv.join("bin/python");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.venv.join("bin").display());
        let late = (f64::from(PACE) * 0.03).to_string();
        let mut command = Command::new(self.venv.join("bin").join(program));
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home.path())
            .env("LANG", "C.UTF-8")
            .env("PYTHONWARNINGS", "ignore")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs([("LAB_HOST", api.host.as_str()), ("LAB_PORT", &port), ("LAB_NODE", &self.host().node)])
            .envs([("LAB_TOKEN_ID", api.token_id.as_str()), ("LAB_TOKEN", token), ("LAB_PASSWORD", PASSWORD)])
            .envs([("LAB_LATE", late.as_str())])
            .env("LAB_CLAIMS", self.home.path().join("claims.json"))
            .envs([("PROXMOX_HOST", api.host.as_str()), ("PROXMOX_PORT", &port), ("PROXMOX_USER", user)])
            .envs([("PROXMOX_TOKEN_ID", token_name), ("PROXMOX_TOKEN_SECRET", token)])
            .envs([("PROXMOX_VALIDATE_CERTS", "false"), ("ANSIBLE_LOCALHOST_WARNING", "false")])
            .env("ANSIBLE_HOME", self.home.path().join("ansible"))
            .env("ANSIBLE_PYTHON_INTERPRETER", python)
            .stdin(Stdio::null());
        command
    }

    /// Runs a program to its end; at the end of our patience it is ended.
    pub async fn run(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> Ended {
        let log = self.home.path().join("output");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = self.command(program);
        command.args(args).envs(env.iter().copied()).stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = command.spawn().unwrap();
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if since.elapsed() > LIMIT {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        let output = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
        assert!(status.is_some(), "{program} {args:?} does not end within {LIMIT:?}:\n{output}");
        Ended { success: status.is_some_and(|status| status.success()), output }
    }

    /// `data` as our own client reads it.
    pub async fn get(&self, path: &str) -> Value {
        let request = Request { method: Method::Get, path: path.to_owned(), params: Vec::new() };
        let response = self.own.send(&request).await.unwrap();
        assert_eq!(response.status, 200, "{path}: {}", response.reason);
        serde_json::from_slice::<Value>(&response.body).unwrap()["data"].take()
    }

    /// Sees that these keys have these values, whoever set them.
    pub async fn shows(&self, path: &str, has: &Value) {
        let seen = self.get(path).await;
        for (key, value) in has.as_object().unwrap() {
            assert_eq!(&seen[key], value, "`{key}` of {path}");
        }
    }

    /// Holds what a program claims against what we are shown; how many claims there were.
    pub async fn hold_claims(&self) -> usize {
        let text = std::fs::read_to_string(self.home.path().join("claims.json")).unwrap();
        let claims: Vec<Value> = serde_json::from_str(&text).unwrap();
        for claim in &claims {
            self.shows(claim["path"].as_str().unwrap(), &claim["has"]).await;
        }
        claims.len()
    }

    pub async fn stop(self) {
        self.lab.stop().await;
    }
}
