//! An inventory with its profiles resolved: what the rules look at.

use std::collections::BTreeMap;

use crate::diag::{Diagnostic, Diagnostics, Span, Spanned};
use crate::inventory::parse::Broken;
use crate::inventory::{
    Domain, Group, Guest, Host, Image, Inventory, KindName, Model, Peer, Route, Rule, ServiceEntry, Shape, SiteName,
    Zone,
};
use crate::model::{GuestName, HostName, ModelName, PartName, PortName, ServiceName};

use super::{Audience, Service, ServicePort, Setting, Stack, profiles, services};

/// An inventory as it is checked: guests carry what their profiles give them.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) guests: Vec<DraftGuest<'a>>,
    /// Every service that there is a `template.yaml` of, as far as it could be read.
    pub(super) services: BTreeMap<ServiceName, Service>,
    pub(super) broken: Broken,
}

/// A guest on top of its profiles.
#[derive(Debug)]
pub(super) struct DraftGuest<'a> {
    pub(super) name: &'a Spanned<GuestName>,
    pub(super) own: &'a Spanned<Guest>,
    pub(super) shape: Shape,
}

impl DraftGuest<'_> {
    pub(super) fn kind(&self) -> Option<KindName> {
        self.shape.kind.map(|kind| kind.value)
    }

    /// Services that it lists, by name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&ServiceName, &Spanned<ServiceEntry>)> {
        let listed = self.shape.services.iter().flatten();
        listed.filter_map(|entry| Some((&entry.name.as_ref()?.value, entry)))
    }

    /// Services that it lists, with their places.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Spanned<ServiceName>> {
        self.shape.services.iter().flatten().filter_map(|entry| entry.name.as_ref())
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = (&Spanned<SiteName>, &Spanned<Route>)> {
        self.shape.routes.iter().flatten()
    }
}

/// A host with its name.
pub(super) type NamedHost<'a> = (&'a Spanned<HostName>, &'a Spanned<Host>);

impl<'a> Draft<'a> {
    pub(super) fn new(inventory: &'a Inventory, report: &mut Diagnostics) -> Self {
        let mut broken = inventory.broken.clone();
        let guests = inventory
            .document
            .guests
            .iter()
            .flatten()
            .map(|(name, own)| DraftGuest {
                name,
                own,
                shape: profiles::shape(inventory, name, own, &mut broken, report),
            })
            .collect();
        Self { inventory, guests, services: services::all(inventory), broken }
    }

    /// Whether a guest has a service: listed, or because every guest has it.
    pub(super) fn has(&self, guest: &DraftGuest<'_>, service: &ServiceName) -> bool {
        let everywhere = self.services.get(service).is_some_and(|service| service.everywhere);
        everywhere || guest.listed().any(|listed| listed.value == *service)
    }

    /// What a variable of a service is set to in a guest, and where that is written: there, or as the default.
    pub(super) fn setting(
        &self,
        guest: &DraftGuest<'_>,
        service: &ServiceName,
        name: Option<&PartName>,
    ) -> Option<(Setting, Span)> {
        let (name, recipe) = (name?, self.services.get(service)?.recipe.as_ref()?);
        let variable = recipe.variables.get(name)?;
        let (_, entry) = guest.entries().find(|(own, _)| *own == service)?;
        match entry.with.iter().flatten().find(|(own, _)| own.value == *name) {
            Some((_, raw)) => Some((variable.accept(&raw.value).ok()?, raw.span)),
            None => Some((variable.default.clone()?, variable.span)),
        }
    }

