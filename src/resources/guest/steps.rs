//! The steps that make, change, start, stop and remove a guest, in the order that PVE asks for.

use super::planner::Update;
use super::{Located, Planner, RootPart, endpoints, guest_addr, tool};
use crate::blueprint::PowerState;
use crate::model::change::Risk;
use crate::model::observed::GuestKind;
use crate::model::step::{Condition, Expect, Matcher, Op, Step, StepId, Undo};
use crate::proxmox::options::{Options, words};
use crate::resources::form::Form;
use crate::resources::operations::{answer, call, call_until, check, equals, exec, options, step, task, within};
use crate::resources::setting::Setting;
use crate::resources::{guest_firewall, owner_tag, pool};

/// Seconds that a guest may take to shut down before we give up.
const SHUTDOWN_S: u32 = 180;

impl Planner<'_, '_> {
    pub(super) fn exclusive(&self) -> String {
        format!("{}/guest/{}", self.site(), self.guest.vmid)
    }

    pub(super) fn storage(&self) -> String {
        format!("{}/storage/{}", self.host(), self.guest.storage)
    }

    pub(super) fn status(&self, located: &Located, wanted: &str) -> Condition {
        let call = endpoints(located.kind).status.at(&[located.node.as_str(), &self.guest.vmid.to_string()]);
        answer(call, vec![equals("status", wanted)])
    }

    pub(super) fn config(&self, located: &Located, expect: Vec<Expect>) -> Condition {
        let call = endpoints(located.kind).config.at(&[located.node.as_str(), &self.guest.vmid.to_string()]);
        answer(call, expect)
    }

    pub(super) fn step(&self, what: &str, title: String, ops: Vec<Op>) -> Step {
        let mut step = step(&guest_addr(self.guest), what, title, self.host(), ops);
        step.exclusive = vec![self.exclusive()];
        step
    }

    pub(super) fn creation(&self, located: &Located, root: &RootPart) -> Vec<Step> {
        let addr = guest_addr(self.guest);
        let vmid = self.guest.vmid.to_string();
        let node = &located.node;
        let noun = if located.kind == GuestKind::Qemu { "VM" } else { "container" };
        let made = self.config(
            located,
            vec![
                Expect::new("lock", Matcher::Absent),
                Expect::new("tags", Matcher::Contains(owner_tag(&self.context.blueprint.name).to_string())),
            ],
        );
        let mut ops = Vec::new();
        if located.torso {
            ops.push(exec([tool(located.kind), "unlock", &vmid]));
            ops.push(self.delete(located));
        }
        ops.push(task(self.shape.create(node), made.clone()));
        ops.push(within(30, made, "the create ended well, and the guest is not there as it was asked for"));
        let mut create = self.step("create", format!("create {noun} {vmid}"), ops);
        create.undo = Undo::Ops { ops: self.unmake(located) };
        create.exclusive.push(self.storage());
        create.needs = self.shape.settings_need();
        create.needs.push(self.shape.image_step());
        create.needs.push(StepId::new(&pool::addr(self.context.blueprint, self.site()), "create"));
        let mut steps = vec![create];

        if located.kind == GuestKind::Qemu {
            // The image has its own size; the disk is grown to the one that was asked for. Growing to
            // the size that it has already is fine with PVE.
            let mut grow = self.resize(located, Undo::nothing("the disk goes with the VM"));
            grow.needs = vec![StepId::new(&addr, "create")];
            steps.push(grow);
        }
        if let Some(mut root_step) = self.root_step(located, root) {
            root_step.needs.push(StepId::new(&addr, "create"));
            steps.push(root_step);
        }
        if self.guest.power == PowerState::Running {
            let mut start = self.start(located);
            start.needs = steps.iter().map(|step| step.id.clone()).collect();
            start.needs.extend(root.needs.iter().cloned());
            start.needs.push(guest_firewall::set_step(&self.guest.name));
            steps.push(start);
        }
        steps
    }

