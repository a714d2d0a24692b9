//! `arc_limit`: how much ZFS may cache from now on; what it may from the next boot on is `modprobe`'s.

use super::modprobe::least_arc;
use super::{Context, Finding, machine};
use crate::blueprint::{Blueprint, Host};
use crate::model::change::{Action, Via};
use crate::model::step::{Op, Undo};
use crate::model::{Addr, HostName, Kind, Size};
use crate::resources::difference::{Fields, between, change};
use crate::resources::operations::{check, exec, output, step};
use crate::resources::{Changed, Removal, Resource};

struct ArcLimit<'a> {
    host: &'a Host,
    limit: Size,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let limits = blueprint.hosts.values().filter_map(|host| Some(ArcLimit { host, limit: host.system.arc? }));
    limits.map(|limit| Box::new(limit) as Box<dyn Resource>).collect()
}

/// Sets a parameter of the loaded module and reads it back. There is no program for it but the shell.
fn set(parameter: &str, value: u64) -> [Op; 2] {
    let path = format!("/sys/module/zfs/parameters/{parameter}");
    [
        exec(["sh", "-c", &format!("echo {value} > {path}")]),
        check(output(["cat", &path], value.to_string()), format!("ZFS did not take {value} for `{parameter}`")),
    ]
}

fn shown(limit: u64) -> Fields {
    let limit = if limit == 0 { "ZFS's own".to_owned() } else { Size::bytes(limit).to_string() };
    Fields::from([("limit".to_owned(), limit)])
}

impl Resource for ArcLimit<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::ArcLimit, &self.host.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let fact = &machine(context, self.host).memory;
        let Some(memory) = fact.value() else {
            let why = fact.why().unwrap_or("not known");
            return Finding::Gap { why: format!("memory of `{}`: {why}", self.host.name) };
        };
        let wanted = self.limit.as_bytes();
        let desired = shown(wanted);
        // Without the module nothing is cached.
        let Some(arc) = memory.arc.filter(|arc| arc.parameter != wanted) else {
            return Finding::Unchanged { desired };
        };
        let current = shown(arc.parameter);
        let differences = between(&current, &desired);
        let mut change = change(addr.clone(), Action::Update, &differences, context.memory);
        change.via = Via::Ssh;
        let mut ops = Vec::new();
        let undo = set("zfs_arc_max", arc.parameter).to_vec();
        if let Some(least) = least_arc(wanted, memory.total, Some(arc.floor)) {
            // What the floor was set to is not read; it comes back with the next boot.
            ops.extend(set("zfs_arc_min", least));
        }
        ops.extend(set("zfs_arc_max", wanted));
        let title = format!("limit ZFS's cache to {} from now on", self.limit);
        let mut set = step(&addr, "set", title, &self.host.name, ops);
        set.undo = Undo::Ops { ops: undo };
        Finding::Changed(Changed { change, steps: vec![set], desired, seen: format!("{current:?}"), notes: Vec::new() })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        None
    }
}
