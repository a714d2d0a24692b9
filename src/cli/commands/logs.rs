//! `infra logs`: what a service, or the system of a guest, wrote last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::blueprint::{Blueprint, Guest};
use crate::cli::args::HostArgs;
use crate::cli::context::Context;
use crate::cli::{CommandError, Exit};
use crate::client::InGuest;
use crate::diag::{Diagnostic, did_you_mean};
use crate::model::ServiceName;
use crate::ports::{Command, Shell};
use crate::render::stack_directory;
use crate::ui::Writer;

/// How often is looked for more: the guest agent passes nothing on before a command has ended.
const EVERY: Duration = Duration::from_secs(2);
/// What stands before the place up to which the journal was read.
const CURSOR: &str = "-- cursor: ";

const HELP: &str = "\
Example: infra logs inference tensorzero -f -i inventories/privaxai

Of a service that runs in containers these are the logs of its containers; of a package, what its unit wrote. Without a \
service it is the journal of the guest.";

/// Show what a service or a guest wrote to its log
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// A guest of the inventory
    #[arg(value_name = "GUEST")]
    guest: String,
    /// A service in it
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Go on showing what is written, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to begin with, of each container
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    tail: u32,
    #[command(flatten)]
    host: HostArgs,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = tokio::select! {
        ended = within(args, &context, writer) => ended,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    };
    context.close().await;
    ended
}

async fn within(args: &Args, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let guest = guest(&context.blueprint, &args.guest)?;
    let service = args.service.as_deref().map(|name| service(guest, name)).transpose()?;
    let Some(host) = context.doors.shell(&guest.host).cloned() else {
        return Err(Diagnostic::error("logs.access", format!("there is no way into `{}`", guest.name))
            .cause("its host has no `ssh` in the inventory")
            .into());
    };
    let shell: Arc<dyn Shell> = Arc::new(InGuest::new(host, guest.inside()));
    let mut log = Log::of(&context.blueprint, guest, service, args.follow);
    let mut tail = Some(args.tail);
    loop {
        let command = log.command(tail);
        let output = shell.run(&Command::new(command)).await.map_err(|error| {
            Diagnostic::error("logs.read", format!("the log of `{}` could not be read", guest.name))
                .cause(error.to_string())
        })?;
        if output.code != 0 {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Diagnostic::error("logs.read", format!("the log of `{}` could not be read", guest.name))
                .cause(if said.is_empty() { format!("the command exited with {}", output.code) } else { said })
                .hint("`infra status` shows whether it runs, `infra deploy` puts a service there")
                .into());
        }
        writer.answer(&log.new_lines(&String::from_utf8_lossy(&output.stdout)))?;
        if !args.follow {
            return Ok(Exit::Fine);
        }
        tail = None;
        context.clock.sleep(EVERY).await;
    }
}

fn guest<'a>(blueprint: &'a Blueprint, name: &str) -> Result<&'a Guest, CommandError> {
    let found = blueprint.guests.values().find(|guest| guest.name.as_str() == name);
    Ok(found.ok_or_else(|| {
        let names: Vec<&str> = blueprint.guests.keys().map(|name| name.as_str()).collect();
        let hint =
            did_you_mean(name, names.iter().copied()).unwrap_or_else(|| format!("there are {}", names.join(", ")));
        Diagnostic::error("logs.guest", format!("the inventory has no guest `{name}`")).hint(hint)
    })?)
}

fn service<'a>(guest: &'a Guest, name: &str) -> Result<&'a ServiceName, CommandError> {
    Ok(guest.services.iter().find(|service| service.as_str() == name).ok_or_else(|| {
        let names: Vec<&str> = guest.services.iter().map(|name| name.as_str()).collect();
        let there = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
        let hint = did_you_mean(name, names.iter().copied()).unwrap_or(there);
        Diagnostic::error("logs.service", format!("`{}` has no service `{name}`", guest.name)).hint(hint)
    })?)
}

/// The unit of a Debian package, where it is not called as the package.
fn unit(package: &str) -> &str {
    match package {
        "bind9" => "named",
        "openssh-server" => "ssh",
        package => package,
    }
}

/// Where lines come from, and up to where they were shown.
struct Log {
    source: Source,
    follow: bool,
}

enum Source {
    /// Containers of a compose project; when each wrote last, as docker says it.
    Containers { directory: String, last: BTreeMap<String, String> },
    /// The journal, of one unit or of all.
    Journal { unit: Option<String>, cursor: Option<String> },
}

impl Log {
    fn of(blueprint: &Blueprint, guest: &Guest, service: Option<&ServiceName>, follow: bool) -> Self {
        let source = match service {
            Some(name) if guest.deployments.contains_key(name) => {
                Source::Containers { directory: stack_directory(name).to_string(), last: BTreeMap::new() }
            }
            Some(name) => {
                let package = blueprint.services.get(name).and_then(|service| service.package.as_deref());
                Source::Journal { unit: Some(unit(package.unwrap_or(name.as_str())).to_owned()), cursor: None }
            }
            None => Source::Journal { unit: None, cursor: None },
        };
        Self { source, follow }
    }

