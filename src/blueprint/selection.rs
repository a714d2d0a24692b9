//! Which part of a blueprint a command is about: `--target`, `--limit`, `--tags`.

use std::collections::BTreeSet;

use super::{Blueprint, Guest, GuestShape};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::model::{Addr, HostName, Kind, Tag};

/// A part of a blueprint. Empty lists select everything; lists of different kinds narrow one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Resources by address.
    pub targets: BTreeSet<Addr>,
    /// Hosts.
    pub hosts: BTreeSet<HostName>,
    /// Tags, one of which a guest must have.
    pub tags: BTreeSet<Tag>,
}

impl Selection {
    /// Reads what was typed and holds it against the blueprint.
    ///
    /// # Errors
    /// With every address, host and tag that does not exist, and what may have been meant.
    pub fn parse(
        targets: &[String],
        hosts: &[String],
        tags: &[String],
        blueprint: &Blueprint,
    ) -> Result<Self, Diagnostics> {
        let mut problems = Diagnostics::new();
        let mut selection = Self::default();
        for text in targets {
            match text.parse::<Addr>() {
                Err(invalid) => {
                    problems.push(Diagnostic::error("selection.target", invalid.problem).hint_maybe(invalid.hint))
                }
                Ok(addr) => {
                    problems.extend(unknown_target(&addr, blueprint));
                    selection.targets.insert(addr);
                }
            }
        }
        for text in hosts {
            match blueprint.hosts.keys().find(|host| host.as_str() == text) {
                Some(host) => {
                    selection.hosts.insert(host.clone());
                }
                None => {
                    problems.push(unknown("selection.host", "host", text, blueprint.hosts.keys().map(HostName::as_str)))
                }
            }
        }
        let known: BTreeSet<&Tag> = blueprint.guests.values().flat_map(|guest| &guest.tags).collect();
        for text in tags {
            match known.iter().find(|tag| tag.as_str() == text) {
                Some(tag) => {
                    selection.tags.insert((*tag).clone());
                }
                None => problems.push(unknown(
                    "selection.tag",
                    "guest with the tag",
                    text,
                    known.iter().map(|tag| tag.as_str()),
                )),
            }
        }
        if problems.is_empty() { Ok(selection) } else { Err(problems) }
    }

    /// Whether everything is selected.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a host is selected.
    #[must_use]
    pub fn has_host(&self, host: &HostName) -> bool {
        self.hosts.is_empty() || self.hosts.contains(host)
    }

    /// Whether a guest is selected by its host, its tags and its own address.
    #[must_use]
    pub fn has_guest(&self, guest: &Guest) -> bool {
        let tagged = self.tags.is_empty() || guest.tags.iter().any(|tag| self.tags.contains(tag));
        let targeted = self.targets.is_empty() || self.targets.contains(&address(guest));
        self.has_host(&guest.host) && tagged && targeted
    }
}

fn address(guest: &Guest) -> Addr {
    let kind = match guest.shape {
        GuestShape::Vm(_) => Kind::Vm,
        GuestShape::Container(_) => Kind::Container,
    };
    Addr::new(kind, &guest.name)
}

