//! Whether a host's firewall would still let us in: held against the address that the host sees us come from.
//!
//! The first net under a change that could cut our own path; the second is the guard that it is made under.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Finding;
use crate::blueprint::{Host, HostFirewall};
use crate::diag::Diagnostic;
use crate::model::observed::{ClusterFirewall, FirewallIpSet, Observed};

/// Why the firewall of a host must not be set as declared, or cannot be judged; nothing, if it lets us in.
pub fn lockout(observed: &Observed, host: &Host, firewall: &HostFirewall) -> Option<Finding> {
    let there = observed.hosts.get(&host.name)?;
    if let Some((guard, _)) = there.entrance.pending() {
        let why = format!("`{}` is about to take back an earlier change that nobody confirmed ({guard})", host.name);
        return Some(Finding::Gap { why });
    }
    let Some(operator) = there.entrance.operator.value() else {
        let why = there.entrance.operator.why().unwrap_or("not known");
        return Some(Finding::Gap { why: format!("from where `{}` sees us come: {why}", host.name) });
    };
    if firewall.allow_from.iter().any(|network| network.contains(operator)) {
        return None;
    }
    let jump = host.access.ssh.as_ref().is_some_and(|ssh| ssh.jump.is_some());
    let via = if jump { ", which is the machine in between" } else { "" };
    let problem = Diagnostic::error("plan.locked-out", format!("this would lock us out of host `{}`", host.name))
        .cause(format!("it sees us come from {operator}{via}, and `allow_from` does not have that"))
        .at(firewall.allow_from_span, format!("{operator} is not in it"))
        .hint(format!("add `{operator}`, or the network that it is in"));
    Some(Finding::Refused(problem.into()))
}

/// Why what is in the datacenter's firewall already would keep us out whatever `allow_from` says.
pub fn kept_out(cluster: &ClusterFirewall, operator: IpAddr, host: &Host, firewall: &HostFirewall) -> Option<Finding> {
    let named = |name: &str| cluster.ipsets.get(name);
    let exception = named("management").and_then(|set| entry(set, operator, true));
    let blacklisted = named("blacklist").and_then(|set| entry(set, operator, false));
    let why = match (exception, blacklisted) {
        (_, Some(entry)) => format!("{operator} is in the set `blacklist` (`{entry}`), which is looked at first"),
        (Some(entry), _) => format!("the set `management` has the exception `!{entry}`, and we come from {operator}"),
        (None, None) => return None,
    };
    let problem = Diagnostic::error("plan.locked-out", format!("this would lock us out of host `{}`", host.name))
        .cause(why)
        .at(firewall.span, "")
        .hint("remove that entry first: Datacenter → Firewall → IPSet");
    Some(Finding::Refused(problem.into()))
}

fn entry(set: &FirewallIpSet, address: IpAddr, nomatch: bool) -> Option<&str> {
    let holds = |text: &str| {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.is_some_and(|network| network.contains(&address))
    };
    let mut entries = set.entries.iter().filter(|(_, entry)| entry.nomatch == nomatch);
    entries.find(|(text, _)| holds(text)).map(|(text, _)| text.as_str())
}
