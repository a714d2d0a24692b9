//! `infra secrets`: which secrets there are, whether they can be had, and other values for them. Shows no value, ever.

use std::io::{IsTerminal as _, Read as _};

use secrecy::{ExposeSecret as _, SecretString};

use crate::blueprint::Blueprint;
use crate::cli::args::{HostArgs, Output, OutputArgs};
use crate::cli::lab::LabWorld;
use crate::cli::secrets::{of, of_lab, refused};
use crate::cli::{CommandError, Exit, load};
use crate::diag::{Diagnostic, SourceMap, did_you_mean};
use crate::secrets::{Need, Secrets, Standing, User, needs};
use crate::ui::{
    ReplacedDocument, SecretDocument, SecretStatus, SecretsDocument, Writer, ask_secret, can_ask, confirm, join_and,
    json, replaced_text, secrets_text,
};

/// More than this is no secret.
const MOST: u64 = 64 << 10;

/// The secrets of an inventory: which there are, whether they can be had, and other values for them; no value is shown
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub verb: Verb,
}

/// What is done with secrets.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    List(ListArgs),
    Check(CheckArgs),
    Set(SetArgs),
    Rotate(RotateArgs),
}

/// Show every secret that the inventory needs, who needs it and where it is looked for; nothing is opened
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra secrets list -i inventories/vrooli")]
pub struct ListArgs {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Try whether every secret can be had: each provider is asked as it would be by `apply`. Exit with 1 unless all can
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra secrets check -i inventories/vrooli")]
pub struct CheckArgs {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Keep a value that is read from standard input, or asked for at a terminal
///
/// It is kept in the store of this program: encrypted with age where the inventory names `secrets.store.recipients`, else
/// in the state directory for nobody else to read. Whoever is listed in `secrets.from` is asked before that store.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra secrets set hq-token < token.txt")]
pub struct SetArgs {
    /// The secret's name, without `secret:`
    name: String,
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Make a new value, or read one from standard input, and say which services have to be deployed again
///
/// The value before it is kept until an `apply` of everything has proven that nobody holds it any more; `--back` makes it
/// the value again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra secrets rotate plan-hq-litellm-master-key --yes")]
pub struct RotateArgs {
    /// The secret's name, without `secret:`
    name: String,
    #[command(flatten)]
    host: HostArgs,
    /// Read the new value from standard input instead of making one
    #[arg(long)]
    stdin: bool,
    /// Make the value before it the value again
    #[arg(long, conflicts_with = "stdin")]
    back: bool,
    /// The service that reads this value at its first start only knows the new one already
    #[arg(long)]
    already_changed: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// An inventory with who gives out its secrets; no host is asked.
struct Room {
    blueprint: Blueprint,
    sources: SourceMap,
    secrets: Secrets,
}

impl Room {
    fn open(args: &HostArgs, writer: &Writer) -> Result<Self, CommandError> {
        let load::Sound { paths, blueprint, sources, .. } = load::sound(&args.inventory)?;
        let secrets = match &args.lab {
            Some(_) => of_lab(&blueprint, &LabWorld::directory(&args.state, &blueprint)),
            None => of(&blueprint, args, &paths, &sources, writer),
        };
        Ok(Self { blueprint, sources, secrets })
    }

    /// What needs the secret of that name.
    fn need(&self, name: &str) -> Result<Need, CommandError> {
        let mut needs = needs(&self.blueprint);
        needs.remove(name).ok_or_else(|| {
            let hint = did_you_mean(name, needs.keys().map(String::as_str));
            let problem =
                Diagnostic::error("secret.unknown", format!("nothing in this inventory has the secret `{name}`"));
            problem.hint(hint.unwrap_or_else(|| "`infra secrets list` shows those that there are".to_owned())).into()
        })
    }

