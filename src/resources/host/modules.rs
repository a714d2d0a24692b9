//! `modules`: what is loaded at boot, in a drop-in of `modules-load.d`; and no `vfio_virqfd` any more.
//!
//! Hosts that pass GPUs through get `vfio`, `vfio_iommu_type1` and `vfio_pci` (pve-docs,
//! `qm-pci-passthrough.adoc`). `vfio_virqfd` is a part of `vfio` since Linux 6.2; lines that still list it go.

use super::files::FileChange;
use super::{config, header, module_list, passed_gpus};
use crate::blueprint::{Blueprint, Host};
use crate::model::change::{Action, Via};
use crate::model::machine::ConfigFiles;
use crate::model::step::{Op, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::resources::difference::{Fields, between, change};
use crate::resources::operations::step;
use crate::resources::{Changed, Context, Finding, Removal, Resource};

const DROP_IN: &str = "/etc/modules-load.d/infra.conf";
const OBSOLETE: &str = "vfio_virqfd";
const VFIO: [&str; 3] = ["vfio", "vfio_iommu_type1", "vfio_pci"];

struct Modules<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let hosts = blueprint.hosts.values().filter(|host| !wanted(blueprint, host).is_empty());
    hosts.map(|host| Box::new(Modules { blueprint, host }) as Box<dyn Resource>).collect()
}

/// Modules that shall be loaded at boot.
fn wanted(blueprint: &Blueprint, host: &Host) -> Vec<String> {
    let vfio = passed_gpus(blueprint, host).next().map_or(&[][..], |_| &VFIO);
    let mut modules: Vec<String> = vfio.iter().map(|module| (*module).to_owned()).collect();
    for module in &host.system.modules {
        if !modules.contains(&module.replace('-', "_")) {
            modules.push(module.clone());
        }
    }
    modules
}

/// Lists of modules that are not ours: those of a link are its target's.
fn lists(config: &ConfigFiles) -> impl Iterator<Item = (&str, &str)> {
    let drop_ins =
        config.in_dir("/etc/modules-load.d", ".conf").filter(|(path, file)| *path != DROP_IN && file.link.is_none());
    let usual = config.get("/etc/modules").map(|file| ("/etc/modules", file));
    usual.into_iter().chain(drop_ins).map(|(path, file)| (path, file.content.as_str()))
}

fn listed(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        .map(|l| l.replace('-', "_"))
}

impl Modules<'_> {
    fn changes<'c>(&self, config: &'c ConfigFiles) -> Result<Vec<FileChange<'c>>, Finding> {
        let mut changes = Vec::new();
        let mut add = |path: &str, after: Option<String>| -> Result<(), Finding> {
            let change = FileChange::new(config, path, after, self.host.system.span);
            changes.extend(change.map_err(|problem| Finding::Refused(problem.into()))?);
            Ok(())
        };
        let elsewhere: Vec<String> = lists(config).flat_map(|(_, text)| listed(text)).collect();
        let wanted = wanted(self.blueprint, self.host);
        let missing: Vec<&String> =
            wanted.iter().filter(|module| !elsewhere.contains(&module.replace('-', "_"))).collect();
        let drop_in = (!missing.is_empty())
            .then(|| missing.iter().fold(header(self.blueprint), |text, module| format!("{text}{module}\n")));
        add(DROP_IN, drop_in)?;
        for (path, text) in lists(config) {
            add(path, Some(module_list::without(text, OBSOLETE)))?;
        }
        Ok(changes)
    }
}

impl Resource for Modules<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Modules, &self.host.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let config = match config(context, self.host) {
            Ok(config) => config,
            Err(finding) => return finding,
        };
        let changes = match self.changes(config) {
            Ok(changes) => changes,
            Err(finding) => return finding,
        };
        let wanted = wanted(self.blueprint, self.host);
        let desired = Fields::from([("modules".to_owned(), wanted.join(" "))]);
        if changes.is_empty() {
            return Finding::Unchanged { desired };
        }
        let there: Vec<String> = lists(config)
            .map(|(_, text)| text)
            .chain(config.content(DROP_IN))
            .flat_map(listed)
            .filter(|module| module == OBSOLETE || wanted.iter().any(|want| want.replace('-', "_") == *module))
            .collect();
        let current = Fields::from([("modules".to_owned(), there.join(" "))]);
        let mut differences = between(&current, &desired);
        differences.extend(changes.iter().map(FileChange::difference));
        let mut change = change(addr.clone(), Action::Update, &differences, context.memory);
        change.via = Via::Ssh;
        let steps = steps(&addr, &self.host.name, "the lists of modules", &changes, Vec::new());
        Finding::Changed(Changed { change, steps, desired, seen: format!("{changes:?}"), notes: Vec::new() })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        None
    }
}

/// Keeps the originals of files, then writes all of them and does what `follow` says, which is done again when
/// they were put back.
pub(super) fn steps(
    addr: &Addr,
    host: &HostName,
    what: &str,
    changes: &[FileChange<'_>],
    follow: Vec<Op>,
) -> Vec<crate::model::step::Step> {
    let mut steps = Vec::new();
    let keep: Vec<Op> = changes.iter().flat_map(FileChange::keep).collect();
    if !keep.is_empty() {
        let mut kept = step(addr, "keep", format!("keep the originals of {what}"), host, keep);
        kept.undo = Undo::nothing("copies of the originals are left");
        steps.push(kept);
    }
    let mut ops: Vec<Op> = changes.iter().flat_map(FileChange::write).collect();
    ops.extend(follow.iter().cloned());
    let mut write = step(addr, "write", format!("write {what}"), host, ops);
    let mut undo: Vec<Op> = changes.iter().rev().flat_map(FileChange::restore).collect();
    undo.extend(follow);
    write.undo = Undo::Ops { ops: undo };
    write.needs = steps.iter().map(|step| step.id.clone()).collect();
    steps.push(write);
    steps
}
