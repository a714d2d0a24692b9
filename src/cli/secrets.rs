//! The secrets of an inventory, as several verbs use them: who gives them out, what a plan needs of them before it is
//! carried out, and when replaced values are let go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::CommandError;
use super::args::HostArgs;
use super::context::Context;
use super::planning::Intent;
use super::verb::Verb;
use crate::blueprint::Blueprint;
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::model::step::{Op, Undo};
use crate::plan::{Plan, Scope};
use crate::secrets::{Asker, Need, SecretError, Secrets, Standing, Surroundings, needs};
use crate::ui::{Writer, ask_secret, can_ask, join_and};

/// As the inventory says.
pub(super) fn of(
    blueprint: &Blueprint,
    args: &HostArgs,
    paths: &[Utf8PathBuf],
    sources: &SourceMap,
    writer: &Writer,
) -> Secrets {
    let state = &args.state.state_dir;
    // Beside each part of the inventory, the last one first, and in the state directory.
    let beside = paths.iter().rev().map(|path| match path.parent() {
        Some(parent) if !path.is_dir() => parent.to_owned(),
        _ => path.clone(),
    });
    let asker: Option<Asker> =
        can_ask(writer).then(|| -> Asker { Arc::new(|question| ask_secret(question).map_err(|e| e.to_string())) });
    let file = |span: Span| sources.path(span.file).to_owned();
    Secrets::of(
        blueprint,
        &Surroundings {
            directories: beside.chain([state.clone()]).collect(),
            sealed: paths.first().map_or_else(Utf8PathBuf::new, |path| sealed_beside(path)),
            open: state.join("store").join(blueprint.name.as_str()),
            file: &file,
            asker,
        },
    )
}

/// As the lab has them.
pub(super) fn of_lab(blueprint: &Blueprint, lab: &Utf8Path) -> Secrets {
    Secrets::of_lab(blueprint, lab.join("store"))
}

/// In an inventory's directory, or beside its file and named after it, as others may be in the same directory.
fn sealed_beside(path: &Utf8Path) -> Utf8PathBuf {
    const NAME: &str = "secrets.store";
    match path.file_stem() {
        Some(stem) if !path.is_dir() => path.with_file_name(format!("{stem}.{NAME}")),
        _ => path.join(NAME),
    }
}

/// Names of the secrets that carrying out a plan delivers, or taking it back would.
fn delivered(plan: &Plan) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for step in &plan.steps {
        let undo = if let Undo::Ops { ops } = &step.undo { ops.as_slice() } else { &[] };
        for op in step.ops.iter().chain(undo) {
            if let Op::PutFile { content, .. } = op {
                names.extend(content.secrets());
            }
        }
    }
    names
}

/// Notes in a plan which secrets will be made, and refuses one that needs what nobody has.
pub(super) fn hold(context: &Context, plan: &mut Plan) -> Result<(), CommandError> {
    let names: Vec<String> = delivered(plan).into_iter().map(ToOwned::to_owned).collect();
    if names.is_empty() {
        return Ok(());
    }
    let needed = needs(&context.blueprint);
    let mut problems = Diagnostics::new();
    let (mut made, mut asked) = (Vec::new(), Vec::new());
    for name in &names {
        match context.secrets.standing(name) {
            Ok(Standing::There { .. }) => {}
            Ok(Standing::ToMake(_)) => made.push(name.as_str()),
            Ok(Standing::Asked) => asked.push(name.as_str()),
            Err(error) => problems.push(refused(name, &error, needed.get(name))),
        }
    }
    if !made.is_empty() {
        plan.notes.push(format!("will generate {}{}", join_and(quoted(&made)), kept_where(&context.secrets)));
    }
    if !asked.is_empty() {
        plan.notes.push(format!("will ask for {}", join_and(quoted(&asked))));
    }
    if problems.has_errors() { Err(CommandError::in_files(problems, context.sources.clone())) } else { Ok(()) }
}

fn quoted(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

/// Where our own store is, and that it is not encrypted if it is not.
fn kept_where(secrets: &Secrets) -> String {
    match secrets.own() {
        Some(own) if own.is_sealed() => format!(", kept encrypted in {}", own.directory()),
        Some(own) => format!(
            ", kept in {} for nobody else to read, and not encrypted: `secrets.store.recipients` would have it encrypted",
            own.directory()
        ),
        None => String::new(),
    }
}

/// A secret that cannot be had, with who needs it.
pub(super) fn refused(name: &str, error: &SecretError, need: Option<&Need>) -> Diagnostic {
    let users: Vec<String> = need.iter().flat_map(|need| &need.users).map(ToString::to_string).collect();
    let of = if users.is_empty() { String::new() } else { format!(" of {}", join_and(users)) };
    Diagnostic::error("secret.missing", format!("the secret `{name}`{of} cannot be had"))
        .cause(error.to_string())
        .hint_maybe(error.hint())
        .at_maybe(need.and_then(|need| need.span), "asked for here")
}

/// Has every secret at hand that carrying out a plan delivers: asks for and makes those that are not there yet. From here
/// on nobody is asked any more.
pub(super) fn gather(context: &Context, plan: &Plan, writer: &mut Writer) -> Result<(), CommandError> {
    let names = delivered(plan);
    if names.is_empty() {
        return Ok(());
    }
    let needed = needs(&context.blueprint);
    let mut problems = Diagnostics::new();
    let mut made = Vec::new();
    for name in names {
        match context.secrets.ensure(name) {
            Ok(true) => made.push(name),
            Ok(false) => {}
            Err(error) => problems.push(refused(name, &error, needed.get(name))),
        }
    }
    if !made.is_empty() {
        writer.tell(&format!("generated {}{}\n", join_and(quoted(&made)), kept_where(&context.secrets)));
    }
    if problems.has_errors() { Err(CommandError::in_files(problems, context.sources.clone())) } else { Ok(()) }
}

/// Lets replaced values go of which a run has just proven that nobody holds them any more.
pub(super) fn settle(context: &Context, intent: &Intent, verb: Verb) -> Result<(), CommandError> {
    let everything = intent.scope == Scope::default();
    let (Verb::Apply, true, Some(own)) = (verb, everything, context.secrets.own()) else { return Ok(()) };
    let replaced: BTreeMap<String, Need> =
        needs(&context.blueprint).into_iter().filter(|(name, _)| own.has_previous(name)).collect();
    let mut problems = Diagnostics::new();
    for (name, need) in &replaced {
        if let Err(error) = own.let_go(name) {
            problems.push(refused(name, &error, Some(need)));
        }
    }
    if problems.has_errors() { Err(problems.into()) } else { Ok(()) }
}
