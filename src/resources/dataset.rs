//! `dataset`: a ZFS file system that is mounted into containers, over SSH as root.
//!
//! Marked as ours by the user property `infra:owner`. Its directory belongs to the container's user,
//! shifted by 100,000 as `/etc/subuid` has it for unprivileged containers. The parent of all datasets
//! is made if it is not there, and left alone if it is.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Fields, between, change};
use super::operations::{check, exec, output, step};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, DatasetMount, GuestShape, Host};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::{Action, Risk};
use crate::model::observed::Dataset as There;
use crate::model::step::{Op, StepId, Undo};
use crate::model::{Addr, DatasetName, HostName, Kind, Size};

/// Where uids of an unprivileged container begin on the host (`/etc/subuid`: `root:100000:65536`).
const UID_SHIFT: u32 = 100_000;

struct Dataset<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
    name: DatasetName,
    /// What decides its properties; `None` for the parent of all.
    mount: Option<&'a DatasetMount>,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let mut datasets: Vec<Box<dyn Resource + '_>> = Vec::new();
    for host in blueprint.hosts.values() {
        let mut wanted: BTreeMap<&DatasetName, &DatasetMount> = BTreeMap::new();
        for guest in blueprint.guests.values().filter(|guest| guest.host == host.name) {
            let GuestShape::Container(container) = &guest.shape else { continue };
            for mount in &container.datasets {
                let known = wanted.entry(&mount.dataset).or_insert(mount);
                if mount.owner {
                    *known = mount;
                }
            }
        }
        if wanted.is_empty() {
            continue;
        }
        if let Some(parent) = &host.storage.datasets
            && !wanted.contains_key(parent)
        {
            datasets.push(Box::new(Dataset { blueprint, host, name: parent.clone(), mount: None }));
        }
        for (name, mount) in wanted {
            datasets.push(Box::new(Dataset { blueprint, host, name: name.clone(), mount: Some(mount) }));
        }
    }
    datasets
}

/// Parents of the datasets that are mounted into containers, of each host that has one declared.
pub fn parents(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let parents = blueprint.hosts.values().filter(|host| host.access.ssh.is_some()).filter_map(|host| {
        let name = host.storage.datasets.clone()?;
        Some(Dataset { blueprint, host, name, mount: None })
    });
    parents.map(|parent| Box::new(parent) as Box<dyn Resource>).collect()
}

/// Datasets whose directory's owner matters, of each host.
#[must_use]
pub fn datasets_of_interest(blueprint: &Blueprint) -> BTreeMap<HostName, BTreeSet<DatasetName>> {
    let mut datasets: BTreeMap<HostName, BTreeSet<DatasetName>> = BTreeMap::new();
    for guest in blueprint.guests.values() {
        let GuestShape::Container(container) = &guest.shape else { continue };
        for mount in &container.datasets {
            datasets.entry(guest.host.clone()).or_default().insert(mount.dataset.clone());
        }
    }
    datasets
}

/// The address of a dataset on a host.
pub fn addr(host: &HostName, dataset: &DatasetName) -> Addr {
    Addr::placed(Kind::Dataset, host, dataset)
}

/// Where a dataset of ours is mounted on the host.
pub fn mountpoint(dataset: &DatasetName) -> String {
    format!("/{dataset}")
}

