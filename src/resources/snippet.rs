//! `snippet`: a VM's cloud-init user data, put on a file storage over SSH.
//!
//! PVE's API uploads no snippets. The file is small, holds public keys only, and is compared by its
//! SHA-256.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use camino::Utf8Path;
use sha2::{Digest, Sha256};

use super::difference::{Fields, between, change};
use super::operations::{check, exec, output, step};
use super::storage::{files_kept, takes};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Guest, GuestShape, Host, Vm};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::{Action, Via};
use crate::model::observed::Observed;
use crate::model::step::{Op, Undo};
use crate::model::{Addr, GuestName, HostName, Kind};
use crate::render::user_data;

struct Snippet<'a> {
    blueprint: &'a Blueprint,
    guest: &'a Guest,
    host: &'a Host,
    vm: &'a Vm,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    snippets(blueprint).into_iter().map(|snippet| Box::new(snippet) as Box<dyn Resource>).collect()
}

fn snippets(blueprint: &Blueprint) -> Vec<Snippet<'_>> {
    let of = |guest| snippet_of(blueprint, guest);
    blueprint.guests.values().filter_map(of).collect()
}

fn snippet_of<'a>(blueprint: &'a Blueprint, guest: &'a Guest) -> Option<Snippet<'a>> {
    match &guest.shape {
        GuestShape::Vm(vm) => Some(Snippet { blueprint, guest, host: blueprint.host_of(guest), vm }),
        GuestShape::Container(_) => None,
    }
}

/// The address of a VM's snippet.
pub fn addr(guest: &GuestName) -> Addr {
    Addr::new(Kind::Snippet, guest)
}

fn file_name(blueprint: &Blueprint, guest: &Guest) -> String {
    format!("infra-{}-{}.yaml", blueprint.name, guest.name)
}

/// The volume id by which the VM's `cicustom` names its snippet.
pub fn volume(blueprint: &Blueprint, guest: &Guest) -> String {
    format!("{}:snippets/{}", blueprint.host_of(guest).storage.files, file_name(blueprint, guest))
}

/// Names of the snippet files that matter, below `snippets/` of each host's file storage: what an
/// observation has to look at.
#[must_use]
pub fn snippets_of_interest(blueprint: &Blueprint) -> BTreeMap<HostName, BTreeSet<String>> {
    let mut files: BTreeMap<HostName, BTreeSet<String>> = BTreeMap::new();
    for snippet in snippets(blueprint) {
        files.entry(snippet.host.name.clone()).or_default().insert(file_name(blueprint, snippet.guest));
    }
    files
}

fn sha256(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

enum Path {
    At(String),
    Unknown(String),
    None(Diagnostic),
}

impl Snippet<'_> {
    fn path(&self, observed: &Observed) -> Path {
        let storage = &self.host.storage.files;
        let paths = &observed.hosts[&self.host.name].storage_paths;
        match paths.value() {
            None => Path::Unknown(paths.why().unwrap_or("not known").to_owned()),
            Some(paths) => match paths.get(storage) {
                Some(path) => Path::At(format!("{path}/snippets/{}", file_name(self.blueprint, self.guest))),
                None => Path::None(
                    Diagnostic::error(
                        "plan.storage-without-directory",
                        format!("storage `{storage}` of host `{}` has no directory for snippets", self.host.name),
                    )
                    .at(self.host.span, "named in this host's `storage.files`")
                    .hint("use a storage of type `dir`, `nfs` or `cifs` for `storage.files`, such as `local`"),
                ),
            },
        }
    }

    fn content(&self) -> String {
        user_data(&self.guest.name, &self.vm.user, &self.guest.ssh_keys, &self.vm.packages, self.vm.agent.enabled)
    }
}

impl Resource for Snippet<'_> {
    fn addr(&self) -> Addr {
        addr(&self.guest.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let content = self.content();
        let wanted = sha256(&content);
        let desired = Fields::from([("sha256".to_owned(), wanted.clone())]);
        if let Err(finding) = takes(context, self.host, &files_kept(self.host, "snippets")) {
            return finding;
        }
        let path = match self.path(context.observed) {
            Path::At(path) => path,
            Path::Unknown(why) => {
                return Finding::Gap { why: format!("storage directories of `{}`: {why}", self.host.name) };
            }
            Path::None(problem) => return Finding::Refused(problem.into()),
        };
        let files = &context.observed.hosts[&self.host.name].files;
        let Some(seen) = files.value().and_then(|files| files.get(&path)) else {
            return Finding::Gap {
                why: format!("files of `{}`: {}", self.host.name, files.why().unwrap_or("not asked for")),
            };
        };
        let current: Fields = seen.iter().map(|file| ("sha256".to_owned(), file.sha256.clone())).collect();
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let action = if seen.is_some() { Action::Update } else { Action::Create };
        let directory = Utf8Path::new(&path).parent().map_or("/", Utf8Path::as_str);
        let mut step = step(
            &addr,
            "write",
            format!("write {path}"),
            &self.host.name,
            vec![
                exec(["mkdir", "-p", directory]),
                Op::PutFile { path: path.clone(), content: content.into(), mode: 0o600 },
                check(output(["sha256sum", &path], format!("{wanted}  {path}")), "the file reads back differently"),
            ],
        );
        step.undo = if seen.is_some() {
            Undo::nothing("the file is written anew by every apply; its old content is not kept")
        } else {
            Undo::Ops { ops: vec![exec(["rm", "-f", &path])] }
        };
        let mut change = change(addr, action, &differences, context.memory);
        change.via = Via::Ssh;
        let mut notes = Vec::new();
        if action == Action::Update {
            // PVE derives the instance's id from user data and network (Cloudinit.pm): new data, new instance.
            notes.push(format!(
                "{}: its next start is a new instance for cloud-init, which reads the user data anew and makes \
                 new SSH host keys",
                self.guest.name
            ));
        }
        Finding::Changed(Changed { change, steps: vec![step], desired, seen: format!("{current:?}"), notes })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let Path::At(path) = self.path(context.observed) else { return None };
        let files = context.observed.hosts[&self.host.name].files.value()?;
        let file = files.get(&path)?.as_ref()?;
        let addr = self.addr();
        let mut step =
            step(&addr, "destroy", format!("remove {path}"), &self.host.name, vec![exec(["rm", "-f", &path])]);
        step.undo = Undo::nothing("the next apply writes it again");
        let mut change = change(addr, Action::Destroy, &[], context.memory);
        change.via = Via::Ssh;
        Some(Removal {
            change,
            steps: vec![step],
            holds_data: false,
            seen: file.sha256.clone(),
            refused: Diagnostics::new(),
        })
    }
}
