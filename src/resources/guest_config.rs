//! What every configuration in a guest has in common: which guest, what was seen in it, whose files are there.

use std::collections::BTreeMap;

use super::difference::{Fields, between, change};
use super::guest::{guest_addr, locate};
use super::operations::step;
use super::switch::{Switch, new_of, sha256};
use super::{Changed, Context, Finding};
use crate::blueprint::{Blueprint, Guest, GuestShape, Host};
use crate::diag::{Diagnostic, Span};
use crate::model::change::{Action, Risk, Via};
use crate::model::guest_look::{GuestLook, GuestQuestion};
use crate::model::{Addr, HostName, Inside};

/// How a configuration of ours begins.
const OURS: &str = "# Written by infra for ";

/// A file that may be somebody else's.
pub struct Whose {
    /// Where it is.
    pub path: String,
    /// The package that brings it, if one does: as that has it, it is nobody's.
    pub package: Option<&'static str>,
}

/// A configuration in a guest.
pub struct GuestConfigured<'a> {
    pub blueprint: &'a Blueprint,
    pub guest: &'a Guest,
    pub host: &'a Host,
    /// Where it was declared.
    pub span: Span,
    /// What it is, for a person: `Caddy`.
    pub program: &'static str,
    /// The step's title.
    pub title: String,
    /// Where the program may be; one of them has to be there.
    pub programs: &'static [&'static str],
    /// Files that must be ours, or nobody's.
    pub whose: Vec<Whose>,
}

/// How a guest is reached into.
pub fn inside(guest: &Guest) -> Inside {
    match guest.shape {
        GuestShape::Container(_) => Inside::Container { vmid: guest.vmid },
        GuestShape::Vm(_) => Inside::Vm { vmid: guest.vmid },
    }
}

/// What has to be looked at in the guests of a host.
pub fn guest_questions(blueprint: &Blueprint, host: &HostName) -> Vec<(Inside, GuestQuestion)> {
    let mut all: BTreeMap<_, (Inside, GuestQuestion)> = BTreeMap::new();
    let asked = super::routes::questions(blueprint).into_iter().chain(super::zones::questions(blueprint));
    for (guest, question) in asked.filter(|(guest, _)| guest.host == *host) {
        all.entry(guest.vmid).or_insert_with(|| (inside(guest), GuestQuestion::default())).1.join(question);
    }
    all.into_values().collect()
}

/// Whether a line begins a file of ours.
pub fn is_ours(blueprint: &Blueprint, line: &str) -> bool {
    // Zone files and named.conf have comments of their own.
    let bare = line.trim_start_matches([';', '/', '#', ' ']);
    bare.starts_with(&format!("{}{}:", OURS.trim_start_matches("# "), blueprint.name))
}

impl GuestConfigured<'_> {
    /// What was seen in the guest, or why nothing can be said of it.
    pub fn look<'c>(&self, context: &'c Context<'_>) -> Result<&'c GuestLook, Box<Finding>> {
        let gap = |why: String| Err(Box::new(Finding::Gap { why }));
        let name = &self.guest.name;
        let Ok(located) = locate(context, self.guest) else {
            return gap(format!("{} cannot be planned", guest_addr(self.guest)));
        };
        if !located.present || !located.running || located.goes_first(context, self.guest) {
            return gap(format!(
                "{} does not run yet: it follows when {} is in it",
                guest_addr(self.guest),
                self.program
            ));
        }
        let look = match context.observed.hosts[&self.host.name].looks.get(&self.guest.vmid) {
            Some(fact) => match fact.value() {
                Some(look) => look,
                None => return gap(fact.why().unwrap_or("not known").to_owned()),
            },
            None => return gap(format!("nobody looked into {name}: SSH to its host is needed")),
        };
        if !self.programs.iter().any(|program| look.there.contains(*program)) {
            return gap(format!("there is no {} in {name} yet: install it, then plan again", self.program));
        }
        Ok(look)
    }

    /// The first file that is somebody else's.
    fn foreign(&self, look: &GuestLook) -> Option<Diagnostic> {
        let foreign = self.whose.iter().find_map(|file| {
            let there = look.files.get(&file.path)?;
            let line = there.first_line.as_deref().unwrap_or_default();
            let free = is_ours(self.blueprint, line)
                || file.package.is_some_and(|package| look.is_packaged(&file.path, package));
            (!free).then_some((&file.path, line))
        });
        let (path, line) = foreign?;
        let problem = format!("{} in `{}` has a configuration that is not ours", self.program, self.guest.name);
        let begin = format!("{OURS}{}:", self.blueprint.name);
        let problem = Diagnostic::error("plan.foreign-configuration", problem)
            .cause(match line {
                "" => format!("{path} has no comment of ours"),
                line => format!("{path} begins with `{}`", line.escape_debug()),
            })
            .at(self.span, "")
            .hint(format!("keep what is needed of it elsewhere and remove the file, or let it begin with `{begin}`"));
        Some(problem)
    }

    /// Holds what should be against what is there. `current` and `desired` are what cannot be told from files alone.
    pub fn find(
        &self,
        addr: Addr,
        context: &Context<'_>,
        look: &GuestLook,
        switch: &Switch,
        (mut current, mut desired): (Fields, Fields),
    ) -> Finding {
        if let Some(problem) = self.foreign(look) {
            return Finding::Refused(problem.into());
        }
        desired.insert("loaded".to_owned(), "yes".to_owned());
        let waits = switch.files.iter().any(|file| look.there.contains(&new_of(&file.path)));
        current.insert("loaded".to_owned(), if waits { "no" } else { "yes" }.to_owned());
        for file in &switch.files {
            let Some(text) = file.content.text() else { continue };
            let digest = sha256(text);
            let known_as = file.known_as.clone().unwrap_or_else(|| digest.clone());
            if let Some(there) = look.files.get(&file.path) {
                let known = if there.sha256 == digest { known_as.clone() } else { there.sha256.clone() };
                current.insert(file.path.clone(), known);
            }
            desired.insert(file.path.clone(), known_as);
        }
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let ours = self.whose.iter().filter_map(|file| look.files.get(&file.path)?.first_line.as_deref());
        let known = ours.into_iter().any(|line| is_ours(self.blueprint, line));
        let action = if known { Action::Update } else { Action::Create };
        let (ops, undo) = switch.operations(look);
        let mut step = step(&addr, "write", self.title.clone(), &self.host.name, ops);
        step.inside = Some(inside(self.guest));
        (step.undo, step.risk) = (undo, Risk::Reachability);
        step.exclusive = vec![format!("{}/guest/{}", self.host.site, self.guest.vmid)];
        let mut change = change(addr, action, &differences, context.memory);
        (change.via, change.risk) = (Via::Ssh, Risk::Reachability);
        Finding::Changed(Changed {
            change,
            steps: vec![step],
            desired,
            seen: format!("{current:?}"),
            notes: Vec::new(),
        })
    }
}