impl Dataset<'_> {
    /// ZFS properties that we set, as `zfs get -Hp` prints them.
    fn properties(&self) -> BTreeMap<&'static str, String> {
        let mut properties = BTreeMap::from([("mountpoint", mountpoint(&self.name))]);
        if let Some(mount) = self.mount {
            properties.insert("quota", mount.quota.map_or(0, Size::as_bytes).to_string());
            if let Some(recordsize) = mount.recordsize {
                properties.insert("recordsize", recordsize.as_bytes().to_string());
            }
            if let Some(compression) = &mount.compression {
                properties.insert("compression", compression.clone());
            }
        }
        properties
    }

    /// Owner of its directory on the host, as `stat -c %u:%g` prints it.
    fn owner(&self) -> Option<String> {
        let (uid, gid) = self.mount?.uid_gid;
        Some(format!("{}:{}", uid + UID_SHIFT, gid + UID_SHIFT))
    }

    fn wanted(&self) -> Fields {
        let shown = |name: &str, value: &str| match name {
            "quota" | "recordsize" => show_bytes(value),
            _ => value.to_owned(),
        };
        let mut fields: Fields =
            self.properties().iter().map(|(name, value)| ((*name).to_owned(), shown(name, value))).collect();
        if let Some(owner) = self.owner() {
            fields.insert("owner".to_owned(), owner);
            fields.insert("mounted".to_owned(), "yes".to_owned());
        }
        fields
    }

    /// What is there, of the fields that we manage.
    fn read(&self, there: &There) -> Fields {
        let bytes = |value: Option<u64>| show_bytes(&value.unwrap_or(0).to_string());
        let all = [
            ("mountpoint", there.mountpoint.clone().unwrap_or_else(|| "none".into())),
            ("quota", bytes(there.quota)),
            ("recordsize", bytes(there.recordsize)),
            ("compression", there.compression.clone()),
            ("mounted", if there.mounted { "yes" } else { "no" }.to_owned()),
            ("owner", there.uid_gid.map_or_else(|| "not mounted".into(), |(uid, gid)| format!("{uid}:{gid}"))),
        ];
        let wanted = self.wanted();
        all.into_iter()
            .filter(|(name, _)| wanted.contains_key(*name))
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn chown(&self) -> Vec<Op> {
        let directory = mountpoint(&self.name);
        let Some(owner) = self.owner() else { return Vec::new() };
        vec![
            // Under a dataset that is not mounted lies a directory of the parent that looks just like it.
            check(
                output(["zfs", "get", "-Hp", "-o", "value", "mounted", self.name.as_str()], "yes"),
                format!("`{}` is not mounted: look at `zfs get canmount,keystatus {0}`", self.name),
            ),
            exec(["chown", &owner, &directory]),
            check(
                output(["stat", "-c", "%u:%g", &directory], owner),
                format!("`{directory}` does not belong to the container's user"),
            ),
        ]
    }

    fn read_back(&self) -> Vec<Op> {
        self.properties()
            .iter()
            .map(|(property, value)| {
                check(
                    output(["zfs", "get", "-Hp", "-o", "value", property, self.name.as_str()], value),
                    format!("`{property}` of `{}` was set and reads back differently", self.name),
                )
            })
            .collect()
    }

    fn parent_step(&self) -> Option<StepId> {
        let parent = self.host.storage.datasets.as_ref()?;
        (*parent != self.name).then(|| StepId::new(&addr(&self.host.name, parent), "create"))
    }
}

fn show_bytes(bytes: &str) -> String {
    match bytes.parse::<u64>() {
        Ok(0) => "none".into(),
        Ok(bytes) => Size::bytes(bytes).to_string(),
        Err(_) => bytes.to_owned(),
    }
}

impl Resource for Dataset<'_> {
    fn addr(&self) -> Addr {
        addr(&self.host.name, &self.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let desired = self.wanted();
        let datasets = &context.observed.hosts[&self.host.name].datasets;
        let Some(all) = datasets.value().filter(|_| datasets.is_complete()) else {
            return Finding::Gap {
                why: format!("datasets of `{}`: {}", self.host.name, datasets.why().unwrap_or("not known")),
            };
        };
        let name = self.name.as_str();
        let Some(there) = all.get(&self.name) else {
            if !all.keys().any(|dataset| dataset.as_str() == self.name.pool()) {
                return Finding::Refused(no_pool(self, all.keys()).into());
            }
            let owner = format!("infra:owner={}", self.blueprint.name);
            let mut argv: Vec<String> = ["zfs", "create", "-p", "-o", &owner].map(Into::into).into();
            for (property, value) in self.properties() {
                argv.extend(["-o".to_owned(), format!("{property}={value}")]);
            }
            argv.push(name.to_owned());
            let mut ops = vec![exec(argv)];
            ops.extend(self.chown());
            ops.extend(self.read_back());
            let mut step = step(&addr, "create", format!("create dataset {name}"), &self.host.name, ops);
            step.undo = Undo::Ops { ops: vec![exec(["zfs", "destroy", name])] };
            step.needs = self.parent_step().into_iter().collect();
            return Finding::Changed(Changed {
                change: via_ssh(change(addr, Action::Create, &between(&Fields::new(), &desired), context.memory)),
                steps: vec![step],
                desired,
                seen: "absent".into(),
                notes: Vec::new(),
            });
        };
        if self.mount.is_none() {
            // The parent serves as it is: nothing of ours is in it but our datasets.
            return Finding::Unchanged { desired };
        }
        if there.owner.as_deref() != Some(self.blueprint.name.as_str()) {
            return Finding::Refused(foreign(self, there).into());
        }
        let current = self.read(there);
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        if let (Some(quota), used) = (self.mount.and_then(|mount| mount.quota), there.used)
            && quota.as_bytes() < used
        {
            return Finding::Refused(too_full(self, quota, used).into());
        }
        let differs = |path: &str| differences.iter().any(|difference| difference.path == path);
        let mut ops: Vec<Op> = self
            .properties()
            .iter()
            .filter(|(property, _)| differs(property))
            .map(|(property, value)| exec(["zfs", "set", &format!("{property}={value}"), name]))
            .collect();
        if differs("mounted") {
            ops.push(exec(["zfs", "mount", name]));
        }
        let before = there_properties(there);
        let mut undo: Vec<Op> = self
            .properties()
            .keys()
            .filter(|property| differs(property))
            .filter_map(|property| {
                let value = before.get(property)?;
                Some(exec(["zfs", "set", &format!("{property}={value}"), name]))
            })
            .collect();
        if differs("owner") || differs("mountpoint") || differs("mounted") {
            ops.extend(self.chown());
            undo.extend(
                there.uid_gid.map(|(uid, gid)| exec(["chown", &format!("{uid}:{gid}"), &mountpoint(&self.name)])),
            );
        }
        ops.extend(self.read_back());
        let mut step = step(&addr, "update", format!("set properties of {name}"), &self.host.name, ops);
        step.undo = Undo::Ops { ops: undo };
        Finding::Changed(Changed {
            change: via_ssh(change(addr, Action::Update, &differences, context.memory)),
            steps: vec![step],
            desired,
            seen: format!("{current:?}"),
            notes: Vec::new(),
        })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let all = context.observed.hosts[&self.host.name].datasets.value()?;
        let there = all.get(&self.name)?;
        if there.owner.as_deref() != Some(self.blueprint.name.as_str()) {
            return None;
        }
        let addr = self.addr();
        let name = self.name.as_str();
        // Never with -r: what is in it and not ours stops the removal.
        let mut step = step(
            &addr,
            "destroy",
            format!("destroy dataset {name}"),
            &self.host.name,
            vec![exec(["zfs", "destroy", name])],
        );
        step.risk = Risk::DataLoss;
        step.undo = Undo::irreversible("what was in the dataset is gone");
        let mut change = via_ssh(change(addr, Action::Destroy, &[], context.memory));
        change.risk = Risk::DataLoss;
        Some(Removal {
            change,
            steps: vec![step],
            // The parent holds nothing itself; `zfs destroy` refuses while anything is below it.
            holds_data: self.mount.is_some(),
            seen: format!("{:?}", self.read(there)),
            refused: Diagnostics::new(),
        })
    }
}

