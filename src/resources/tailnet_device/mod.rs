//! `tailnet_device`: a guest's place in the tailnet, for each guest that joins it.
//!
//! Owns what is found ([`find`]) from two sides, the control plane's list and the guest itself, and the steps that
//! install Tailscale, join, and mend what differs ([`steps`]). A device is the guest's own if the guest says so; any
//! other that bears its tag or its name is somebody else's and is only named ([`strangers`]).

mod find;
mod steps;
mod strangers;

use super::guest::{guest_addr, locate};
use super::operations::{answer, call_until, check};
use super::{Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Guest, Host, Tailnet};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::Action;
use crate::model::step::{Expect, Matcher, StepId};
use crate::model::tailnet::Tailscaled;
use crate::model::{Addr, GuestName, HostName, Kind};
use crate::tailnet::{requests, tag_of};
use difference::change;

pub use strangers::strangers;

use super::difference;

/// One guest that is to be in the tailnet.
struct Device<'a> {
    blueprint: &'a Blueprint,
    tailnet: &'a Tailnet,
    guest: &'a Guest,
    host: &'a Host,
}

/// The resource of each guest that joins.
pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    devices(blueprint).map(|device| Box::new(device) as Box<dyn Resource>).collect()
}

fn devices(blueprint: &Blueprint) -> impl Iterator<Item = Device<'_>> {
    let members = blueprint.tailnet_members();
    let guests = blueprint.guests.values().filter(move |guest| members.contains(&guest.name));
    guests.filter_map(|guest| {
        let tailnet = blueprint.tailnet.as_ref()?;
        Some(Device { blueprint, tailnet, guest, host: blueprint.host_of(guest) })
    })
}

/// The address of a guest's place in the tailnet.
pub fn addr(guest: &GuestName) -> Addr {
    Addr::new(Kind::TailnetDevice, guest)
}

/// Guests that would join now, with the step after which they have: what the tests of a policy wait for.
pub fn joining(context: &Context<'_>) -> Vec<(GuestName, StepId)> {
    let joining = devices(context.blueprint).filter_map(|device| {
        let Finding::Changed(changed) = device.find(context) else { return None };
        let join = changed.steps.into_iter().find(|step| step.id.0.ends_with("/join"))?;
        Some((device.guest.name.clone(), join.id))
    });
    joining.collect()
}

impl Device<'_> {
    /// The tag that its device bears.
    fn tag(&self) -> String {
        tag_of(&self.blueprint.name, &self.guest.name)
    }

    fn problem(&self, summary: impl Into<String>) -> Diagnostic {
        Diagnostic::error("plan.tailnet-device", summary).at(self.guest.span, "")
    }
}

impl Resource for Device<'_> {
    fn addr(&self) -> Addr {
        addr(&self.guest.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        self.found(context)
    }

    /// The device goes from the control plane's list; what is in the guest goes with the guest, or is logged out when it
    /// notices.
    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let devices = context.observed.tailnet.devices.value()?;
        let located = locate(context, self.guest).ok()?;
        located.running.then_some(())?;
        let daemon: &Tailscaled = self.inside(context)?.value()?.daemon.as_ref()?;
        let own = devices.iter().find(|device| device.id == daemon.id)?;
        let addr = self.addr();
        let gone =
            answer(requests::devices(), vec![Expect::new("", Matcher::LacksItem("id".to_owned(), own.id.clone()))]);
        let ops = vec![
            call_until(requests::remove_device(&own.id), gone.clone()),
            check(gone, "the device was removed and is still listed"),
        ];
        let title = format!("take {} out of the tailnet", self.guest.name);
        let mut step = super::operations::step(&addr, "remove", title, &self.host.name, ops);
        step.undo = crate::model::step::Undo::irreversible("a device that was removed joins anew with the next apply");
        Some(Removal {
            change: change(addr, Action::Destroy, &[], context.memory),
            steps: vec![step],
            holds_data: false,
            seen: own.id.clone(),
            refused: Diagnostics::new(),
        })
    }
}

/// Steps of a guest after which it runs as it shall: what is not planned of them is not waited for.
fn guest_steps(guest: &Guest) -> Vec<StepId> {
    let addr = guest_addr(guest);
    ["root", "start"].map(|what| StepId::new(&addr, what)).into()
}
