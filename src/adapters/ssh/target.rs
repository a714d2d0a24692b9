//! Where to connect to, and by which rules of this machine.

use std::path::PathBuf;
use std::time::Duration;

use camino::Utf8PathBuf;

/// One machine that speaks SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshTarget {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Who to be there.
    pub user: String,
    /// Its public host key, `ssh-ed25519 AAAA…`; without one it must be in the known hosts file.
    pub host_key: Option<String>,
    /// Private key files, tried in order after the agent's keys; empty means the usual ones in `~/.ssh`.
    pub identities: Vec<Utf8PathBuf>,
    /// The machine to go through, if it cannot be reached directly.
    pub jump: Option<Box<SshTarget>>,
}

impl SshTarget {
    /// `user@host:port`, as errors name it.
    #[must_use]
    pub fn peer(&self) -> String {
        let Self { user, host, port, .. } = self;
        if host.contains(':') { format!("{user}@[{host}]:{port}") } else { format!("{user}@{host}:{port}") }
    }
}

/// What holds for every connection from this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSettings {
    /// The known hosts file; one that does not exist knows nobody.
    pub known_hosts: Option<PathBuf>,
    /// The socket of a running agent.
    pub agent: Option<PathBuf>,
    /// Where the usual identity files are looked for.
    pub default_identities: Vec<PathBuf>,
    /// How long connecting, key exchange and authentication may take together.
    pub connect_limit: Duration,
    /// How many commands run at once on one connection; OpenSSH's own limit (`MaxSessions`) is 10.
    pub channels: usize,
    /// How much a command may print on both streams together, in bytes.
    pub max_output_bytes: usize,
}

impl SshSettings {
    /// What OpenSSH's client would use: `~/.ssh` and `SSH_AUTH_SOCK`.
    #[must_use]
    pub fn from_env() -> Self {
        let ssh = std::env::home_dir().map(|home| home.join(".ssh"));
        let identities = ["id_ed25519", "id_ecdsa", "id_rsa"];
        Self {
            known_hosts: ssh.as_ref().map(|dir| dir.join("known_hosts")),
            agent: std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from),
            default_identities: ssh.iter().flat_map(|dir| identities.map(|name| dir.join(name))).collect(),
            ..Self::isolated()
        }
    }

    /// No known hosts, no agent, no usual identities: only what the target itself brings.
    #[must_use]
    pub fn isolated() -> Self {
        Self {
            known_hosts: None,
            agent: None,
            default_identities: Vec::new(),
            connect_limit: Duration::from_secs(10),
            channels: 8,
            max_output_bytes: 256 << 20,
        }
    }
}