    pub(super) fn settings_step(&self, located: &Located, update: &Update) -> Step {
        let vmid = self.guest.vmid.to_string();
        let put = || endpoints(located.kind).config_set.at(&[located.node.as_str(), &vmid]);
        let config = &located.config;
        let mut request = put();
        let mut back = put();
        let (mut gone, mut gone_back) = (Vec::new(), Vec::new());
        for (key, value) in &update.write {
            match value {
                Some(value) => request = request.set(key, value),
                None => gone.push(key.as_str()),
            }
            match config.coming(key) {
                Some(before) => back = back.set(key, before),
                None => gone_back.push(key.as_str()),
            }
        }
        if !gone.is_empty() {
            request = request.set("delete", gone.join(","));
        }
        if !gone_back.is_empty() {
            back = back.set("delete", gone_back.join(","));
        }
        let request = request.set_maybe("digest", config.digest.as_deref());
        let expect: Vec<Expect> = update
            .write
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(key, _)| Expect::new(key, Matcher::Absent))
            .chain(update.settings.iter().filter(|s| update.write.contains_key(&s.key)).filter_map(read_back))
            .collect();
        let set = self.config(located, expect);
        let keys: Vec<&str> = update.write.keys().map(String::as_str).collect();
        let mut step = self.step(
            "settings",
            format!("set {} of {}", keys.join(", "), self.guest.vmid),
            vec![call_until(request, set.clone()), check(set, "a setting was taken and reads back differently")],
        );
        step.undo = Undo::Ops { ops: vec![call(back)] };
        step.needs = self.shape.settings_need();
        step
    }

    pub(super) fn root_step(&self, located: &Located, root: &RootPart) -> Option<Step> {
        if root.commands.is_empty() {
            return None;
        }
        let mut ops: Vec<Op> = root.commands.iter().map(exec).collect();
        // Exit codes of `pct` and `qm` are no proof: what was set must read back.
        ops.push(check(self.config(located, root.expect.clone()), "what was set as root reads back differently"));
        let mut step = self.step("root", format!("set what only root may on {}", self.guest.vmid), ops);
        step.host = located.shell.clone().unwrap_or_else(|| self.guest.host.clone());
        step.undo = Undo::Ops { ops: root.undo.iter().map(exec).collect() };
        step.needs.clone_from(&root.needs);
        Some(step)
    }

    pub(super) fn resize(&self, located: &Located, undo: Undo) -> Step {
        let (key, size) = (located.disk_key(), self.guest.disk.to_pve());
        let grown = self.config(located, vec![options(key, [("size", size.clone())])]);
        let request = endpoints(located.kind)
            .resize
            .at(&[located.node.as_str(), &self.guest.vmid.to_string()])
            .set("disk", key)
            .set("size", &size);
        let mut step = self.step(
            "resize",
            format!("grow {key} of {} to {size}", self.guest.vmid),
            vec![task(request, grown.clone()), within(30, grown, "the disk did not grow: is the storage full?")],
        );
        step.undo = undo;
        step.exclusive.push(self.storage());
        step
    }

    pub(super) fn start_ops(&self, located: &Located) -> Vec<Op> {
        let running = self.status(located, "running");
        let request =
            endpoints(located.kind).start.at(&[located.node.as_str(), &self.guest.vmid.to_string()]).request();
        // A start that ends well may leave the guest stopped; only looking tells.
        let mut ops = vec![
            task(request, running.clone()),
            within(60, running, "the start ended well, and the guest does not run: look at its console"),
        ];
        ops.extend(self.shape.started(&located.node));
        ops
    }

    pub(super) fn stop_op(&self, located: &Located) -> Op {
        let request = endpoints(located.kind).stop.at(&[located.node.as_str(), &self.guest.vmid.to_string()]);
        task(request, self.status(located, "stopped"))
    }

    pub(super) fn shutdown_ops(&self, located: &Located) -> Vec<Op> {
        let stopped = self.status(located, "stopped");
        let request = endpoints(located.kind)
            .shutdown
            .at(&[located.node.as_str(), &self.guest.vmid.to_string()])
            .set("timeout", SHUTDOWN_S);
        vec![
            task(request, stopped.clone()),
            within(30, stopped, "the guest did not shut down: stop it by hand if it may lose what it has not written"),
        ]
    }

    pub(super) fn start(&self, located: &Located) -> Step {
        let mut step =
            self.step("start", format!("start {} {}", self.guest.name, self.guest.vmid), self.start_ops(located));
        step.undo = Undo::Ops { ops: vec![self.stop_op(located)] };
        step
    }

    pub(super) fn shutdown(&self, located: &Located) -> Step {
        let title = format!("shut down {} {}", self.guest.name, self.guest.vmid);
        let mut step = self.step("shutdown", title, self.shutdown_ops(located));
        step.risk = Risk::Downtime;
        step.undo = Undo::Ops { ops: self.start_ops(located) };
        step
    }

    /// Starts a guest that was there before: taking that back asks it to shut down.
    pub(super) fn restart(&self, located: &Located) -> Step {
        Step { undo: Undo::Ops { ops: self.shutdown_ops(located) }, ..self.start(located) }
    }

    pub(super) fn join_step(&self, before: Option<&str>) -> Step {
        let mut step = self.step(
            "pool",
            format!("make {} a member of pool {}", self.guest.vmid, self.context.blueprint.pool),
            vec![call(pool::join(&self.context.blueprint.pool, self.guest.vmid))],
        );
        step.undo = match before.and_then(|pool| pool.parse().ok()) {
            Some(pool) => Undo::Ops { ops: vec![call(pool::join(&pool, self.guest.vmid))] },
            None => Undo::nothing("being a member of a pool changes nothing in the guest"),
        };
        step.needs = vec![StepId::new(&pool::addr(self.context.blueprint, self.site()), "create")];
        step
    }

    /// Removes what this very run has made; a guest that was made protected is not so any more then.
    fn unmake(&self, located: &Located) -> Vec<Op> {
        let mut ops = Vec::new();
        if self.guest.protection {
            let vmid = self.guest.vmid.to_string();
            let put = endpoints(located.kind).config_set.at(&[located.node.as_str(), &vmid]);
            ops.push(call(put.set("protection", 0)));
        }
        ops.push(self.delete(located));
        ops
    }

    pub(super) fn delete(&self, located: &Located) -> Op {
        let vmid = self.guest.vmid.to_string();
        let gone = answer(
            endpoints(located.kind).list.at(&[located.node.as_str()]),
            vec![Expect::new("", Matcher::LacksItem("vmid".into(), vmid.clone()))],
        );
        task(endpoints(located.kind).delete.at(&[located.node.as_str(), &vmid]).set("purge", 1), gone)
    }

    pub(super) fn destruction(&self, located: &Located) -> Vec<Op> {
        let mut ops = if located.running { vec![self.stop_op(located)] } else { Vec::new() };
        ops.push(self.delete(located));
        ops.push(within(
            30,
            answer(
                endpoints(located.kind).list.at(&[located.node.as_str()]),
                vec![Expect::new("", Matcher::LacksItem("vmid".into(), self.guest.vmid.to_string()))],
            ),
            "the guest is still listed",
        ));
        ops
    }
}

/// What of a setting must be in the configuration afterwards.
fn read_back(setting: &Setting) -> Option<Expect> {
    let want = setting.want.clone()?;
    Some(match (&setting.option, setting.form) {
        (Some(option), _) => options(&setting.key, [(option.clone(), want)]),
        (None, Form::Options(_)) => Expect::new(&setting.key, Matcher::Options(Options::parse(&want).named)),
        // PVE sorts, lower-cases and joins them in its own way.
        (None, Form::Words | Form::List) => Expect::new(&setting.key, Matcher::Words(words(&want))),
        (None, _) => Expect::new(&setting.key, Matcher::Equals(want)),
    })
}
