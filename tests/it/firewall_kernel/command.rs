//! One rule of a `.fw` file as the lines of `iptables-restore` that Proxmox makes of it.

use super::dotfw::{Config, Rule, find_alias, is_name, scoped};
use super::macros;

/// Where names are looked up, and for which version of IP the rule is made.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub version: u8,
    pub cluster: &'a Config,
    /// The guest's own file with its number.
    pub own: Option<(u32, &'a Config)>,
}

/// What the three actions become in a chain.
#[derive(Debug, Clone, Copy)]
pub struct Actions {
    pub accept: &'static str,
    pub reject: &'static str,
}

/// Into a guest.
pub const INTO: Actions = Actions { accept: "-j ACCEPT", reject: "-j PVEFW-reject" };
/// Out of a guest, and in groups: a mark, as more has to be looked at.
pub const MARK: Actions = Actions { accept: "-g PVEFW-SET-ACCEPT-MARK", reject: "-j PVEFW-reject" };
/// From and to the host.
pub const HOST: Actions = Actions { accept: "-j RETURN", reject: "-j PVEFW-reject" };

/// The lines; all or none, as in Proxmox. `iface` is `-i` or `-o` with a name.
pub fn commands(rule: &Rule, chain: &str, actions: Actions, scope: Scope<'_>, iface: Option<&str>) -> Vec<String> {
    let rules = match &rule.macro_name {
        Some(_) => macros::expand(rule, Some(scope.version)).unwrap_or_default(),
        None => vec![rule.clone()],
    };
    let target = match rule.action.as_str() {
        "ACCEPT" => actions.accept,
        "REJECT" => actions.reject,
        _ => "-j DROP",
    };
    let lines = rules.iter().map(|rule| {
        let found = matches(rule, scope, iface)?;
        Some(format!("-A {chain} {} {target}", found.join(" ")))
    });
    lines.collect::<Option<_>>().unwrap_or_default()
}

fn matches(rule: &Rule, scope: Scope<'_>, iface: Option<&str>) -> Option<Vec<String>> {
    let mut found: Vec<String> = iface.map(ToOwned::to_owned).into_iter().collect();
    if let Some(source) = &rule.source {
        found.push(address(source, "s", "src", scope)?);
    }
    if let Some(dest) = &rule.dest {
        found.push(address(dest, "d", "dst", scope)?);
    }
    let Some(proto) = rule.proto.as_deref() else { return Some(found) };
    found.push(format!("-p {proto}"));
    let many = |ports: &Option<String>| ports.as_deref().is_some_and(|ports| ports.contains(','));
    let port = |ports: &Option<String>, one: &str, list: &str| {
        ports.as_deref().map(|text| match text.contains(',') {
            true => format!("--match multiport --{list} {text}"),
            false => format!("--{one} {text}"),
        })
    };
    if let Some(kind) = &rule.icmp_type {
        let option = if proto == "icmp" { "icmp-type" } else { "icmpv6-type" };
        found.push(format!("-m {proto} --{option} {kind}"));
    }
    let dport = match proto {
        "icmp" => rule.dport.as_deref().map(|kind| format!("-m icmp --icmp-type {kind}")),
        "icmpv6" => rule.dport.as_deref().map(|kind| format!("-m icmpv6 --icmpv6-type {kind}")),
        _ => port(&rule.dport, "dport", "dports"),
    };
    let sport = port(&rule.sport, "sport", "sports");
    // A single port has to come before a list.
    let order = if many(&rule.sport) { [dport, sport] } else { [sport, dport] };
    found.extend(order.into_iter().flatten());
    Some(found)
}

fn address(text: &str, short: &str, long: &str, scope: Scope<'_>) -> Option<String> {
    if let Some(set) = text.strip_prefix('+') {
        let (wanted, name) = scoped(set);
        let own = scope.own.filter(|(_, own)| wanted != "dc/" && own.ipsets.contains_key(name));
        let owner = match own {
            Some((vmid, _)) => vmid,
            None if wanted != "guest/" && scope.cluster.ipsets.contains_key(name) => 0,
            None => return None,
        };
        return Some(format!("-m set --match-set {} {long}", set_name(owner, name, scope.version)));
    }
    let (wanted, name) = scoped(text);
    if is_name(name) {
        let cidr = find_alias(name, wanted, scope.own.map(|(_, own)| own), scope.cluster)?;
        return Some(format!("-{short} {cidr}"));
    }
    Some(match text.contains('-') {
        true => format!("-m iprange --{long}-range {text}"),
        false => format!("-{short} {text}"),
    })
}

/// What a set is called in the kernel. It takes 31 bytes, some of which Proxmox keeps; a longer name is hashed.
pub fn set_name(vmid: u32, name: &str, version: u8) -> String {
    let id = format!("{vmid}-{name}-v{version}");
    if id.len() <= 20 {
        return format!("PVEFW-{id}");
    }
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("PVEFW-{:X}", hash & 0x7fff_ffff)
}
