//! What a check looks at.

use jiff::Timestamp;

use super::NotRun;
use crate::blueprint::{Blueprint, Gpu, Guest, GuestShape, Host, Vm};
use crate::diag::Diagnostic;
use crate::event::RunState;
use crate::model::hardware_lock::HardwareLock;
use crate::model::machine::Machine;
use crate::model::observed::{self, Observed, Site};
use crate::model::{Addr, GpuName};
use crate::plan::Plan;

/// One host with all that is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What should be.
    pub blueprint: &'a Blueprint,
    /// What is.
    pub observed: &'a Observed,
    /// The host that is judged.
    pub host: &'a Host,
    /// The time here, when the observation was made.
    pub now: Timestamp,
    /// What would be done, or why no plan could be made.
    pub plan: Result<&'a Plan, &'a str>,
    /// Every reason why no plan could be made.
    pub refused: &'a [Diagnostic],
    /// The last run of this inventory from here, if there was one.
    pub last_run: Option<&'a RunState>,
    /// What was recorded of the hardware, if anybody did (`infra preflight --write`).
    pub hardware: Option<&'a HardwareLock>,
}

impl<'a> Subject<'a> {
    /// A host of an observation that was made at `now`, without a plan and without earlier runs.
    #[must_use]
    pub fn new(blueprint: &'a Blueprint, observed: &'a Observed, host: &'a Host, now: Timestamp) -> Self {
        Self {
            blueprint,
            observed,
            host,
            now,
            plan: Err("no plan was made"),
            refused: &[],
            last_run: None,
            hardware: None,
        }
    }

    /// The plan, for a rule that is about what would be done.
    ///
    /// # Errors
    /// [`NotRun::Blind`] when none could be made.
    pub fn plan(&self) -> Result<&'a Plan, NotRun> {
        self.plan.map_err(|why| NotRun::blind(format!("no plan could be made: {why}")))
    }

    /// What was observed of the host.
    ///
    /// # Panics
    /// Never: whoever makes a subject has an observation of its host, be it that nothing could be read.
    #[must_use]
    pub fn here(&self) -> &'a observed::Host {
        self.observed.hosts.get(&self.host.name).expect("a subject's host was observed")
    }

    /// The host below Proxmox.
    #[must_use]
    pub fn machine(&self) -> &'a Machine {
        &self.here().machine
    }

    /// What was observed of its site.
    ///
    /// # Panics
    /// Never: see [`Subject::here`].
    #[must_use]
    pub fn site(&self) -> &'a Site {
        self.observed.sites.get(&self.host.site).expect("a subject's site was observed")
    }

    /// The inventory's guests on the host.
    pub fn guests(&self) -> impl Iterator<Item = &'a Guest> + use<'a> {
        let host = &self.host.name;
        self.blueprint.guests.values().filter(move |guest| guest.host == *host)
    }

    /// The inventory's VMs on the host.
    pub fn vms(&self) -> impl Iterator<Item = (&'a Guest, &'a Vm)> + use<'a> {
        self.guests().filter_map(|guest| match &guest.shape {
            GuestShape::Vm(vm) => Some((guest, vm)),
            GuestShape::Container(_) => None,
        })
    }

    /// GPUs that are passed to a VM, with the VMs that they are passed to.
    pub fn passed_gpus(&self) -> impl Iterator<Item = (&'a GpuName, &'a Gpu, Vec<Addr>)> + use<'a> {
        let this = *self;
        this.host.gpus.iter().filter_map(move |(name, gpu)| {
            let users = this.vms().filter(|(_, vm)| vm.gpus.contains(name));
            let users: Vec<Addr> =
                users.map(|(guest, _)| Addr::new(crate::model::Kind::Vm, guest.name.as_str())).collect();
            (!users.is_empty()).then_some((name, gpu, users))
        })
    }
}
