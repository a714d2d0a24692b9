//! The lab's SSH door, opened with our own client and with OpenSSH's.

use std::collections::BTreeMap;
use std::process::{Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::Utf8PathBuf;
use infra::adapters::{Https, HttpsTarget, Ssh, SshSettings, SshTarget, Trust};
use infra::lab::site::{Loss, Site};
use infra::lab::ssh_keys::SshKeys;
use infra::lab::sshd::Sshd;
use infra::lab::world::{Guest, GuestKind, Node, Run, World};
use infra::lab::{Lab, LabHost, LabOptions};
use infra::ports::{Api, Batch, Command, Method, OnFailure, Request, Shell, TransportError, put};

use crate::lab::{Still, scenario};
use crate::sh_real::batch_cases;

fn world() -> World {
    let mut world = World { now_ms: 1000, ..World::default() };
    world.nodes.insert("pve1".into(), Node { online: true, ..Node::default() });
    let config = |ip: &str| {
        BTreeMap::from([
            ("hostname".to_owned(), "proj-x".to_owned()),
            ("net0".to_owned(), format!("name=eth0,bridge=vmbr0,ip={ip}/24")),
        ])
    };
    let mut up = Guest::new(GuestKind::Lxc, "pve1", config("10.0.0.123"));
    up.run = Some(Run { pid: 7, started_ms: 0, booted_ms: Some(500), paused: false });
    world.guests.insert(104, up);
    let mut booting = Guest::new(GuestKind::Lxc, "pve1", config("10.0.0.124"));
    booting.run = Some(Run { pid: 8, started_ms: 0, booted_ms: Some(5000), paused: false });
    world.guests.insert(105, booting);
    world
}

struct Door {
    keys: SshKeys,
    sshd: Sshd,
    _directory: tempfile::TempDir,
}

async fn door(site: Arc<dyn Site>) -> Door {
    let directory = tempfile::tempdir().unwrap();
    let keys = SshKeys::in_directory(directory.path()).unwrap();
    let sshd = Sshd::start(site, "pve1", &keys, (std::net::Ipv4Addr::LOCALHOST.into(), None)).await.unwrap();
    Door { keys, sshd, _directory: directory }
}

impl Door {
    fn target(&self) -> SshTarget {
        SshTarget {
            host: "127.0.0.1".to_owned(),
            port: self.sshd.address().port(),
            user: "root".to_owned(),
            host_key: Some(self.keys.host_key()),
            identities: vec![Utf8PathBuf::from_path_buf(self.keys.identity().to_path_buf()).unwrap()],
            jump: None,
        }
    }

    fn open(&self) -> Ssh {
        Ssh::new(self.target(), SshSettings::isolated())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_runs_batches_and_puts_files() {
    let site = Arc::new(Mutex::new(world()));
    let door = door(Arc::clone(&site) as Arc<dyn Site>).await;
    let ssh = door.open();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| batch_cases(&|command| runtime.block_on(ssh.run(command)).unwrap()));
    let content: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    put(&ssh, "/var/lib/vz/x.yaml", &content, 0o600).await.unwrap();
    assert!(site.lock().unwrap().nodes["pve1"].files["/var/lib/vz/x.yaml"].content == content);
    let back = ssh.run(&Command::new(["cat", "/var/lib/vz/x.yaml"])).await.unwrap();
    assert!(back.stdout == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_at_once_get_their_own_answers() {
    let door = door(Arc::new(Mutex::new(world()))).await;
    let ssh = Arc::new(door.open());
    let tasks: Vec<_> = (0..40)
        .map(|i| {
            let ssh = Arc::clone(&ssh);
            tokio::spawn(async move {
                let mut batch = Batch::new(i, OnFailure::Continue);
                batch.push(["mkdir", "/etc/pve/priv/lock/infra-hq"]);
                batch.push(["printf", "%s", &i.to_string()]);
                let output = ssh.run(&batch.command(Duration::from_secs(20))).await.unwrap();
                let outputs = batch.read(&output).unwrap();
                assert_eq!(outputs[1].stdout, i.to_string().into_bytes());
                outputs[0].code
            })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += i32::from(task.await.unwrap() == 0);
    }
    assert_eq!(winners, 1, "one of many makes the lock directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_other_users_stay_outside() {
    let door = door(Arc::new(Mutex::new(world()))).await;
    let directory = tempfile::tempdir().unwrap();
    let others = SshKeys::in_directory(directory.path()).unwrap();
    let identities = vec![Utf8PathBuf::from_path_buf(others.identity().to_path_buf()).unwrap()];
    for target in [
        SshTarget { identities, ..door.target() },
        SshTarget { user: "admin".to_owned(), ..door.target() },
        SshTarget { host_key: Some(others.host_key()), ..door.target() },
    ] {
        let result = Ssh::new(target, SshSettings::isolated()).run(&Command::new(["true"])).await;
        assert!(matches!(result, Err(TransportError::Refused { .. })), "{result:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_answers_through_its_host_once_it_is_up() {
    let site = Arc::new(Mutex::new(world()));
    let door = door(Arc::clone(&site) as Arc<dyn Site>).await;
    let host = Arc::new(door.open());
    let guest = |address: &str| {
        let target = SshTarget { host: address.to_owned(), port: 22, ..door.target() };
        Ssh::through(Arc::clone(&host), target, SshSettings::isolated())
    };
    let up = guest("10.0.0.123");
    assert_eq!(up.run(&Command::new(["hostname"])).await.unwrap().stdout, b"proj-x\n");
    assert_eq!(up.run(&Command::new(["zfs", "list"])).await.unwrap().code, 127, "a guest is no host");
    let booting = guest("10.0.0.124");
    let result = booting.run(&Command::new(["true"])).await;
    assert!(matches!(result, Err(TransportError::NotSent { .. })), "{result:?}");
    site.lock().unwrap().now_ms = 6000;
    assert_eq!(booting.run(&Command::new(["true"])).await.unwrap().code, 0);
}

/// Loses the connection once, at the first command that makes a directory.
struct Lossy {
    world: Mutex<World>,
    loss: Mutex<Option<Loss>>,
}

impl Site for Lossy {
    fn act(&self, work: &mut dyn FnMut(&mut World)) {
        self.world.act(work);
    }

    fn loss(&self, _node: &str, line: &str) -> Option<Loss> {
        if line.contains("mkdir") { self.loss.lock().unwrap().take() } else { None }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_before_or_after_a_command_is_uncertain_either_way() {
    for (loss, made) in [(Loss::Before, false), (Loss::After, true)] {
        let site = Arc::new(Lossy { world: Mutex::new(world()), loss: Mutex::new(Some(loss)) });
        let door = door(Arc::clone(&site) as Arc<dyn Site>).await;
        let ssh = door.open();
        let mut batch = Batch::new(1, OnFailure::Stop);
        batch.push(["mkdir", "/tmp/x"]);
        let result = ssh.run(&batch.command(Duration::from_secs(20))).await;
        assert!(matches!(result, Err(TransportError::Uncertain { .. })), "{loss:?}: {result:?}");
        let looked = ssh.run(&Command::new(["test", "-d", "/tmp/x"])).await.unwrap();
        assert_eq!(looked.code == 0, made, "{loss:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_survive_a_restart_and_are_ours_alone() {
    let directory = tempfile::tempdir().unwrap();
    let first = SshKeys::in_directory(directory.path()).unwrap();
    let second = SshKeys::in_directory(directory.path()).unwrap();
    assert_eq!(first.host_key(), second.host_key());
    assert!(first.host_key().starts_with("ssh-ed25519 AAAA"));
    use std::os::unix::fs::PermissionsExt as _;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_gets_in_too_with_and_without_input() {
    if Process::new("ssh").arg("-V").stderr(Stdio::null()).status().is_err() {
        println!("not run: install openssh-client");
        return;
    }
    let door = door(Arc::new(Mutex::new(world()))).await;
    let known = door.keys.identity().with_file_name("known");
    let port = door.sshd.address().port();
    std::fs::write(&known, format!("[127.0.0.1]:{port} {}\n", door.keys.host_key())).unwrap();
    let ssh = |command: &str, stdin: Stdio| {
        Process::new("ssh")
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-p", &port.to_string(), "-i"])
            .arg(door.keys.identity())
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .args(["root@127.0.0.1", command])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    tokio::task::block_in_place(|| {
        // input that never ends, as from a terminal: a command that reads none must not wait for it
        let mut open = ssh("hostname; exit 3", Stdio::piped());
        let _kept_open = open.stdin.take();
        let output = open.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b"pve1\n"[..]));
        let output = ssh("cat", Stdio::null()).wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    });
}

fn doors(host: &LabHost) -> (Https, Ssh) {
    let api = &host.api;
    let trust = Trust::Pinned(api.fingerprint);
    let https = Https::new(&HttpsTarget::new(&api.host, api.port, trust, &api.token_id, api.token.clone())).unwrap();
    let ssh = &host.ssh;
    let target = SshTarget {
        host: ssh.host.clone(),
        port: ssh.port,
        user: ssh.user.clone(),
        host_key: Some(ssh.host_key.clone()),
        identities: vec![Utf8PathBuf::from_path_buf(ssh.identity.clone()).unwrap()],
        jump: None,
    };
    (https, Ssh::new(target, SshSettings::isolated()))
}

#[tokio::test(flavor = "multi_thread")]
async fn both_doors_of_a_lab_lead_into_one_world_that_survives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let options = || LabOptions {
        scenario: scenario(),
        state: Some(state.path().to_owned()),
        clock: Still::at(1_800_000_000),
        listen: None,
    };
    let pools = Request { method: Method::Get, path: "/pools".to_owned(), params: Vec::new() };
    let lab = Lab::start(options()).await.unwrap();
    let host = lab.hosts.values().next().unwrap().clone();
    let (https, ssh) = doors(&host);
    let made = ssh.run(&Command::new(["pvesh", "create", "/pools", "--poolid", "by-ssh"])).await.unwrap();
    assert_eq!(made.code, 0, "{}", String::from_utf8_lossy(&made.stderr));
    let listed = https.send(&pools).await.unwrap();
    assert!(String::from_utf8(listed.body).unwrap().contains("by-ssh"));
    let storages = ssh.run(&Command::new(["cat", "/etc/pve/storage.cfg"])).await.unwrap();
    assert!(String::from_utf8(storages.stdout).unwrap().contains("zfspool: local-zfs"));
    lab.stop().await;
    let gone = ssh.run(&Command::new(["true"])).await;
    assert!(gone.is_err(), "{gone:?}");

    let lab = Lab::start(options()).await.unwrap();
    let again = lab.hosts.values().next().unwrap();
    assert_eq!((&again.ssh.host_key, &again.ssh.identity), (&host.ssh.host_key, &host.ssh.identity));
    let (https, ssh) = doors(again);
    assert!(String::from_utf8(https.send(&pools).await.unwrap().body).unwrap().contains("by-ssh"));
    let read = ssh.run(&Command::new(["pvesh", "get", "/pools", "--output-format", "json"])).await.unwrap();
    assert!(String::from_utf8(read.stdout).unwrap().contains("by-ssh"));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_lab_that_is_kept_nowhere_go_with_it() {
    let lab =
        Lab::start(LabOptions { scenario: scenario(), state: None, clock: Still::at(1_800_000_000), listen: None })
            .await
            .unwrap();
    let host = lab.hosts.values().next().unwrap().clone();
    assert_eq!(doors(&host).1.run(&Command::new(["true"])).await.unwrap().code, 0);
    assert!(host.ssh.identity.exists());
    lab.stop().await;
    assert!(!host.ssh.identity.exists());
}
