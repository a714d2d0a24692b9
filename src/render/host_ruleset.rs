//! Who may come in to a machine that Proxmox's firewall does not stand before: what nftables and ufw are rendered from.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::caddy::TAILNET;
use crate::blueprint::{Blueprint, Guest, Party};
use crate::model::{PortRange, Transport};

/// What a machine lets in; everything else is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRuleset {
    /// What the machine is called.
    pub name: String,
    /// Who may come in.
    pub admissions: Vec<Admission>,
    /// Whether it runs Docker, which lets in whatever it publishes unless that is judged apart.
    pub docker: bool,
}

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// From where: networks of either family, none of them for anywhere.
    pub from: Vec<IpNet>,
    /// How.
    pub transport: Transport,
    /// To which ports.
    pub ports: PortRange,
    /// Why.
    pub comment: String,
}

impl Admission {
    /// Its origins of each family; `None` for anywhere.
    pub(super) fn families(&self) -> Option<(Vec<IpNet>, Vec<IpNet>)> {
        let all = IpNet::aggregate(&self.from);
        (!self.from.is_empty()).then(|| all.into_iter().partition(|net| net.addr().is_ipv4()))
    }
}

impl HostRuleset {
    /// What the flows of an inventory let in to `guest`, each port once.
    ///
    /// Members of the tailnet count as the whole tailnet here: which of them may come is the tailnet's own policy.
    #[must_use]
    pub fn of(blueprint: &Blueprint, guest: &Guest, docker: bool) -> Self {
        let mut ways: BTreeMap<(Transport, u16, u16), (Vec<IpNet>, bool)> = BTreeMap::new();
        for flow in blueprint.flows.iter().filter(|flow| flow.to == Party::Guest(guest.name.clone())) {
            let key = (flow.transport, flow.ports.first(), flow.ports.last());
            let (from, anywhere) = ways.entry(key).or_default();
            match &flow.from {
                Party::Guest(other) => {
                    from.extend(blueprint.guests.get(other).map(|other| IpNet::from(other.interface.address())));
                }
                Party::Network(network) => from.push(*network),
                Party::Internet => *anywhere = true,
                Party::Tailnet(_) => from.extend(TAILNET.iter().filter_map(|net| net.parse::<IpNet>().ok())),
                Party::Host(_) => {}
            }
        }
        let admissions = ways.into_iter().filter_map(|((transport, first, last), (from, anywhere))| {
            let comment = format!("{transport} {first} of {}", guest.name);
            let from = if anywhere { Vec::new() } else { from };
            // Nobody who has an address is not the same as anybody.
            (anywhere || !from.is_empty()).then(|| PortRange::new(first, last)).flatten().map(|ports| Admission {
                from,
                transport,
                ports,
                comment,
            })
        });
        Self { name: guest.name.to_string(), admissions: admissions.collect(), docker }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::with;
    use crate::render::HostRuleset;

    #[test]
    fn what_comes_in_is_what_flows_say() {
        let blueprint = with(
            "ingress: { guest: plan-hq, from: [192.168.10.0/24, tag:phone], tls: internal }\n\
             guests: { proj-x: { routes: { x.example.com: 8080 } } }",
        );
        let of = |name: &str| HostRuleset::of(&blueprint, &blueprint.guests[&name.parse().unwrap()], false);
        let project = of("proj-x").admissions;
        assert_eq!((project.len(), project[0].ports.to_string()), (1, "8080".to_owned()));
        assert_eq!(project[0].from, ["10.0.0.10/32".parse().unwrap()], "the proxy and nobody else");
        let proxy = of("plan-hq").admissions;
        let (v4, v6) = proxy[0].families().unwrap();
        assert_eq!((proxy.len(), v4.len(), v6.len()), (2, 2, 1));
    }
}
