//! What differs about a guest's place in the tailnet.

use super::steps::{Join, State};
use super::{Device, guest_steps};
use crate::blueprint::{ControlPlane, GuestShape, PowerState};
use crate::model::change::{Action, Risk};
use crate::model::observed::Fact;
use crate::model::step::{Step, StepId};
use crate::model::tailnet::{GuestTailscale, Login, TailnetDevice, Tailscaled};
use crate::model::{Addr, Kind};
use crate::resources::difference::{Fields, between, change};
use crate::resources::guest::{guest_addr, locate};
use crate::resources::{Changed, Context, Finding, Resource as _, guest_firewall};
use crate::tailnet::has_terminals;

/// Distributions that Tailscale has packages for in a repository of `apt`.
const APT: [&str; 2] = ["debian", "ubuntu"];

/// What a device is that is as it should be.
const IN: &str = "logged in";

impl Device<'_> {
    /// What the guest itself says, if it was asked.
    pub(super) fn inside<'c>(&self, context: &Context<'c>) -> Option<&'c Fact<GuestTailscale>> {
        context.observed.hosts.get(&self.host.name)?.tailscale.get(&self.guest.vmid)
    }

    /// What it shall be, field by field.
    fn wanted(&self) -> Fields {
        let field = |name: &str, value: String| (name.to_owned(), value);
        Fields::from([
            field("package", "installed".into()),
            field("service", "enabled".into()),
            field("login", IN.into()),
            field("tags", self.tag()),
            field("key_expiry", "off".into()),
            field("ssh", switch(has_terminals(self.blueprint, &self.guest.name))),
            field("names", "its own name servers".into()),
        ])
    }

    pub(super) fn found(&self, context: &Context<'_>) -> Finding {
        let gap = |why: String| Finding::Gap { why };
        let devices = &context.observed.tailnet.devices;
        let Some(devices) = devices.value().filter(|_| devices.is_complete()) else {
            return gap(format!("the tailnet: {}", devices.why().unwrap_or("its devices are not known")));
        };
        if let GuestShape::Vm(vm) = &self.guest.shape
            && !vm.agent.enabled
        {
            return gap("without a guest agent nothing can be done in it: switch on `agent`, or join it by hand".into());
        }
        let Ok(located) = locate(context, self.guest) else {
            return gap(format!("{} cannot be planned", guest_addr(self.guest)));
        };
        if self.guest.power == PowerState::Stopped {
            return gap("it shall not run: it joins once it does".into());
        }
        let wanted = self.wanted();
        let known = context.memory.contains_key(&self.addr());
        if !located.present || located.goes_first(context, self.guest) || (!located.running && !known) {
            let fresh = GuestTailscale::default();
            return self.changed(context, devices, &fresh, &Fields::new(), wanted);
        }
        if !located.running {
            return gap(format!("{} does not run, and cannot be asked", guest_addr(self.guest)));
        }
        let there = match self.inside(context) {
            Some(Fact::Complete { value }) => value,
            Some(fact) => return gap(fact.why().unwrap_or("not known").to_owned()),
            None => return gap(format!("nobody looked into {}: SSH to its host is needed", self.guest.name)),
        };
        if let Some(refused) = self.refused(there, devices) {
            return refused;
        }
        let current = self.current(there, devices);
        if current == wanted {
            return Finding::Unchanged { desired: wanted };
        }
        self.changed(context, devices, there, &current, wanted)
    }

    /// What no step of ours may touch, and what none can mend.
    fn refused(&self, there: &GuestTailscale, devices: &[TailnetDevice]) -> Option<Finding> {
        let name = &self.guest.name;
        if !there.installed && !APT.iter().any(|known| there.system.split(' ').next() == Some(known)) {
            let problem = self.problem(format!("Tailscale cannot be installed in `{name}`"));
            let problem = problem.cause(format!("it runs `{}`, and packages are for Debian and Ubuntu", there.system));
            return Some(Finding::Refused(problem.hint("install Tailscale in it by hand, then plan again").into()));
        }
        let daemon = there.daemon.as_ref()?;
        if daemon.login == Login::Unapproved {
            let why = format!("`{name}` waits for an administrator of the tailnet to approve it in the admin console");
            return Some(Finding::Gap { why });
        }
        let ours = devices.iter().any(|device| device.id == daemon.id);
        if !ours && matches!(daemon.login, Login::Running | Login::Stopped) && !self.was_ours(daemon, devices) {
            return Some(Finding::Refused(
                self.problem(format!("`{name}` is in another tailnet"))
                    .cause(format!(
                        "it is logged in at `{}` ({}), and its device `{}` is none of this tailnet's",
                        daemon.control_url, daemon.zone, daemon.id
                    ))
                    .hint("if it is to leave that one: run `tailscale logout` in it, then plan again")
                    .into(),
            ));
        }
        None
    }

    /// Whether a device that is not listed was one of this tailnet's: what joins Headscale is in the one tailnet of its
    /// server; Tailscale's have a zone each, which their devices' names end with.
    fn was_ours(&self, daemon: &Tailscaled, devices: &[TailnetDevice]) -> bool {
        match self.tailnet.control {
            ControlPlane::Headscale => daemon.control_url.trim_end_matches('/') == self.tailnet.url,
            ControlPlane::Tailscale => {
                let zone = format!(".{}", daemon.zone.trim_matches('.'));
                zone.len() > 1 && devices.iter().any(|device| device.name.trim_end_matches('.').ends_with(&zone))
            }
        }
    }

    /// What it is, field by field; of what is not logged in, nothing more is known.
    fn current(&self, there: &GuestTailscale, devices: &[TailnetDevice]) -> Fields {
        let mut current = Fields::new();
        let mut put = |name: &str, value: String| current.insert(name.to_owned(), value);
        if !there.installed {
            return current;
        }
        put("package", "installed".into());
        put("service", if there.enabled { "enabled" } else { "disabled" }.into());
        let Some(daemon) = &there.daemon else {
            put("login", "tailscaled does not run".into());
            return current;
        };
        let own = devices.iter().find(|device| device.id == daemon.id);
        let login = match (&daemon.login, own) {
            (Login::LoggedOut | Login::Unapproved, _) => "logged out",
            (Login::Expired, _) => "its key has ended",
            (Login::Running | Login::Stopped, None) => "removed from the tailnet",
            (Login::Stopped, Some(_)) => "disconnected",
            (Login::Running, Some(_)) => IN,
        };
        put("login", login.into());
        if let Some(own) = own.filter(|_| matches!(daemon.login, Login::Running | Login::Stopped)) {
            put(
                "tags",
                if own.tags.is_empty() { format!("none: it belongs to {}", own.user) } else { own.tags.join(", ") },
            );
            put("key_expiry", if own.expires.is_empty() { "off".into() } else { format!("ends {}", own.expires) });
            put("ssh", switch(daemon.ssh));
            let names = if daemon.takes_names { "those of the tailnet" } else { "its own name servers" };
            put("names", names.into());
        }
        current
    }

    fn changed(
        &self,
        context: &Context<'_>,
        devices: &[TailnetDevice],
        there: &GuestTailscale,
        current: &Fields,
        wanted: Fields,
    ) -> Finding {
        let addr = self.addr();
        let daemon = there.daemon.clone().unwrap_or_default();
        let own = devices.iter().find(|device| device.id == daemon.id);
        let joins = !matches!(current.get("login").map(String::as_str), Some(IN | "disconnected"));
        let differs = |name: &str| current.get(name) != wanted.get(name);
        let mut steps: Vec<Step> = Vec::new();
        let mut notes = Vec::new();
        if differs("package") || differs("service") {
            steps.push(self.install(there.installed));
        }
        if joins {
            let tag = self.tag();
            let known = devices.iter().filter(|device| device.tags.contains(&tag)).map(|device| device.id.clone());
            let state = if daemon.has_key { State::Known(daemon.id.clone()) } else { State::New };
            let known = known.collect();
            steps.push(self.join(&Join { tag, known, state }));
            notes.extend(self.untrusted());
        } else {
            if current.get("login").map(String::as_str) == Some("disconnected") {
                steps.push(self.connect());
            }
            if differs("ssh") || differs("names") {
                steps.push(self.settings(&daemon));
            }
            if let Some(own) = own.filter(|_| differs("tags")) {
                steps.push(self.tags(own, devices));
            }
            if let Some(own) = own.filter(|_| differs("key_expiry")) {
                match self.tailnet.control {
                    ControlPlane::Tailscale => steps.push(self.expiry(own)),
                    ControlPlane::Headscale => return self.ends(own),
                }
            }
        }
        // One after the other, and after whatever makes the guest run; the tag has to have an owner before a key can.
        for index in 0..steps.len() {
            let before = index.checked_sub(1).map(|at| steps[at].id.clone());
            let policy = Addr::new(Kind::TailnetPolicy, &self.blueprint.name);
            let needs = &mut steps[index].needs;
            needs.extend(before);
            needs.extend(guest_steps(self.guest));
            needs.extend([guest_firewall::set_step(&self.guest.name), StepId::new(&policy, "write")]);
        }
        let action = if joins && !context.memory.contains_key(&addr) { Action::Create } else { Action::Update };
        let mut change = change(addr, action, &between(current, &wanted), context.memory);
        change.via = steps.iter().map(|step| step.via).reduce(crate::model::change::Via::and).unwrap_or(change.via);
        change.risk = steps.iter().map(|step| step.risk).max().unwrap_or(Risk::None);
        let seen = format!("{there:?} {own:?}");
        Finding::Changed(Changed { change, steps, desired: wanted, seen, notes })
    }

    /// A key that ends, and nobody can switch that off from here.
    fn ends(&self, own: &TailnetDevice) -> Finding {
        let problem = self.problem(format!("the key of `{}` ends {}", self.guest.name, own.expires));
        Finding::Refused(
            problem
                .cause("it leaves the tailnet then, and Headscale's API cannot switch that off safely: versions before 0.29 read it as \"end it now\"")
                .hint(format!("on Headscale 0.29 or later: `headscale nodes expire --identifier {} --disable`", own.id))
                .hint(format!("else log it out (`tailscale logout` in it) and remove the node (`headscale nodes delete --identifier {}`): the next apply joins it with a tagged key, which does not end", own.id))
                .into(),
        )
    }

    /// Whom the guest has to trust by itself.
    fn untrusted(&self) -> Option<String> {
        let own = self.tailnet.control == ControlPlane::Headscale && self.tailnet.trust.is_some();
        own.then(|| {
            format!(
                "{}: `tailscaled` trusts the CAs of its guest alone; {} has to have a certificate of one of them",
                self.guest.name, self.tailnet.url
            )
        })
    }
}

fn switch(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}