fn via_ssh(mut change: crate::model::change::Change) -> crate::model::change::Change {
    change.via = crate::model::change::Via::Ssh;
    change
}

fn there_properties(there: &There) -> BTreeMap<&'static str, String> {
    let mut properties =
        BTreeMap::from([("quota", there.quota.unwrap_or(0).to_string()), ("compression", there.compression.clone())]);
    properties.extend(there.mountpoint.clone().map(|mountpoint| ("mountpoint", mountpoint)));
    properties.extend(there.recordsize.map(|recordsize| ("recordsize", recordsize.to_string())));
    properties
}

fn no_pool<'a>(dataset: &Dataset<'_>, all: impl Iterator<Item = &'a DatasetName>) -> Diagnostic {
    let mut pools: Vec<&str> = all.map(DatasetName::pool).collect();
    pools.dedup();
    Diagnostic::error(
        "plan.no-such-zpool",
        format!("host `{}` has no ZFS pool `{}`", dataset.host.name, dataset.name.pool()),
    )
    .at(dataset.mount.map_or(dataset.host.span, |mount| mount.span), format!("`{}` would be in it", dataset.name))
    .cause(if pools.is_empty() {
        "it has no pool at all".into()
    } else {
        format!("its pools are: {}", pools.join(", "))
    })
    .hint("correct `storage.datasets` of the host, or create the pool first")
}

fn foreign(dataset: &Dataset<'_>, there: &There) -> Diagnostic {
    let owner = there.owner.as_ref().map_or("nobody".to_owned(), |owner| format!("the inventory `{owner}`"));
    Diagnostic::error(
        "plan.foreign-dataset",
        format!("dataset `{}` of host `{}` exists and is not ours", dataset.name, dataset.host.name),
    )
    .at(dataset.mount.map_or(dataset.host.span, |mount| mount.span), "wanted here")
    .cause(format!("`infra:owner` names {owner}; {} are in it", Size::bytes(there.used)))
    .hint(format!(
        "use another name, or adopt it with all that is in it: on the host `zfs set infra:owner={} {}`",
        dataset.blueprint.name, dataset.name
    ))
}

fn too_full(dataset: &Dataset<'_>, quota: Size, used: u64) -> Diagnostic {
    Diagnostic::error(
        "plan.quota-below-use",
        format!("dataset `{}` holds more than its new quota of {quota}", dataset.name),
    )
    .at(dataset.mount.map_or(dataset.host.span, |mount| mount.span), "this quota")
    .cause(format!("{} are used", Size::bytes(used)))
    .hint("raise the quota, or make room first")
}