    /// What is run in the guest: the last lines, or those since the last time.
    fn command(&self, tail: Option<u32>) -> Vec<String> {
        let mut argv: Vec<String> = Vec::new();
        match &self.source {
            Source::Containers { directory, last } => {
                let file = format!("{directory}/compose.yaml");
                argv.extend(
                    ["docker", "compose", "--project-directory", directory, "--file", &file].map(str::to_owned),
                );
                argv.extend(["logs", "--no-color"].map(str::to_owned));
                if self.follow {
                    argv.push("--timestamps".to_owned());
                }
                match (tail, last.values().min()) {
                    (Some(lines), _) => argv.extend(["--tail".to_owned(), lines.to_string()]),
                    (None, Some(since)) => argv.extend(["--since".to_owned(), since.clone()]),
                    (None, None) => {}
                }
            }
            Source::Journal { unit, cursor } => {
                argv.extend(["journalctl", "--no-pager", "--quiet", "--output=short-iso"].map(str::to_owned));
                if let Some(unit) = unit {
                    argv.extend(["--unit".to_owned(), unit.clone()]);
                }
                if self.follow {
                    argv.push("--show-cursor".to_owned());
                }
                match (tail, cursor) {
                    (Some(lines), _) => argv.extend(["--lines".to_owned(), lines.to_string()]),
                    (None, Some(cursor)) => argv.push(format!("--after-cursor={cursor}")),
                    (None, None) => {}
                }
            }
        }
        argv
    }

    /// Those lines of an answer that were not shown yet.
    fn new_lines(&mut self, printed: &str) -> String {
        if !self.follow {
            return printed.to_owned();
        }
        let mut new = String::new();
        match &mut self.source {
            Source::Containers { last, .. } => {
                let before = last.clone();
                for line in printed.lines() {
                    // `ollama  | 2026-01-02T03:04:05.678901234Z what it said`
                    let Some((container, said)) = line.split_once(" | ") else { continue };
                    let (at, said) = said.split_once(' ').unwrap_or((said, ""));
                    let container = container.trim_end();
                    if before.get(container).is_some_and(|last| at <= last.as_str()) {
                        continue;
                    }
                    new.push_str(&format!("{container}  | {said}\n"));
                    let latest = last.entry(container.to_owned()).or_default();
                    if at > latest.as_str() {
                        *latest = at.to_owned();
                    }
                }
            }
            Source::Journal { cursor, .. } => {
                for line in printed.lines() {
                    match line.strip_prefix(CURSOR) {
                        Some(at) => *cursor = Some(at.to_owned()),
                        None => new.push_str(&format!("{line}\n")),
                    }
                }
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn containers() -> Log {
        Log {
            source: Source::Containers { directory: "/opt/stacks/ollama".to_owned(), last: BTreeMap::new() },
            follow: true,
        }
    }

    #[test]
    fn what_was_shown_is_not_shown_again() {
        let mut log = containers();
        let first = "ollama  | 2026-01-02T03:04:05.1Z one\nollama  | 2026-01-02T03:04:05.2Z two\n";
        assert_eq!(log.new_lines(first), "ollama  | one\nollama  | two\n");
        assert!(log.command(None).ends_with(&["--since".to_owned(), "2026-01-02T03:04:05.2Z".to_owned()]));
        let again = "ollama  | 2026-01-02T03:04:05.2Z two\nollama  | 2026-01-02T03:04:05.3Z three | four\n";
        assert_eq!(log.new_lines(again), "ollama  | three | four\n");
    }

    #[test]
    fn a_container_that_writes_seldom_loses_no_line_to_one_that_writes_often() {
        let mut log = containers();
        log.new_lines("a  | 2026-01-02T03:04:05Z x\nb  | 2026-01-02T03:04:09Z y\n");
        assert!(log.command(None).ends_with(&["--since".to_owned(), "2026-01-02T03:04:05Z".to_owned()]));
        assert_eq!(log.new_lines("a  | 2026-01-02T03:04:07Z z\nb  | 2026-01-02T03:04:09Z y\n"), "a  | z\n");
    }

    #[test]
    fn the_journal_is_read_on_from_where_it_was_left() {
        let mut log = Log { source: Source::Journal { unit: Some("named".to_owned()), cursor: None }, follow: true };
        assert_eq!(log.new_lines("2026-01-02 up\n-- cursor: s=1;i=2\n"), "2026-01-02 up\n");
        assert!(log.command(None).contains(&"--after-cursor=s=1;i=2".to_owned()));
        assert!(log.command(Some(5)).ends_with(&["--lines".to_owned(), "5".to_owned()]));
    }
}
