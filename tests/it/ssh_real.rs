//! The SSH door against a real OpenSSH server on loopback.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use infra::adapters::{Ssh, SshSettings, SshTarget};
use infra::ports::{Command, Output, Shell, TransportError, put};

/// One sshd with its own keys, and whoever may log in.
struct Server {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(dir: &Path, name: &str, kind: &str, passphrase: &str) {
    let status = Process::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"])
        .arg(dir.join(name))
        .status()
        .unwrap();
    assert!(status.success());
}

impl Server {
    /// Starts one, or says why not.
    fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() || Process::new("ssh-keygen").arg("-?").output().is_err() {
            println!("not run: install openssh-server");
            return None;
        }
        // sshd as root insists on its privilege separation directory
        let _ = std::fs::create_dir_all("/run/sshd");
        let dir = tempfile::tempdir().unwrap();
        keygen(dir.path(), "host", "ed25519", "");
        keygen(dir.path(), "client", "ed25519", "");
        std::fs::copy(dir.path().join("client.pub"), dir.path().join("authorized")).unwrap();
        let (port, child) = Self::spawn(dir.path(), None);
        Some(Self { dir, port, child })
    }

    fn spawn(dir: &Path, port: Option<u16>) -> (u16, Child) {
        let port = port.unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let d = dir.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host\nAuthorizedKeysFile {d}/authorized\nPidFile none\n\
             UsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        );
        std::fs::write(dir.join("config"), config).unwrap();
        let child = Process::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(dir.join("config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd did not start to listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        (port, child)
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().join(name)).unwrap()
    }

    fn public(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap().trim().to_owned()
    }

    fn target(&self) -> SshTarget {
        let user = String::from_utf8(Process::new("id").arg("-un").output().unwrap().stdout).unwrap();
        SshTarget {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            user: user.trim().to_owned(),
            host_key: Some(self.public("host.pub")),
            identities: vec![self.path("client")],
            jump: None,
        }
    }

    fn door(&self) -> Ssh {
        Ssh::new(self.target(), SshSettings::isolated())
    }
}

fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

async fn sh(door: &Ssh, script: &str) -> Result<Output, TransportError> {
    door.run(&Command::new(["sh", "-c", script])).await
}

