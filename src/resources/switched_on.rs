//! What becomes of a site when its datacenter's firewall is switched on: whose rules are enforced from then on, and
//! what of the hosts nobody reaches any more. Proxmox shows none of it before.

use super::references::{Referrer, referrer};
use crate::blueprint::{Blueprint, Host, Rule, Verdict};
use crate::diag::Diagnostic;
use crate::model::Transport;
use crate::model::entrance::Listener;
use crate::model::observed::{ClusterFirewall, FirewallRule, Observed};

/// TCP ports that Proxmox itself opens to `management` and the hosts' own network (`enable_host_firewall`).
const MANAGED: [(u16, u16); 5] = [(22, 22), (3128, 3128), (5900, 5999), (8006, 8006), (60000, 60050)];
/// UDP ports of corosync, which Proxmox opens between the nodes.
const COROSYNC: (u16, u16) = (5404, 5412);

/// What the operator should know before the switch is thrown.
pub fn consequences(blueprint: &Blueprint, site: &str, observed: &Observed) -> Vec<String> {
    let mut notes = vec![foreign_guests(blueprint, site, observed)];
    let hosts = blueprint.hosts.values().filter(|host| host.site == site);
    notes.extend(hosts.map(|host| closed(host, observed)));
    notes.into_iter().flatten().collect()
}

fn foreign_guests(blueprint: &Blueprint, site: &str, observed: &Observed) -> Option<String> {
    let there = observed.sites.get(site)?;
    let files = &there.firewall_files;
    let Some(all) = files.value().filter(|_| files.is_complete()) else {
        let why = files.why().unwrap_or("not known");
        return Some(format!("whose rules are enforced from then on beside ours is not known: {why}"));
    };
    let ours =
        |vmid| blueprint.guests.values().any(|guest| guest.vmid == vmid && blueprint.host_of(guest).site == site);
    let listed = there.guests.value();
    let mut named = Vec::new();
    for (path, file) in all {
        let Referrer::Guest(vmid) = referrer(path) else { continue };
        let gone = there.guests.is_complete() && listed.is_some_and(|guests| !guests.contains_key(&vmid));
        if ours(vmid) || gone || file.options.get("enable").is_none_or(|enable| enable == "0") {
            continue;
        }
        let name = listed.and_then(|guests| guests.get(&vmid)?.name.as_deref());
        let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        let policy = file.options.get("policy_in").map_or("DROP", String::as_str);
        named.push(format!("{vmid}{name} (what comes in: {policy}; {} rules)", file.rules.len()));
    }
    (!named.is_empty()).then(|| {
        format!(
            "guests of {site} that are not ours have a firewall that is enforced from then on, at cards that say \
             `firewall=1`: {}",
            named.join(", ")
        )
    })
}

fn closed(host: &Host, observed: &Observed) -> Option<String> {
    let there = observed.hosts.get(&host.name)?;
    let Some(listeners) = there.entrance.listeners.value() else {
        let why = there.entrance.listeners.why().unwrap_or("not known");
        return Some(format!("what listens on {} and is closed from then on is not known: {why}", host.name));
    };
    let own = there.entrance.firewall.value();
    if own.is_some_and(|own| own.options.get("enable").is_some_and(|enable| enable == "0")) && host.firewall.is_none() {
        return None;
    }
    let cluster = observed.sites.get(&host.site).and_then(|site| site.firewall.value());
    let rules = own.into_iter().flat_map(|own| &own.rules).chain(cluster.into_iter().flat_map(|all| &all.rules));
    let rules: Vec<&FirewallRule> = rules.collect();
    let said: Vec<String> = listeners
        .iter()
        .filter(|listener| !is_proxmoxs_own(listener))
        .filter_map(|listener| {
            let sources = sources(host, &rules, listener);
            match sources.is_empty() {
                true => Some(listener.to_string()),
                false if sources.iter().any(|source| source == ANYBODY) => None,
                false => Some(format!("{listener} but from {}", sources.join(", "))),
            }
        })
        .collect();
    (!said.is_empty()).then(|| format!("nobody reaches on {} any more: {}", host.name, said.join("; ")))
}

fn is_proxmoxs_own(listener: &Listener) -> bool {
    let within = |(first, last): &(u16, u16)| (*first..=*last).contains(&listener.port);
    match listener.transport {
        Transport::Tcp => MANAGED.iter().any(within),
        Transport::Udp => within(&COROSYNC),
    }
}

const ANYBODY: &str = "anybody";

/// Who is let in to it by what is declared or there, as far as a rule names ports.
fn sources(host: &Host, rules: &[&FirewallRule], listener: &Listener) -> Vec<String> {
    let mut sources = Vec::new();
    if let Some(firewall) = &host.firewall {
        if listener.transport == Transport::Tcp && firewall.ports.contains(&listener.port) {
            sources.extend(firewall.allow_from.iter().map(ToString::to_string));
        }
        let accepts = |rule: &&Rule| {
            rule.inbound
                && rule.verdict == Verdict::Accept
                && holds(rule.protocol.as_deref(), rule.ports.as_deref(), listener)
        };
        for rule in firewall.rules.iter().filter(accepts) {
            match rule.source.is_empty() {
                true => sources.push(ANYBODY.to_owned()),
                false => sources.extend(rule.source.iter().map(ToString::to_string)),
            }
        }
    }
    for FirewallRule(rule) in rules {
        let get = |name: &str| rule.get(name).map(String::as_str);
        let accepts = get("type") == Some("in") && get("action") == Some("ACCEPT") && get("enable") != Some("0");
        if accepts && get("macro").is_none() && holds(get("proto"), get("dport"), listener) {
            sources.push(get("source").unwrap_or(ANYBODY).to_owned());
        }
    }
    sources.sort();
    sources.dedup();
    sources
}

fn holds(protocol: Option<&str>, ports: Option<&str>, listener: &Listener) -> bool {
    let port = |text: &str| match text.split_once(':') {
        Some((first, last)) => {
            let (first, last) = (first.trim().parse::<u16>(), last.trim().parse::<u16>());
            first.is_ok_and(|first| first <= listener.port) && last.is_ok_and(|last| listener.port <= last)
        }
        None => text.trim().parse() == Ok(listener.port),
    };
    protocol.is_none_or(|protocol| protocol == listener.transport.as_str())
        && ports.is_none_or(|ports| ports.split(',').any(port))
}

/// Why the switch must not be thrown over what is in the datacenter's file already: a policy for what hosts send that
/// somebody set once would cut them off from storage, cluster and names, and nothing here declares it.
pub fn stale_policy(cluster: &ClusterFirewall, host: &Host) -> Option<Diagnostic> {
    let policy = cluster.options.get("policy_out").filter(|policy| *policy != "ACCEPT")?;
    let problem = Diagnostic::error(
        "plan.stale-policy-out",
        format!("the datacenter firewall of {} says `policy_out: {policy}`, and is off", host.site),
    )
    .cause(
        "switched on, no host of it could open a connection that no rule allows: to storage, names, package mirrors",
    );
    let problem = match &host.firewall {
        Some(firewall) => problem.at(firewall.span, "this would switch it on"),
        None => problem,
    };
    Some(problem.hint("`pvesh set /cluster/firewall/options --policy_out ACCEPT` sets it back; rules for what goes out belong to guests"))
}