    /// Guests whose `service` a guest may use: itself first, then those that it `uses`.
    pub(super) fn providers<'s>(&'s self, guest: &'s DraftGuest<'a>, service: &ServiceName) -> Vec<&'s DraftGuest<'a>> {
        let own = guest.listed().any(|own| own.value == *service).then_some(guest);
        let used = guest.shape.uses.iter().flatten().filter(|used| used.service == *service);
        let used = used.filter_map(|used| self.guest(&used.guest)).filter(|other| other.name != guest.name);
        own.into_iter().chain(used).collect()
    }

    /// Where a service stands between a person and a model.
    pub(super) fn stack_of(&self, service: &ServiceName) -> Option<&Stack> {
        self.services.get(service)?.recipe.as_ref()?.stack.as_ref()
    }

    /// Services of a guest that are known: listed ones, then those that every guest has.
    pub(super) fn services_of<'s>(&'s self, guest: &'s DraftGuest<'_>) -> impl Iterator<Item = &'s Service> {
        self.services.values().filter(|service| self.has(guest, &service.name))
    }

    /// Ports that a reference to a service means, as far as `audience` may be let in to them.
    pub(super) fn ports(
        &self,
        service: &ServiceName,
        port: Option<&PortName>,
        audience: Audience,
    ) -> Vec<(&PortName, &ServicePort)> {
        let service = self.services.get(service);
        let meant = service.into_iter().flat_map(|service| service.meant(port, audience));
        meant.filter(|(_, port)| port.audience >= audience).collect()
    }

    pub(super) fn hosts(&self) -> impl Iterator<Item = NamedHost<'a>> + use<'a> {
        self.inventory.document.hosts.iter().flatten()
    }

    pub(super) fn images(&self) -> impl Iterator<Item = (&'a Spanned<String>, &'a Spanned<Image>)> + use<'a> {
        self.inventory.document.images.iter().flatten()
    }

    pub(super) fn groups(
        &self,
    ) -> impl Iterator<Item = (&'a Spanned<crate::model::GroupName>, &'a Spanned<Group>)> + use<'a> {
        self.inventory.document.firewall.iter().flat_map(|firewall| firewall.groups.iter().flatten())
    }

    pub(super) fn host(&self, name: &HostName) -> Option<NamedHost<'a>> {
        self.hosts().find(|(own, _)| own.value == *name)
    }

    pub(super) fn host_of(&self, guest: &DraftGuest<'_>) -> Option<NamedHost<'a>> {
        self.host(&guest.own.host.as_ref()?.value)
    }

    pub(super) fn image_of(&self, guest: &DraftGuest<'_>) -> Option<&'a Image> {
        let name = guest.shape.image.as_ref()?;
        self.images().find(|(own, _)| own.value == name.value).map(|(_, image)| &image.value)
    }

    pub(super) fn models(&self) -> impl Iterator<Item = (&'a Spanned<ModelName>, &'a Spanned<Model>)> + use<'a> {
        self.inventory.document.models.iter().flatten()
    }

    pub(super) fn zones(&self) -> impl Iterator<Item = (&'a Spanned<Domain>, &'a Spanned<Zone>)> + use<'a> {
        self.inventory.document.dns.iter().flat_map(|dns| dns.zones.iter().flatten())
    }

    /// The guest that the reverse proxy runs in.
    pub(super) fn ingress_guest(&self) -> Option<&DraftGuest<'a>> {
        self.guest(&self.inventory.document.ingress.as_ref()?.guest.as_ref()?.value)
    }

    /// Every route with its guest.
    pub(super) fn all_routes(&self) -> impl Iterator<Item = (&DraftGuest<'a>, &Spanned<SiteName>, &Spanned<Route>)> {
        self.guests.iter().flat_map(|guest| guest.routes().map(move |(site, route)| (guest, site, route)))
    }

    pub(super) fn guest(&self, name: &GuestName) -> Option<&DraftGuest<'a>> {
        self.guests.iter().find(|guest| guest.name.value == *name)
    }

    /// Where a guest is: hosts of one cluster share numbers and names.
    pub(super) fn site_of(&self, guest: &DraftGuest<'_>) -> Option<&'a str> {
        self.host_of(guest).map(site)
    }

    /// Every firewall rule: those of the groups, then those of the guests and of the hosts.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Spanned<Rule>> {
        let own = self.guests.iter().filter_map(|guest| guest.shape.firewall.as_ref());
        let own = own.flat_map(|firewall| firewall.rules.iter().flatten());
        let hosts = self.hosts().filter_map(|(_, host)| host.firewall.as_ref());
        let hosts = hosts.flat_map(|firewall| firewall.rules.iter().flatten());
        self.groups().flat_map(|(_, group)| group.rules.iter().flatten()).chain(own).chain(hosts)
    }
}

/// The site of a host: its cluster, or itself.
pub(super) fn site<'a>((name, host): NamedHost<'a>) -> &'a str {
    host.cluster.as_ref().map_or(name.as_str(), |cluster| cluster.as_str())
}

/// Peers of a rule, both ends.
pub(super) fn peers(rule: &Rule) -> impl Iterator<Item = (&Peer, Span)> {
    let ends = rule.source.iter().chain(&rule.dest);
    ends.flat_map(|end| end.value.0.iter().map(|peer| (peer, end.span)))
}

/// The first entry per key, and what to do with every further one.
pub(super) fn once<K: Ord, V>(items: impl IntoIterator<Item = (K, V)>, mut again: impl FnMut(&K, &V, &V)) {
    let mut seen: BTreeMap<K, V> = BTreeMap::new();
    for (key, value) in items {
        match seen.get(&key) {
            Some(first) => again(&key, first, &value),
            None => {
                seen.insert(key, value);
            }
        }
    }
}

/// Points at two places that exclude each other: at the later one, since it was probably added.
pub(super) fn collision(problem: Diagnostic, one: Span, other: Span) -> Diagnostic {
    match one.cmp(&other) {
        std::cmp::Ordering::Less => problem.at(other, "again here").related(one, "first here"),
        std::cmp::Ordering::Greater => problem.at(one, "again here").related(other, "first here"),
        // Both have it from one profile.
        std::cmp::Ordering::Equal => problem.at(one, ""),
    }
}