fn refused(result: Result<Output, TransportError>) -> (String, String) {
    match result {
        Err(TransportError::Refused { why, hint, .. }) => (why, hint),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn exit_codes_signals_streams_and_input_come_through() {
    let Some(server) = Server::start() else { return };
    on_runtime(async {
        let door = server.door();
        let output = sh(&door, "echo out; echo err >&2; exit 7").await.unwrap();
        assert_eq!(output, Output { code: 7, stdout: b"out\n".into(), stderr: b"err\n".into() });
        assert_eq!(sh(&door, "kill -KILL $$").await.unwrap().code, 137);
        assert_eq!(sh(&door, "kill -TERM $$").await.unwrap().code, 143);
        assert_eq!(door.run(&Command::new(["no-such-program"])).await.unwrap().code, 127);
        let words = ["printf", "%s|", "it's", "$HOME", "a  b", "*", "é\n"];
        assert_eq!(door.run(&Command::new(words)).await.unwrap().stdout, "it's|$HOME|a  b|*|é\n|".as_bytes());
        let echoed = door.run(&Command::new(["cat"]).stdin("in\0put")).await.unwrap();
        assert_eq!(echoed.stdout, b"in\0put");
        // a program that does not read its input ends all the same
        let ignored = door.run(&Command::new(["true"]).stdin(vec![b'x'; 10 << 20])).await.unwrap();
        assert_eq!(ignored.code, 0);
    });
}

#[test]
fn big_streams_in_both_directions_do_not_block_one_another() {
    let Some(server) = Server::start() else { return };
    on_runtime(async {
        let door = server.door();
        let both = sh(&door, "head -c 20000000 /dev/zero & head -c 20000000 /dev/zero >&2; wait").await.unwrap();
        assert_eq!((both.stdout.len(), both.stderr.len()), (20_000_000, 20_000_000));
        let sent: Vec<u8> = (0..8_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let echoed = door.run(&Command::new(["cat"]).stdin(sent.clone())).await.unwrap();
        assert!(echoed.stdout == sent, "what came back is not what was sent");
    });
}

#[test]
fn an_upload_is_the_same_byte_for_byte() {
    let Some(server) = Server::start() else { return };
    on_runtime(async {
        let door = server.door();
        let path = server.path("uploaded");
        let content: Vec<u8> = (0..1_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        put(&door, path.as_str(), &content, 0o600).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == content);
    });
}

#[test]
fn many_commands_share_one_connection() {
    let Some(server) = Server::start() else { return };
    on_runtime(async {
        let door = Arc::new(server.door());
        let tasks: Vec<_> = (0..30)
            .map(|i| {
                let door = Arc::clone(&door);
                tokio::spawn(async move { sh(&door, &format!("echo {i} $PPID")).await.unwrap().stdout })
            })
            .collect();
        let mut parents = std::collections::BTreeSet::new();
        for (i, task) in tasks.into_iter().enumerate() {
            let line = String::from_utf8(task.await.unwrap()).unwrap();
            let (number, parent) = line.trim().split_once(' ').unwrap();
            assert_eq!(number, i.to_string());
            parents.insert(parent.to_owned());
        }
        assert_eq!(parents.len(), 1, "one sshd process served them all");
    });
}

#[test]
fn a_wrong_host_key_is_refused_and_both_are_shown() {
    let Some(server) = Server::start() else { return };
    keygen(server.dir.path(), "other", "ed25519", "");
    let target = SshTarget { host_key: Some(server.public("other.pub")), ..server.target() };
    let door = Ssh::new(target, SshSettings::isolated());
    let (why, hint) = refused(on_runtime(sh(&door, "true")));
    let key = |name: &str| server.public(name).split_whitespace().nth(1).unwrap().to_owned();
    assert!(why.contains(&key("host.pub")) && why.contains(&key("other.pub")), "{why}");
    assert!(hint.contains(&format!("host_key: \"ssh-ed25519 {}\"", key("host.pub"))), "{hint}");
}

#[test]
fn a_host_key_of_a_kind_that_the_host_does_not_have_is_refused() {
    let Some(server) = Server::start() else { return };
    keygen(server.dir.path(), "other", "ecdsa", "");
    let target = SshTarget { host_key: Some(server.public("other.pub")), ..server.target() };
    let (why, _) = refused(on_runtime(sh(&Ssh::new(target, SshSettings::isolated()), "true")));
    assert!(why.contains("no common"), "{why}");
    let target = SshTarget { host_key: Some("not a key".to_owned()), ..server.target() };
    let (why, _) = refused(on_runtime(sh(&Ssh::new(target, SshSettings::isolated()), "true")));
    assert!(why.contains("is not an SSH public key"), "{why}");
}

#[test]
fn known_hosts_decide_when_the_inventory_says_nothing() {
    let Some(server) = Server::start() else { return };
    let target = SshTarget { host_key: None, ..server.target() };
    let file = server.path("known_hosts").into_std_path_buf();
    let settings = SshSettings { known_hosts: Some(file.clone()), ..SshSettings::isolated() };
    let ask = || on_runtime(sh(&Ssh::new(target.clone(), settings.clone()), "true"));

    let (why, hint) = refused(ask());
    assert!(why.contains("the host is unknown; it presents ssh-ed25519 AAAA"), "{why}");
    assert!(hint.contains("host_key:"), "{hint}");

    std::fs::write(&file, format!("[127.0.0.1]:{} {}\n", server.port, server.public("host.pub"))).unwrap();
    assert_eq!(ask().unwrap().code, 0);

    let hashed = Process::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output().unwrap();
    assert!(hashed.status.success());
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("|1|"));
    assert_eq!(ask().unwrap().code, 0);

    keygen(server.dir.path(), "other", "ed25519", "");
    std::fs::write(&file, format!("[127.0.0.1]:{} {}\n", server.port, server.public("other.pub"))).unwrap();
    let (why, _) = refused(ask());
    assert!(why.contains("not the one in the known hosts file"), "{why}");

    std::fs::write(&file, format!("@revoked * {}\n", server.public("host.pub"))).unwrap();
    let (why, _) = refused(ask());
    assert!(why.contains("revokes"), "{why}");
}

#[test]
fn keys_that_do_not_fit_are_named() {
    let Some(server) = Server::start() else { return };
    keygen(server.dir.path(), "stranger", "ed25519", "");
    keygen(server.dir.path(), "locked", "ed25519", "a passphrase");
    let with = |names: &[&str]| {
        let identities = names.iter().map(|name| server.path(name)).collect();
        let door = Ssh::new(SshTarget { identities, ..server.target() }, SshSettings::isolated());
        on_runtime(sh(&door, "true"))
    };
    let (why, hint) = refused(with(&["stranger"]));
    assert!(why.contains("tried") && why.contains("stranger") && hint.contains("ssh-copy-id"), "{why} {hint}");
    let (why, hint) = refused(with(&["locked", "missing"]));
    assert!(why.contains("locked (encrypted)") && why.contains("missing (No such file"), "{why}");
    assert!(hint.contains("ssh-add"), "{hint}");
    assert_eq!(with(&["stranger", "client"]).unwrap().code, 0);
}

#[test]
fn rsa_and_ecdsa_identities_work() {
    let Some(server) = Server::start() else { return };
    let mut authorized = server.public("client.pub");
    for kind in ["rsa", "ecdsa"] {
        keygen(server.dir.path(), kind, kind, "");
        authorized = format!("{authorized}\n{}", server.public(&format!("{kind}.pub")));
    }
    std::fs::write(server.path("authorized"), authorized + "\n").unwrap();
    for kind in ["rsa", "ecdsa"] {
        let door =
            Ssh::new(SshTarget { identities: vec![server.path(kind)], ..server.target() }, SshSettings::isolated());
        assert_eq!(on_runtime(sh(&door, "true")).unwrap().code, 0, "{kind}");
    }
}

#[test]
fn an_agent_lets_us_in_with_an_encrypted_key() {
    let Some(server) = Server::start() else { return };
    let socket = server.path("agent");
    let mut agent =
        Process::new("ssh-agent").args(["-D", "-a", socket.as_str()]).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() {
        assert!(Instant::now() < deadline, "ssh-agent did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    // the key goes in, its file is then encrypted: only the agent can use it
    for name in ["unrelated1", "unrelated2", "unrelated3", "unrelated4", "unrelated5", "unrelated6"] {
        keygen(server.dir.path(), name, "ed25519", "");
    }
    for name in ["unrelated1", "unrelated2", "unrelated3", "unrelated4", "unrelated5", "unrelated6", "client"] {
        let added = Process::new("ssh-add").arg("-q").arg(server.path(name)).env("SSH_AUTH_SOCK", &socket).status();
        assert!(added.unwrap().success());
    }
    let locked = Process::new("ssh-keygen")
        .args(["-q", "-p", "-N", "a passphrase", "-f"])
        .arg(server.path("client"))
        .stdout(Stdio::null())
        .status();
    assert!(locked.unwrap().success());
    let settings = SshSettings { agent: Some(socket.into_std_path_buf()), ..SshSettings::isolated() };
    let result = on_runtime(sh(&Ssh::new(server.target(), settings), "true"));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(result.unwrap().code, 0);
}

#[test]
fn a_jump_reaches_a_second_machine_over_one_connection() {
    let (Some(near), Some(far)) = (Server::start(), Server::start()) else { return };
    let target = SshTarget { jump: Some(Box::new(near.target())), ..far.target() };
    on_runtime(async {
        let door = Ssh::new(target.clone(), SshSettings::isolated());
        assert_eq!(sh(&door, "echo far").await.unwrap().stdout, b"far\n");
        let shared = Arc::new(near.door());
        assert_eq!(sh(&shared, "echo near").await.unwrap().stdout, b"near\n");
        let through = Ssh::through(Arc::clone(&shared), target.clone(), SshSettings::isolated());
        assert_eq!(sh(&through, "echo far").await.unwrap().stdout, b"far\n");
        let nowhere = SshTarget { port: 1, ..target };
        let Err(TransportError::NotSent { why, .. }) =
            sh(&Ssh::through(shared, nowhere, SshSettings::isolated()), "true").await
        else {
            panic!()
        };
        assert!(why.contains("cannot be reached through"), "{why}");
    });
}

#[test]
fn a_dropped_connection_is_uncertain_and_the_next_command_reconnects() {
    let Some(mut server) = Server::start() else { return };
    on_runtime(async {
        let door = server.door();
        assert_eq!(sh(&door, "true").await.unwrap().code, 0);
        // the parent of the command is the sshd process of this very connection
        let Err(TransportError::Uncertain { .. }) = sh(&door, "kill -9 $PPID; sleep 5").await else { panic!() };
        assert_eq!(sh(&door, "echo again").await.unwrap().stdout, b"again\n");

        server.child.kill().unwrap();
        server.child.wait().unwrap();
        // the listener is gone; its connections live in processes of their own
        assert_eq!(sh(&door, "true").await.unwrap().code, 0);
        let _ = sh(&door, "kill -9 $PPID").await;
        let Err(TransportError::NotSent { .. }) = sh(&door, "true").await else { panic!() };
        server.child = Server::spawn(server.dir.path(), Some(server.port)).1;
        assert_eq!(sh(&door, "true").await.unwrap().code, 0);
    });
}

#[test]
fn a_command_that_takes_too_long_is_uncertain_and_the_connection_survives() {
    let Some(server) = Server::start() else { return };
    on_runtime(async {
        let door = server.door();
        let slow = Command::new(["sleep", "30"]).limit(Duration::from_millis(300));
        let Err(TransportError::Uncertain { why, .. }) = door.run(&slow).await else { panic!() };
        assert!(why.contains("`sleep` did not end within 0.3 s"), "{why}");
        assert_eq!(sh(&door, "true").await.unwrap().code, 0);
    });
}

#[test]
fn a_port_where_nobody_answers_as_ssh_is_not_sent_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = SshTarget {
        host: "127.0.0.1".to_owned(),
        port: silent.local_addr().unwrap().port(),
        user: "root".to_owned(),
        host_key: None,
        identities: Vec::new(),
        jump: None,
    };
    let settings = SshSettings { connect_limit: Duration::from_millis(300), ..SshSettings::isolated() };
    let Err(TransportError::NotSent { why, .. }) = on_runtime(sh(&Ssh::new(target, settings), "true")) else {
        panic!()
    };
    assert!(why.contains("within 0.3 s"), "{why}");
}
