//! Proving who we are: the agent's keys, then identity files. No passwords.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::{AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey, load_public_key, load_secret_key};
use russh::{MethodKind, MethodSet};

use super::host_key::Refusal;
use super::target::{SshSettings, SshTarget};

/// OpenSSH hangs up after six failures (`MaxAuthTries`); an agent full of unrelated keys must not
/// use them all up before the identity files had their turn.
const UNRELATED_AGENT_KEYS: usize = 3;

/// What may still be tried, and what was.
struct Attempts<'a> {
    user: &'a str,
    files: Vec<PathBuf>,
    rsa_hash: Option<HashAlg>,
    methods: MethodSet,
    tried: Vec<String>,
    skipped: Vec<String>,
    encrypted: bool,
}

/// Authenticates as the target's user.
pub(super) async fn authenticate<H: Handler>(
    handle: &mut Handle<H>,
    target: &SshTarget,
    settings: &SshSettings,
) -> Result<(), Refusal> {
    let files = if target.identities.is_empty() {
        settings.default_identities.clone()
    } else {
        target.identities.iter().map(|path| path.clone().into_std_path_buf()).collect()
    };
    let mut attempts = Attempts {
        user: &target.user,
        files,
        rsa_hash: handle.best_supported_rsa_hash().await.ok().flatten().unwrap_or(Some(HashAlg::Sha512)),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        tried: Vec::new(),
        skipped: Vec::new(),
        encrypted: false,
    };
    if let Some(socket) = &settings.agent
        && attempts.with_agent(handle, socket).await
    {
        return Ok(());
    }
    if attempts.with_files(handle, !target.identities.is_empty()).await {
        return Ok(());
    }
    Err(attempts.refusal(target, settings.agent.is_some()))
}

impl Attempts<'_> {
    fn may_go_on(&self) -> bool {
        self.methods.contains(&MethodKind::PublicKey)
    }

    /// Tries the agent's keys; those that belong to one of the identity files first.
    async fn with_agent<H: Handler>(&mut self, handle: &mut Handle<H>, socket: &Path) -> bool {
        let (mut agent, identities) = match ask_agent(socket).await {
            Ok(answer) => answer,
            Err(e) => {
                self.skipped.push(format!("the agent at {} ({e})", socket.display()));
                return false;
            }
        };
        let named: Vec<PublicKey> =
            self.files.iter().filter_map(|path| load_public_key(public_half(path)).ok()).collect();
        let keys = identities.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
            AgentIdentity::Certificate { .. } => None,
        });
        let (related, unrelated): (Vec<_>, Vec<_>) =
            keys.partition(|(key, _)| named.iter().any(|other| other.key_data() == key.key_data()));
        for (key, comment) in related.into_iter().chain(unrelated.into_iter().take(UNRELATED_AGENT_KEYS)) {
            if !self.may_go_on() {
                return false;
            }
            self.tried.push(format!("agent key `{comment}`"));
            let hash = if key.algorithm().is_rsa() { self.rsa_hash } else { None };
            match handle.authenticate_publickey_with(self.user, key, hash, &mut agent).await {
                Ok(AuthResult::Success) => return true,
                Ok(AuthResult::Failure { remaining_methods, .. }) => self.methods = remaining_methods,
                Err(e) => self.skipped.push(format!("agent key `{comment}` ({e})")),
            }
        }
        false
    }

    /// Tries the identity files. The usual ones need not exist; those that were `named` must.
    async fn with_files<H: Handler>(&mut self, handle: &mut Handle<H>, named: bool) -> bool {
        for path in std::mem::take(&mut self.files) {
            if !self.may_go_on() {
                return false;
            }
            let shown = path.display();
            let key = match load_secret_key(&path, None) {
                Ok(key) if !key.is_encrypted() => key,
                Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => {
                    self.encrypted = true;
                    self.skipped.push(format!("{shown} (encrypted)"));
                    continue;
                }
                Err(russh::keys::Error::IO(e)) if !named && e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => {
                    self.skipped.push(format!("{shown} ({e})"));
                    continue;
                }
            };
            self.tried.push(shown.to_string());
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), self.rsa_hash);
            match handle.authenticate_publickey(self.user, key).await {
                Ok(AuthResult::Success) => return true,
                Ok(AuthResult::Failure { remaining_methods, .. }) => self.methods = remaining_methods,
                Err(e) => {
                    self.skipped.push(format!("the rest ({e})"));
                    return false;
                }
            }
        }
        false
    }

    fn refusal(self, target: &SshTarget, has_agent: bool) -> Refusal {
        let mut why = format!("no key of ours lets `{}` in", self.user);
        if self.tried.is_empty() {
            why.push_str("; there was none to try");
        } else {
            why.push_str("; tried ");
            why.push_str(&self.tried.join(", "));
        }
        if !self.skipped.is_empty() {
            why.push_str("; could not use ");
            why.push_str(&self.skipped.join(", "));
        }
        let SshTarget { host, port, user, .. } = target;
        let hint = match (self.encrypted, has_agent) {
            (true, true) => "add the encrypted key to the agent: `ssh-add FILE`".to_owned(),
            (true, false) => {
                "start an agent and add the encrypted key: `eval \"$(ssh-agent)\"; ssh-add FILE`".to_owned()
            }
            (false, _) => format!("add your public key there: `ssh-copy-id -p {port} {user}@{host}`"),
        };
        Refusal { why, hint }
    }
}

type Agent = AgentClient<tokio::net::UnixStream>;

async fn ask_agent(socket: &Path) -> Result<(Agent, Vec<AgentIdentity>), russh::keys::Error> {
    let mut agent = AgentClient::connect_uds(socket).await?;
    let identities = agent.request_identities().await?;
    Ok((agent, identities))
}

fn public_half(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
