//! `infra history`: runs that were.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::tz::TimeZone;

use crate::cli::args::{InventoryArgs, Output, OutputArgs, StateArgs};
use crate::cli::{CommandError, Exit, load};
use crate::diag::{Diagnostic, did_you_mean};
use crate::event::{RunId, RunState};
use crate::exec::journal;
use crate::model::EnvironmentName;
use crate::ui::{Writer, json, run_list, run_steps};

/// Show past runs, the newest first, or the steps of one
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra history --lab -i inventories/vrooli")]
pub struct Args {
    /// Show the steps of this run
    run: Option<String>,
    /// Only runs of this inventory; later files override earlier ones, as everywhere
    #[arg(short, long, value_name = "PATH")]
    inventory: Vec<Utf8PathBuf>,
    #[command(flatten)]
    state: StateArgs,
    /// Show runs on the lab instead of those on real hosts
    #[arg(long)]
    lab: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// A run and where its journal is.
struct Past {
    directory: Utf8PathBuf,
    inventory: EnvironmentName,
    id: RunId,
    state: RunState,
}

pub fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let only = match args.inventory.as_slice() {
        [] => None,
        named => Some(load::sound(&InventoryArgs { inventory: named.to_vec() })?.blueprint.name),
    };
    let mut runs = Vec::new();
    for directory in directories(args) {
        let inventories = names(&directory.join("runs"));
        for inventory in inventories.into_iter().filter(|name| only.as_ref().is_none_or(|only| only == name)) {
            for (id, state) in journal::history(&directory, &inventory)? {
                runs.push(Past { directory: directory.clone(), inventory: inventory.clone(), id, state });
            }
        }
    }
    runs.sort_by(|a, b| b.id.cmp(&a.id));
    let answer = match &args.run {
        None if runs.is_empty() && args.output.output == Output::Human => none(args, only.as_ref()),
        None => list(&runs, args.output.output, writer)?,
        Some(id) => one(&runs, id, args.output.output, writer)?,
    };
    writer.answer(&answer)?;
    Ok(Exit::Fine)
}

/// Says where runs were looked for.
fn none(args: &Args, only: Option<&EnvironmentName>) -> String {
    let of = only.map(|name| format!(" of {name}")).unwrap_or_default();
    let state = &args.state.state_dir;
    if args.lab {
        format!("No runs{of} on the lab yet in `{}`.\n", state.join("lab"))
    } else {
        format!("No runs{of} yet in `{state}`; those on the lab are shown with `--lab`.\n")
    }
}

fn list(runs: &[Past], output: Output, writer: &Writer) -> Result<String, CommandError> {
    let documents = || runs.iter().map(|run| json::RunDocument::from(&run.state));
    Ok(match output {
        Output::Human => {
            let states: Vec<RunState> = runs.iter().map(|run| run.state.clone()).collect();
            run_list(&states, &TimeZone::system(), &writer.out())
        }
        Output::Json => json::pretty(&documents().collect::<Vec<_>>())?,
        Output::Jsonl => documents().map(|run| json::line(&run)).collect::<Result<_, _>>()?,
    })
}

fn one(runs: &[Past], id: &str, output: Output, writer: &Writer) -> Result<String, CommandError> {
    let Some(run) = runs.iter().find(|run| run.id.0 == id) else {
        let known = runs.iter().map(|run| run.id.0.as_str());
        return Err(Diagnostic::error("cli.unknown-run", format!("there is no run `{id}`"))
            .hint(did_you_mean(id, known).unwrap_or_else(|| "`infra history` lists them".to_owned()))
            .into());
    };
    Ok(match output {
        Output::Human => run_steps(&run.state, &TimeZone::system(), &writer.out()),
        Output::Json => json::pretty(&json::RunDocument::from(&run.state))?,
        Output::Jsonl => {
            let events = journal::events(&run.directory, &run.inventory, &run.id)?;
            events.iter().map(json::event_line).collect::<Result<_, _>>()?
        }
    })
}

/// Where runs may be.
fn directories(args: &Args) -> Vec<Utf8PathBuf> {
    let state = &args.state.state_dir;
    if !args.lab {
        return vec![state.clone()];
    }
    let labs = state.join("lab");
    names(&labs).iter().map(|name| labs.join(name.as_str())).collect()
}

/// Directories that are called like an inventory.
fn names(directory: &Utf8Path) -> Vec<EnvironmentName> {
    let Ok(entries) = directory.read_dir_utf8() else { return Vec::new() };
    let mut names: Vec<EnvironmentName> =
        entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().parse().ok()).collect();
    names.sort();
    names
}
