//! What is put into guests that run: Docker, services, models.
//!
//! Owns what these kinds have in common: the guest and what was seen in it ([`Place`]), what is asked of guests
//! ([`questions`]), and work that takes longer than a connection may last ([`long_work`]).

pub mod docker_engine;
pub mod gpu_driver;
mod long_work;
pub mod model;
mod questions;
pub mod service;
mod service_steps;

pub use questions::{docker_questions, secret_files};

use super::guest::{guest_addr, locate};
use super::{Context, Finding, Part, guest_firewall};
use crate::blueprint::{Blueprint, Guest, GuestShape, Host, ImageSource, PowerState};
use crate::model::docker::GuestDocker;
use crate::model::observed::Fact;
use crate::model::step::{Op, Step, StepId};
use crate::model::{Addr, Kind};
use crate::resources::operations::step;

/// A guest that something is put into.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub blueprint: &'a Blueprint,
    pub guest: &'a Guest,
    pub host: &'a Host,
}

/// What is known of a guest.
enum Seen<'c> {
    /// It is yet to be made: nothing is in it.
    Fresh,
    /// It runs, and this is in it.
    There(&'c GuestDocker),
}

/// Guests with services in containers.
fn places(blueprint: &Blueprint) -> impl Iterator<Item = Place<'_>> {
    let guests = blueprint.guests.values().filter(|guest| !guest.deployments.is_empty());
    guests.map(move |guest| Place { blueprint, guest, host: blueprint.host_of(guest) })
}

impl Place<'_> {
    /// What was seen in the guest, or why nothing can be said of it.
    fn seen<'c>(&self, context: &Context<'c>) -> Result<Seen<'c>, Box<Finding>> {
        let gap = |why: String| Err(Box::new(Finding::Gap { why }));
        let name = guest_addr(self.guest);
        if let GuestShape::Vm(vm) = &self.guest.shape
            && !vm.agent.enabled
        {
            return gap("without a guest agent nothing can be done in it: switch on `agent`".into());
        }
        let Ok(located) = locate(context, self.guest) else { return gap(format!("{name} cannot be planned")) };
        if self.guest.power == PowerState::Stopped {
            return gap("it shall not run: it is deployed once it does".into());
        }
        let made = located.present && !located.goes_first(context, self.guest);
        if context.part == Part::Services && !(made && located.running) {
            return gap(format!("{name} does not run: `infra apply` makes and starts it"));
        }
        if !made {
            return Ok(Seen::Fresh);
        }
        if !located.running {
            let known = context.memory.contains_key(&docker_engine::addr(self.guest));
            return if known { gap(format!("{name} does not run, and cannot be asked")) } else { Ok(Seen::Fresh) };
        }
        match context.observed.hosts.get(&self.host.name).and_then(|there| there.docker.get(&self.guest.vmid)) {
            Some(Fact::Complete { value }) => Ok(Seen::There(value)),
            Some(fact) => gap(fact.why().unwrap_or("not known").to_owned()),
            None => gap(format!("nobody looked into {}: SSH to its host is needed", self.guest.name)),
        }
    }

    /// A step in the guest, after whatever makes it run and lets it out.
    fn step(&self, addr: &Addr, what: &str, title: String, ops: Vec<Op>) -> Step {
        let mut step = step(addr, what, title, &self.host.name, ops);
        step.inside = Some(self.guest.inside());
        step.needs = ["root", "start"].map(|what| StepId::new(&guest_addr(self.guest), what)).into();
        step.needs.push(guest_firewall::set_step(&self.guest.name));
        step
    }

    /// The distribution that the guest has or will have, as far as its image tells.
    fn system(&self, there: &GuestDocker) -> String {
        if !there.system.is_empty() {
            return there.system.clone();
        }
        let image = self.blueprint.images.get(&self.guest.image);
        let source = image.map(|image| match &image.source {
            ImageSource::Cloud { url, .. } => url.as_str(),
            ImageSource::Template { file } => file.as_str(),
        });
        let source = source.unwrap_or_default().to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| source.contains(word));
        let known = match () {
            () if has(&["ubuntu"]) => "ubuntu of-its-image",
            () if has(&["debian-13", "trixie"]) => "debian trixie",
            () => "",
        };
        known.to_owned()
    }

    /// What no two steps do at once in the guest.
    fn lock(&self) -> String {
        format!("{}/guest/{}", self.host.site, self.guest.vmid)
    }
}

/// Whether a resource is put into a guest.
#[must_use]
pub fn is_in_guest(addr: &Addr, guest: &str) -> bool {
    match addr.kind {
        Kind::GpuDriver | Kind::DockerEngine => addr.name == guest,
        Kind::Service | Kind::Model => addr.name.strip_prefix(guest).is_some_and(|rest| rest.starts_with('/')),
        _ => false,
    }
}
