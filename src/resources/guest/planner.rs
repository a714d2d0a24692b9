//! What differs on a guest, and what follows from it.

use std::collections::BTreeMap;

use super::ready::ready;
use super::{Located, RootPart, Shape, guest_addr, locate, tool};
use crate::blueprint::{Guest, PowerState};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::{Action, Risk, Via};
use crate::model::observed::GuestConfig;
use crate::model::step::{Step, Undo};
use crate::model::{Addr, HostName, Kind, Size};
use crate::proxmox::options::Options;
use crate::resources::difference::{Difference, Fields, change};
use crate::resources::operations::exec;
use crate::resources::setting::{Setting, Settled, settle};
use crate::resources::{Changed, Context, Finding, Removal, guest_firewall};

/// The one way in which both kinds of guests are planned.
pub struct Planner<'a, 'c> {
    pub context: &'a Context<'c>,
    pub guest: &'a Guest,
    pub shape: &'a dyn Shape,
}

impl Planner<'_, '_> {
    pub(super) fn host(&self) -> &HostName {
        &self.guest.host
    }

    pub(super) fn site(&self) -> &str {
        &self.context.blueprint.host_of(self.guest).site
    }

    /// What it should be, field by field.
    fn desired(&self, root: &RootPart) -> Fields {
        let mut fields: Fields = self
            .shape
            .settings()
            .iter()
            .filter_map(|setting| Some((setting.path.clone(), setting.desired()?)))
            .collect();
        fields.extend(root.desired.clone());
        fields.insert("disk".into(), self.guest.disk.to_string());
        fields.insert("storage".into(), self.guest.storage.to_string());
        fields.insert("pool".into(), self.context.blueprint.pool.to_string());
        fields.insert("power".into(), show_power(self.guest.power).into());
        fields
    }

    /// What differs, and how it is mended.
    pub fn find(&self) -> Finding {
        let located = match locate(self.context, self.guest) {
            Ok(located) => located,
            Err(finding) => return *finding,
        };
        if located.present { self.find_present(&located) } else { self.find_absent(&located) }
    }

    fn find_absent(&self, located: &Located) -> Finding {
        if let Err(finding) = ready(self.context, self.guest) {
            return finding;
        }
        let root = self.shape.root_part(located);
        let desired = self.desired(&root);
        let steps = self.creation(located, &root);
        let addr = guest_addr(self.guest);
        let differences: Vec<Difference> =
            desired.iter().map(|(path, to)| Difference::new(path, None::<String>, Some(to))).collect();
        let mut change = change(addr, Action::Create, &differences, self.context.memory);
        change.via = overall(&steps);
        let mut notes = Vec::new();
        if located.torso {
            change.reason = "an earlier create of it was cut off halfway; the torso goes first".into();
            notes.push(format!("{} holds the torso of our interrupted create; it has no data", self.guest.vmid));
        }
        Finding::Changed(Changed {
            change,
            steps,
            desired,
            seen: if located.torso { "torso".into() } else { "absent".into() },
            notes,
        })
    }