/// Guests are known by their addresses; of what belongs to a host or a site at least that must exist.
fn unknown_target(addr: &Addr, blueprint: &Blueprint) -> Option<Diagnostic> {
    match addr.kind {
        Kind::Vm | Kind::Container | Kind::GuestFirewall => {
            let known: Vec<String> = blueprint
                .guests
                .values()
                .map(|guest| match addr.kind {
                    Kind::GuestFirewall => Addr::new(Kind::GuestFirewall, &guest.name),
                    _ => address(guest),
                })
                .map(|addr| addr.to_string())
                .collect();
            let typed = addr.to_string();
            let there = known.contains(&typed);
            (!there).then(|| unknown("selection.target", "resource", &typed, known.iter().map(String::as_str)))
        }
        Kind::Zones => {
            let known: BTreeSet<&str> = blueprint.dns.zones.values().map(|zone| zone.guest.as_str()).collect();
            let there = known.contains(addr.name.as_str());
            (!there).then(|| unknown("selection.target", "name server", &addr.name, known.iter().copied()))
        }
        Kind::Routes => {
            let known = blueprint.ingress.iter().map(|ingress| ingress.guest.as_str());
            let there = known.clone().any(|guest| guest == addr.name);
            (!there).then(|| unknown("selection.target", "reverse proxy", &addr.name, known))
        }
        Kind::HostFirewall | Kind::DatacenterFirewall => {
            let hosts = blueprint.hosts.values().filter(|host| host.firewall.is_some());
            let known: BTreeSet<String> = hosts
                .map(|host| match addr.kind {
                    Kind::HostFirewall => Addr::new(addr.kind, &host.name).to_string(),
                    _ => Addr::new(addr.kind, &host.site).to_string(),
                })
                .collect();
            let typed = addr.to_string();
            let there = known.contains(&typed);
            (!there).then(|| unknown("selection.target", "resource", &typed, known.iter().map(String::as_str)))
        }
        Kind::TailnetDevice => {
            let known: Vec<String> = blueprint.tailnet_members().iter().map(ToString::to_string).collect();
            let there = known.contains(&addr.name);
            (!there).then(|| {
                unknown("selection.target", "guest in the tailnet", &addr.name, known.iter().map(String::as_str))
            })
        }
        Kind::GpuDriver | Kind::DockerEngine | Kind::Service | Kind::Model => {
            let known: Vec<String> = deployed(blueprint).iter().map(ToString::to_string).collect();
            let typed = addr.to_string();
            let there = known.contains(&typed);
            (!there).then(|| unknown("selection.target", "resource", &typed, known.iter().map(String::as_str)))
        }
        Kind::TailnetPolicy | Kind::DnsRecords => {
            let declared = match addr.kind {
                Kind::TailnetPolicy => blueprint.tailnet.is_some(),
                _ => blueprint.dns.opnsense.is_some(),
            };
            let own = declared.then(|| Addr::new(addr.kind, &blueprint.name).to_string());
            let typed = addr.to_string();
            (own.as_deref() != Some(&typed))
                .then(|| unknown("selection.target", "resource", &typed, own.iter().map(String::as_str)))
        }
        Kind::Packages | Kind::KernelCommandLine | Kind::Modules | Kind::Modprobe | Kind::ArcLimit | Kind::Sysctl => {
            let hosts = blueprint.hosts.keys().map(HostName::as_str);
            let there = hosts.clone().any(|host| host == addr.name);
            (!there).then(|| unknown("selection.target", "host", &addr.name, hosts))
        }
        Kind::Pool
        | Kind::PciMapping
        | Kind::Image
        | Kind::Snippet
        | Kind::Dataset
        | Kind::FirewallAlias
        | Kind::FirewallIpset
        | Kind::FirewallGroup => {
            let places: BTreeSet<&str> =
                blueprint.hosts.values().flat_map(|host| [host.name.as_str(), host.site.as_str()]).collect();
            let place = addr.name.split_once(':').map_or("", |(place, _)| place);
            let there = places.contains(place);
            (!there).then(|| {
                unknown("selection.target", "host or site", place, places.iter().copied())
                    .cause(format!("`{addr}` names it before the colon"))
            })
        }
    }
}

/// What is put into guests.
fn deployed(blueprint: &Blueprint) -> Vec<Addr> {
    let mut all = Vec::new();
    for guest in blueprint.guests.values().filter(|guest| !guest.deployments.is_empty()) {
        all.extend([Kind::GpuDriver, Kind::DockerEngine].map(|kind| Addr::new(kind, &guest.name)));
        all.extend(guest.deployments.keys().map(|own| Addr::new(Kind::Service, format!("{}/{own}", guest.name))));
        for model in blueprint.models.values() {
            let here = model.runs_on.iter().filter(|(own, _)| *own == guest.name);
            all.extend(here.map(|(_, own)| Addr::new(Kind::Model, format!("{}/{own}/{}", guest.name, model.name))));
        }
    }
    all
}

fn unknown<'a>(
    code: &'static str,
    what: &str,
    typed: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let hint = did_you_mean(typed, known.clone())
        .unwrap_or_else(|| format!("known are {}", known.collect::<Vec<_>>().join(", ")));
    Diagnostic::error(code, format!("there is no {what} `{}`", typed.escape_debug())).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::good;

    fn parse(targets: &[&str], hosts: &[&str], tags: &[&str]) -> Result<Selection, Diagnostics> {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Selection::parse(&own(targets), &own(hosts), &own(tags), &good())
    }

    #[test]
    fn what_exists_is_selected() {
        let selection = parse(&["ct.proj-x", "dataset.hq:rpool/containers/proj-x"], &["hq"], &[]).unwrap();
        let blueprint = good();
        let selected: Vec<_> =
            blueprint.guests.values().filter(|g| selection.has_guest(g)).map(|g| g.name.as_str()).collect();
        assert_eq!(selected, ["proj-x"]);
        assert!(Selection::default().is_everything() && !selection.is_everything());
    }

    #[test]
    fn every_unknown_word_is_named_with_what_may_be_meant() {
        let problems = parse(&["ct.proj-z", "vm.proj-x", "dataset.hg:x", "nope"], &["gh"], &["blue"]).unwrap_err();
        assert_eq!(problems.error_count(), 6);
        let hints: Vec<_> = problems.iter().flat_map(|problem| problem.hints.clone()).collect();
        assert_eq!(hints[0], "did you mean `ct.proj-x`?");
    }
}
