//! `infra ssh`: a shell on a host or in a guest, without a login of its own where there is none.
//!
//! A command after `--` goes the way that steps go (`pct exec`, the guest agent) and gives back its exit code. Without one
//! the operator's own `ssh` is started, with the host's key as the inventory has it, and with a VM's key as its agent
//! told it: nobody is asked to trust a key that was never seen.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;

use crate::blueprint::{Blueprint, Guest, GuestShape, SshAccess};
use crate::cli::args::HostArgs;
use crate::cli::context::Context;
use crate::cli::{CommandError, Exit, error};
use crate::client::InGuest;
use crate::diag::{Diagnostic, did_you_mean};
use crate::model::HostName;
use crate::ports::{Command, Shell, quote_all};
use crate::ui::Writer;

/// How long a command may take that nobody watches.
const LIMIT: Duration = Duration::from_secs(3600);
/// Debian's and Ubuntu's sshd make one of these at the first boot.
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key.pub";

const HELP: &str = "\
Example: infra ssh proj-x -i inventories/vrooli
         infra ssh plan-hq --lab -- cat /etc/hostname

Containers are entered through their host (`pct enter`), VMs through it as a jump host, as the first user of cloud-init. \
What follows `--` runs as root of the guest, and its exit code is this program's.";

/// Open a shell on a host or in a guest, or run one command there
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A guest or a host of the inventory
    #[arg(value_name = "GUEST")]
    name: String,
    /// Program and arguments; they arrive as they are, without a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    host: HostArgs,
}

/// Where to.
enum Place<'a> {
    Host(&'a HostName, &'a SshAccess),
    Guest(&'a Guest, &'a SshAccess),
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, &context, writer).await;
    context.close().await;
    ended
}

async fn within(args: &Args, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let place = place(&context.blueprint, &args.name)?;
    let shell = match &place {
        Place::Host(host, _) => context.doors.shell(host).cloned(),
        Place::Guest(guest, _) => context
            .doors
            .shell(&guest.host)
            .cloned()
            .map(|host| -> Arc<dyn Shell> { Arc::new(InGuest::new(host, guest.inside())) }),
    };
    let Some(shell) = shell else { return Err(no_ssh(&args.name).into()) };
    if args.command.is_empty() { enter(&place, &shell, context).await } else { command(args, &shell, writer).await }
}

fn place<'a>(blueprint: &'a Blueprint, name: &str) -> Result<Place<'a>, CommandError> {
    if let Some(guest) = blueprint.guests.values().find(|guest| guest.name.as_str() == name) {
        let access = blueprint.host_of(guest).access.ssh.as_ref().ok_or_else(|| no_ssh(name))?;
        return Ok(Place::Guest(guest, access));
    }
    if let Some(host) = blueprint.hosts.values().find(|host| host.name.as_str() == name) {
        let access = host.access.ssh.as_ref().ok_or_else(|| no_ssh(name))?;
        return Ok(Place::Host(&host.name, access));
    }
    let names = blueprint.guests.keys().map(|name| name.as_str());
    let names: Vec<&str> = names.chain(blueprint.hosts.keys().map(|name| name.as_str())).collect();
    let hint = did_you_mean(name, names.iter().copied()).unwrap_or_else(|| format!("there are {}", names.join(", ")));
    Err(Diagnostic::error("ssh.name", format!("the inventory has no guest and no host `{name}`")).hint(hint).into())
}

fn no_ssh(name: &str) -> Diagnostic {
    Diagnostic::error("ssh.access", format!("there is no way into `{name}`"))
        .cause("its host has no `ssh` in the inventory")
        .hint("declare `ssh` of the host; guests are entered through it")
}

/// Runs one command and gives back what it printed and how it ended.
async fn command(args: &Args, shell: &Arc<dyn Shell>, writer: &mut Writer) -> Result<Exit, CommandError> {
    let output = shell.run(&Command::new(args.command.clone()).limit(LIMIT)).await.map_err(|error| {
        Diagnostic::error("ssh.command", format!("the command did not run in `{}`", args.name)).cause(error.to_string())
    })?;
    writer.answer(&String::from_utf8_lossy(&output.stdout))?;
    writer.tell(&String::from_utf8_lossy(&output.stderr));
    Ok(match u8::try_from(output.code) {
        Ok(0) => Exit::Fine,
        Ok(code) => Exit::Of(code),
        Err(_) => Exit::Failed,
    })
}

/// Hands over to `ssh` until the person is done.
async fn enter(place: &Place<'_>, shell: &Arc<dyn Shell>, context: &Context) -> Result<Exit, CommandError> {
    let key = match place {
        Place::Guest(guest, _) if matches!(guest.shape, GuestShape::Vm(_)) => Some(host_key(guest, shell).await?),
        Place::Guest(..) | Place::Host(..) => None,
    };
    let known = context.state.join("ssh").join("known_hosts");
    let line = line(place, key.as_deref(), &known);
    write_known(&known, &line.known).map_err(|e| error::file("write", &known, &e))?;
    let ended = std::process::Command::new(&line.argv[0]).args(&line.argv[1..]).status().map_err(|error| {
        Diagnostic::error("ssh.program", "`ssh` could not be started")
            .cause(error.to_string())
            .hint("install OpenSSH's client; a command after `--` needs none")
    })?;
    Ok(match ended.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Exit::Fine,
        Some(code) => Exit::Of(code),
        None => Exit::Interrupted,
    })
}