    fn find_present(&self, located: &Located) -> Finding {
        let config = &located.config;
        let settings = self.shape.settings();
        let Settled { mut differences, write } = settle(&settings, config, located.running);
        let root = self.shape.root_part(located);
        differences.extend(root.differences.iter().cloned());

        let system = Options::parse(config.coming(located.disk_key()).unwrap_or_default());
        let size = system.get("size").and_then(Size::from_pve);
        let grow = size.is_some_and(|size| size < self.guest.disk);
        if let Some(size) = size.filter(|size| *size > self.guest.disk) {
            return Finding::Refused(shrink(self.guest, size).into());
        }
        if grow {
            differences.push(Difference::new(
                "disk",
                size.map(|size| size.to_string()),
                Some(self.guest.disk.to_string()),
            ));
        }
        let storage = located.disk_storage();
        let moved = storage.is_some_and(|storage| storage != self.guest.storage.as_str());
        if moved {
            differences.push(Difference::new("storage", storage, Some(self.guest.storage.to_string())));
        }
        let pool = located.listing.as_ref().and_then(|listing| listing.pool.clone());
        let wanted_pool = self.context.blueprint.pool.to_string();
        let joins = pool.as_deref() != Some(wanted_pool.as_str());
        if joins {
            differences.push(Difference::new("pool", pool.clone(), Some(wanted_pool)));
        }
        let shall_run = self.guest.power == PowerState::Running;
        if located.running != shall_run {
            let power = |running: bool| if running { "running" } else { "stopped" };
            differences.push(Difference::new("power", Some(power(located.running)), Some(power(shall_run))));
        }
        let desired = self.desired(&root);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        if let Some(lock) = config.active("lock") {
            let tasks = &self.context.observed.sites[self.site()].tasks;
            return Finding::Gap { why: super::lock::reason(lock, self.guest.vmid, located, tasks) };
        }
        if moved {
            return self.replace(located, &differences, desired);
        }
        self.update(located, Update { differences, write, settings, root, grow, joins, pool, desired })
    }

    fn update(&self, located: &Located, update: Update) -> Finding {
        let addr = guest_addr(self.guest);
        let mut steps: Vec<Step> = Vec::new();
        if !update.write.is_empty() {
            steps.push(self.settings_step(located, &update));
        }
        if update.grow {
            steps.push(self.resize(located, Undo::irreversible("disks only grow; nothing is lost by it")));
        }
        match self.root_step(located, &update.root) {
            Some(_) if located.shell.is_none() => {
                return Finding::Gap {
                    why: format!(
                        "it is on node `{}`, which the inventory does not know, and needs root there",
                        located.node
                    ),
                };
            }
            Some(step) => steps.push(step),
            None => {}
        }
        if update.joins {
            steps.push(self.join_step(update.pool.as_deref()));
        }
        let shall_run = self.guest.power == PowerState::Running;
        let restarts = shall_run && update.differences.iter().any(|difference| difference.restart);
        // A restart is two steps, so that taking it back starts a guest that went down and did not come up.
        let last = match (located.running, shall_run) {
            (true, true) if restarts => vec![self.shutdown(located), self.restart(located)],
            (false, true) => vec![self.restart(located)],
            (true, false) => vec![self.shutdown(located)],
            _ => Vec::new(),
        };
        let action = if restarts && located.running { Action::Restart } else { Action::Update };
        for mut step in last {
            step.needs.push(guest_firewall::set_step(&self.guest.name));
            step.needs.extend(update.root.needs.iter().cloned());
            steps.push(step);
        }
        // One after the other: each changes the digest that the first one holds against the host's.
        for index in 1..steps.len() {
            let before = steps[index - 1].id.clone();
            steps[index].needs.push(before);
        }
        let mut change = change(addr, action, &update.differences, self.context.memory);
        change.via = overall(&steps);
        change.risk = steps.iter().map(|step| step.risk).max().unwrap_or(Risk::None);
        Finding::Changed(Changed { change, steps, desired: update.desired, seen: seen(located), notes: Vec::new() })
    }

    fn replace(&self, located: &Located, differences: &[Difference], desired: Fields) -> Finding {
        let addr = guest_addr(self.guest);
        if !self.context.allowed.replaces(&addr) {
            return Finding::Refused(needs_replacement(&addr, self.guest, differences).into());
        }
        if let Some(problem) = self.protected(located) {
            return Finding::Refused(problem.into());
        }
        let fresh = Located {
            kind: located.kind,
            node: located.node.clone(),
            running: false,
            present: false,
            torso: false,
            listing: None,
            config: GuestConfig::default(),
            shell: located.shell.clone(),
        };
        let root = self.shape.root_part(&fresh);
        let mut steps = self.creation(&fresh, &root);
        if let Some(create) = steps.first_mut() {
            let mut ops = self.destruction(located);
            ops.append(&mut create.ops);
            create.ops = ops;
            create.title = format!("remove and {}", create.title);
            create.risk = Risk::DataLoss;
            create.undo = Undo::irreversible("the guest's disks were removed with it");
        }
        let mut change = change(addr, Action::Replace, differences, self.context.memory);
        change.via = overall(&steps);
        change.risk = Risk::DataLoss;
        Finding::Changed(Changed { change, steps, desired, seen: seen(located), notes: Vec::new() })
    }

