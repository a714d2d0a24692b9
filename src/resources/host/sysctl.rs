//! `sysctl`: settings of the running kernel and of every next one, in a drop-in of `sysctl.d`.

use super::files::FileChange;
use super::modules::steps;
use super::{config, header, machine};
use crate::blueprint::{Blueprint, Host};
use crate::model::change::{Action, Via};
use crate::model::step::{Op, StepId, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::resources::difference::{Fields, between, change as changed};
use crate::resources::operations::{check, exec, output};
use crate::resources::{Changed, Context, Finding, Removal, Resource};

/// Read late: what an earlier file says is said again here.
const DROP_IN: &str = "/etc/sysctl.d/99-zz-infra.conf";

struct Sysctl<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let hosts = blueprint.hosts.values().filter(|host| host.system.span.is_some());
    hosts.map(|host| Box::new(Sysctl { blueprint, host }) as Box<dyn Resource>).collect()
}

/// Words of a value are separated by whatever the kernel likes.
fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Resource for Sysctl<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Sysctl, &self.host.name)
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
        let desired: Fields = self.host.system.sysctl.clone();
        let text = (!desired.is_empty()).then(|| {
            desired.iter().fold(header(self.blueprint), |text, (key, value)| format!("{text}{key} = {value}\n"))
        });
        let change = match FileChange::new(config, DROP_IN, text, self.host.system.span) {
            Ok(change) => change,
            Err(problem) => return Finding::Refused(problem.into()),
        };
        let fact = &machine(context, self.host).sysctl;
        let Some(now) = fact.value().filter(|_| fact.is_complete() || desired.is_empty()) else {
            if desired.is_empty() && change.is_none() {
                return Finding::Unchanged { desired };
            }
            let why = fact.why().unwrap_or("not known");
            return Finding::Gap { why: format!("kernel settings of `{}`: {why}", self.host.name) };
        };
        let current: Fields = desired.keys().filter_map(|key| Some((key.clone(), words(now.get(key)?)))).collect();
        let differs: Vec<&String> = desired.keys().filter(|key| current.get(*key) != desired.get(*key)).collect();
        let unfinished = !desired.is_empty() && context.unfinished.contains(&StepId::new(&addr, "write"));
        if change.is_none() && differs.is_empty() && !unfinished {
            return Finding::Unchanged { desired };
        }
        let changes: Vec<FileChange<'_>> = change.into_iter().collect();
        let mut differences = between(&current, &desired);
        differences.extend(changes.iter().map(FileChange::difference));
        let mut altered = changed(addr.clone(), Action::Update, &differences, context.memory);
        altered.via = Via::Ssh;
        let follow: Vec<Op> = if desired.is_empty() {
            Vec::new()
        } else {
            let mut ops = vec![exec(["sysctl", "-p", DROP_IN])];
            ops.extend(desired.iter().filter(|(_, value)| !value.contains(' ')).map(|(key, value)| {
                check(output(["sysctl", "-n", key], value), format!("the kernel did not take {value} for `{key}`"))
            }));
            ops
        };
        let mut steps = steps(&addr, &self.host.name, "kernel settings", &changes, Vec::new());
        if let Some(write) = steps.last_mut() {
            write.ops.extend(follow);
            if let Undo::Ops { ops } = &mut write.undo {
                ops.extend(
                    differs
                        .iter()
                        .filter_map(|key| Some(exec(["sysctl", "-w", &format!("{key}={}", current.get(*key)?)]))),
                );
            }
        }
        Finding::Changed(Changed {
            change: altered,
            steps,
            seen: format!("{current:?} {changes:?}"),
            desired,
            notes: Vec::new(),
        })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        None
    }
}