    fn document(&self, name: &str, need: &Need) -> SecretDocument {
        let own = self.secrets.own();
        SecretDocument {
            name: name.to_owned(),
            needed_by: need.users.iter().map(ToString::to_string).collect(),
            generated: need.generate.is_some(),
            places: self.secrets.places(name),
            kept: own.is_some_and(|own| own.has(name).unwrap_or(false)),
            replaced: own.is_some_and(|own| own.has_previous(name)),
            status: None,
            place: None,
            problem: None,
            hint: None,
        }
    }

    fn refused(&self, name: &str, error: &crate::secrets::SecretError, need: &Need) -> CommandError {
        CommandError::in_files(refused(name, error, Some(need)).into(), self.sources.clone())
    }
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    match &args.verb {
        Verb::List(args) => list(args, writer),
        Verb::Check(args) => check(args, writer),
        Verb::Set(args) => set(args, writer),
        Verb::Rotate(args) => rotate(args, writer),
    }
}

fn list(args: &ListArgs, writer: &mut Writer) -> Result<Exit, CommandError> {
    let room = Room::open(&args.host, writer)?;
    let secrets = needs(&room.blueprint).iter().map(|(name, need)| room.document(name, need)).collect();
    tell(&room, secrets, args.output.output, writer)?;
    Ok(Exit::Fine)
}

fn check(args: &CheckArgs, writer: &mut Writer) -> Result<Exit, CommandError> {
    let room = Room::open(&args.host, writer)?;
    let mut secrets = Vec::new();
    for (name, need) in &needs(&room.blueprint) {
        let mut own = room.document(name, need);
        match room.secrets.standing(name) {
            Ok(Standing::There { place }) => (own.status, own.place) = (Some(SecretStatus::There), Some(place)),
            Ok(Standing::ToMake(_)) => own.status = Some(SecretStatus::WillBeMade),
            Ok(Standing::Asked) => own.status = Some(SecretStatus::WillBeAsked),
            Err(error) => {
                own.status = Some(SecretStatus::Missing);
                (own.problem, own.hint) = (Some(error.to_string()), error.hint());
            }
        }
        secrets.push(own);
    }
    let missing = secrets.iter().any(|own| own.status == Some(SecretStatus::Missing));
    tell(&room, secrets, args.output.output, writer)?;
    Ok(if missing { Exit::Failed } else { Exit::Fine })
}

fn tell(room: &Room, secrets: Vec<SecretDocument>, output: Output, writer: &mut Writer) -> Result<(), CommandError> {
    let own = room.secrets.own();
    let document = SecretsDocument {
        format: SecretsDocument::FORMAT,
        inventory: room.blueprint.name.to_string(),
        store: own.map(|own| own.directory().to_string()).unwrap_or_default(),
        encrypted: own.is_some_and(crate::secrets::Own::is_sealed),
        secrets,
    };
    let answer = match output {
        Output::Human => secrets_text(&document, &writer.out()),
        Output::Json => json::pretty(&document)?,
        Output::Jsonl => json::line(&document)?,
    };
    Ok(writer.answer(&answer)?)
}

fn set(args: &SetArgs, writer: &mut Writer) -> Result<Exit, CommandError> {
    let room = Room::open(&args.host, writer)?;
    let need = room.need(&args.name)?;
    let value = given(&args.name, writer)?;
    room.secrets.replace(&args.name, Some(value)).map_err(|error| room.refused(&args.name, &error, &need))?;
    done(&room, &args.name, &need, args.output.output, writer)
}

fn rotate(args: &RotateArgs, writer: &mut Writer) -> Result<Exit, CommandError> {
    let room = Room::open(&args.host, writer)?;
    let need = room.need(&args.name)?;
    if let Some((guest, service)) = need.first_start.as_ref().filter(|_| !args.already_changed) {
        return Err(Diagnostic::error(
            "secret.first-start",
            format!("{guest}/{service} reads `{}` at its very first start and keeps it: it would not know a new value", args.name),
        )
        .cause("everybody else would come with the new value, and be turned away")
        .hint(format!(
            "give {service} the new value by its own means first, then: infra secrets rotate {} --stdin --already-changed",
            args.name
        ))
        .at_maybe(need.span, "this service")
        .into_in(&room.sources));
    }
    if !args.yes && !confirm(writer, &question(&args.name, &need, args.back), "--yes")? {
        writer.tell("Nothing was changed.\n");
        return Ok(Exit::Failed);
    }
    if args.back {
        let restored = match room.secrets.own() {
            Some(own) => own.restore(&args.name).map_err(|error| room.refused(&args.name, &error, &need))?,
            None => false,
        };
        if !restored {
            return Err(Diagnostic::error(
                "secret.no-previous",
                format!("no earlier value of `{}` is kept", args.name),
            )
            .hint("one is kept from when it is replaced until an apply of everything has delivered the new one")
            .into());
        }
    } else {
        let value = if args.stdin { Some(given(&args.name, writer)?) } else { None };
        room.secrets.replace(&args.name, value).map_err(|error| room.refused(&args.name, &error, &need))?;
    }
    done(&room, &args.name, &need, args.output.output, writer)
}

fn question(name: &str, need: &Need, back: bool) -> String {
    let how = if back { "Put back the earlier value of" } else { "Replace the value of" };
    let users = services(need);
    if users.is_empty() {
        return format!("{how} `{name}`?");
    }
    format!("{how} `{name}`? It is in force once {} is deployed again.", join_and(users))
}

/// Services whose stacks hold a secret.
fn services(need: &Need) -> Vec<String> {
    let services = need.users.iter().filter(|user| matches!(user, User::Service(..)));
    services.map(ToString::to_string).collect()
}

fn done(room: &Room, name: &str, need: &Need, output: Output, writer: &mut Writer) -> Result<Exit, CommandError> {
    let own = room.secrets.own();
    let document = ReplacedDocument {
        format: ReplacedDocument::FORMAT,
        inventory: room.blueprint.name.to_string(),
        secret: name.to_owned(),
        store: own.map(|own| own.directory().to_string()).unwrap_or_default(),
        encrypted: own.is_some_and(crate::secrets::Own::is_sealed),
        replaced: own.is_some_and(|own| own.has_previous(name)),
        deploy: services(need),
    };
    let answer = match output {
        Output::Human => replaced_text(&document),
        Output::Json => json::pretty(&document)?,
        Output::Jsonl => json::line(&document)?,
    };
    writer.answer(&answer)?;
    Ok(Exit::Fine)
}

/// The value that the operator gives: typed unseen at a terminal, else all of standard input.
fn given(name: &str, writer: &Writer) -> Result<SecretString, CommandError> {
    let refuse = |why: &str| {
        let problem = Diagnostic::error("secret.value", format!("that cannot be the value of `{name}`")).cause(why);
        CommandError::from(problem.hint("give one line on standard input: `infra secrets set NAME < FILE`"))
    };
    let text: SecretString = if std::io::stdin().is_terminal() && can_ask(writer) {
        ask_secret(&format!("Value of `{name}`"))?
    } else {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(MOST).read_to_string(&mut text);
        read.map_err(|error| refuse(&error.to_string()))?;
        text.into()
    };
    let line = text.expose_secret().trim_end_matches(['\n', '\r']);
    if line.is_empty() {
        return Err(refuse("it is empty"));
    }
    if line.chars().any(char::is_control) {
        return Err(refuse("it holds more than one line or control characters"));
    }
    Ok(line.to_owned().into())
}

/// A problem that points into the inventory.
trait IntoIn {
    fn into_in(self, sources: &SourceMap) -> CommandError;
}

impl IntoIn for Diagnostic {
    fn into_in(self, sources: &SourceMap) -> CommandError {
        CommandError::in_files(self.into(), sources.clone())
    }
}