    fn protected(&self, located: &Located) -> Option<Diagnostic> {
        (located.config.active("protection") == Some("1")).then(|| {
            Diagnostic::error("plan.protected", format!("{} is protected against removal", guest_addr(self.guest)))
                .at(self.guest.span_of("protection"), "this guest")
                .hint("set `protection: false` and apply that first")
        })
    }

    /// How to remove the guest, if it is there and ours.
    pub fn removal(&self) -> Option<Removal> {
        let located = locate(self.context, self.guest).ok().filter(|located| located.present || located.torso)?;
        let addr = guest_addr(self.guest);
        let mut ops = self.destruction(&located);
        if located.torso {
            ops.insert(0, exec([tool(located.kind), "unlock", &self.guest.vmid.to_string()]));
        }
        let mut step = self.step("destroy", format!("destroy {} {}", self.guest.name, self.guest.vmid), ops);
        step.risk = Risk::DataLoss;
        step.undo = Undo::irreversible("the guest's disks were removed with it");
        let mut change = change(addr, Action::Destroy, &[], self.context.memory);
        change.via = step.via;
        change.risk = Risk::DataLoss;
        Some(Removal {
            change,
            seen: seen(&located),
            steps: vec![step],
            holds_data: true,
            refused: self.protected(&located).into_iter().collect::<Diagnostics>(),
        })
    }
}

/// How a guest that is there differs.
pub(super) struct Update {
    pub(super) differences: Vec<Difference>,
    pub(super) write: BTreeMap<String, Option<String>>,
    pub(super) settings: Vec<Setting>,
    pub(super) root: RootPart,
    pub(super) grow: bool,
    pub(super) joins: bool,
    pub(super) pool: Option<String>,
    pub(super) desired: Fields,
}

fn seen(located: &Located) -> String {
    format!(
        "{} {} {:?} {:?}",
        located.node,
        if located.running { "running" } else { "stopped" },
        located.config.current,
        located.config.pending
    )
}

fn overall(steps: &[Step]) -> Via {
    steps.iter().map(|step| step.via).reduce(Via::and).unwrap_or(Via::Api)
}

fn show_power(power: PowerState) -> &'static str {
    match power {
        PowerState::Running => "running",
        PowerState::Stopped => "stopped",
    }
}

fn shrink(guest: &Guest, size: Size) -> Diagnostic {
    Diagnostic::error(
        "plan.disk-shrink",
        format!("the disk of `{}` has {size} and cannot shrink to {}", guest.name, guest.disk),
    )
    .at(guest.span_of("disk"), "smaller than what is there")
    .cause("Proxmox only grows disks")
    .hint(format!("write `disk: {size}`"))
}

fn needs_replacement(addr: &Addr, guest: &Guest, differences: &[Difference]) -> Diagnostic {
    let moved = differences.iter().find(|difference| difference.path == "storage");
    let from = moved.and_then(|difference| difference.from.clone()).unwrap_or_default();
    Diagnostic::error("plan.needs-replacement", format!("{addr} would have to be removed and made anew"))
        .at(guest.span_of("storage"), format!("its disk is on `{from}`"))
        .cause("its disk cannot be moved in place by this version, and everything on it would be lost")
        .hint(format!(
            "move the disk by hand (`{}`), or allow the loss: `--allow-replace {addr}`",
            match addr.kind {
                Kind::Vm => format!("qm disk move {} scsi0 {}", guest.vmid, guest.storage),
                _ => format!("pct move-volume {} rootfs {}", guest.vmid, guest.storage),
            }
        ))
}