/// The key by which a VM's sshd shows who it is, from its agent.
async fn host_key(guest: &Guest, shell: &Arc<dyn Shell>) -> Result<String, CommandError> {
    let refused = |why: String| {
        Diagnostic::error("ssh.host-key", format!("`{}` did not tell the key of its sshd", guest.name))
            .cause(why)
            .hint("look whether its guest agent runs: `infra status`; `infra ssh` of its host still works")
    };
    let output = shell.run(&Command::new(["cat", HOST_KEY])).await.map_err(|error| refused(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    match words[..] {
        [kind, key] if output.code == 0 && text.lines().count() == 1 => Ok(format!("{kind} {key}")),
        _ => {
            Err(refused(format!("{HOST_KEY} holds no key ({})", String::from_utf8_lossy(&output.stderr).trim())).into())
        }
    }
}

/// How `ssh` is called, and the keys that it goes by.
struct Line {
    argv: Vec<String>,
    known: String,
}

fn line(place: &Place<'_>, key: Option<&str>, known: &Utf8Path) -> Line {
    let mut file = String::new();
    let argv = match place {
        Place::Host(_, access) => to(access, known, &mut file, true),
        Place::Guest(guest, access) => match &guest.shape {
            GuestShape::Container(_) => {
                let mut argv = to(access, known, &mut file, true);
                // `ssh` joins what follows with blanks, and a shell reads it there.
                argv.push(quote_all(&["pct".to_owned(), "enter".to_owned(), guest.vmid.to_string()]));
                argv
            }
            GuestShape::Vm(vm) => {
                let through = SshAccess {
                    host: guest.interface.address().to_string(),
                    port: 22,
                    user: vm.user.clone(),
                    host_key: key.map(str::to_owned),
                    identity: None,
                    jump: Some(Box::new((*access).clone())),
                };
                to(&through, known, &mut file, true)
            }
        },
    };
    Line { argv, known: file }
}

/// `ssh` to a place, through others if it must be; its keys are added to `file`.
fn to(access: &SshAccess, known: &Utf8Path, file: &mut String, terminal: bool) -> Vec<String> {
    let mut argv = vec!["ssh".to_owned()];
    let mut option = |text: String| argv.extend(["-o".to_owned(), text]);
    if let Some(key) = &access.host_key {
        let alias = format!("infra-{}-{}", access.host, access.port);
        let _ = writeln!(file, "{alias} {key}");
        option(format!("UserKnownHostsFile={known}"));
        option("GlobalKnownHostsFile=/dev/null".to_owned());
        option("StrictHostKeyChecking=yes".to_owned());
        option(format!("HostKeyAlias={alias}"));
    }
    if let Some(identity) = &access.identity {
        option(format!("IdentityFile={identity}"));
        option("IdentitiesOnly=yes".to_owned());
    }
    if let Some(jump) = &access.jump {
        // `-J` would not pass these options on.
        let mut through = to(jump, known, file, false);
        let last = through.pop().expect("it ends with where to");
        through.extend(["-W".to_owned(), format!("{}:{}", bracketed(&access.host), access.port), last]);
        // `%` is ssh's own in a command for a proxy.
        option(format!("ProxyCommand={}", quote_all(&through).replace('%', "%%")));
    }
    if terminal {
        argv.push("-t".to_owned());
    }
    argv.extend(["-p".to_owned(), access.port.to_string(), format!("{}@{}", access.user, access.host)]);
    argv
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn write_known(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(host: &str, key: Option<&str>, jump: Option<SshAccess>) -> SshAccess {
        SshAccess {
            host: host.to_owned(),
            port: 22,
            user: "root".to_owned(),
            host_key: key.map(str::to_owned),
            identity: Some("/home/ada/my key".into()),
            jump: jump.map(Box::new),
        }
    }

    #[test]
    fn a_pinned_key_is_the_only_one_that_ssh_goes_by() {
        let mut file = String::new();
        let argv = to(&access("192.0.2.2", Some("ssh-ed25519 AAAA"), None), "/x/known".into(), &mut file, true);
        assert_eq!(file, "infra-192.0.2.2-22 ssh-ed25519 AAAA\n");
        let text = argv.join(" ");
        for part in ["StrictHostKeyChecking=yes", "UserKnownHostsFile=/x/known", "HostKeyAlias=infra-192.0.2.2-22"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.ends_with("-t -p 22 root@192.0.2.2"), "{text}");
        let plain = to(&access("192.0.2.2", None, None), "/x/known".into(), &mut file, true).join(" ");
        assert!(!plain.contains("KnownHosts"), "the person's own files decide then: {plain}");
    }

    #[test]
    fn a_jump_is_held_to_its_own_key_and_quoted_for_the_shell_that_runs_it() {
        let mut file = String::new();
        let jump = access("192.0.2.2", Some("ssh-ed25519 AAAA"), None);
        let argv = to(&access("10.0.0.10", Some("ssh-ed25519 BBBB"), Some(jump)), "/x/known".into(), &mut file, true);
        assert_eq!(file.lines().count(), 2, "{file}");
        let proxy = argv.iter().find(|word| word.starts_with("ProxyCommand=")).unwrap();
        assert!(proxy.contains("-W 10.0.0.10:22 root@192.0.2.2"), "{proxy}");
        assert!(proxy.contains("'IdentityFile=/home/ada/my key'"), "{proxy}");
    }
}
