//! Two hosts of the inventory are two machines.

use crate::blueprint::draft::{Draft, NamedHost, once, site};
use crate::diag::{Diagnostic, Diagnostics};

/// Reports two hosts behind one API address and port, and one node twice in a cluster.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.host-unique";
    let endpoint = |(_, host): &NamedHost<'_>| {
        let api = host.api.as_ref()?;
        let name = api.host.as_ref().or(host.address.as_ref())?;
        Some((name.value.to_ascii_lowercase(), api.port.map_or(8006, |port| port.value)))
    };
    let hosts = || draft.hosts();
    once(hosts().filter_map(|host| Some((endpoint(&host)?, host))), |(address, port), first, again| {
        report.push(
            Diagnostic::error(CODE, format!("hosts `{}` and `{}` are the same machine", first.0.value, again.0.value))
                .cause(format!("the API of both is at {address}, port {port}"))
                .at(again.0.span, "this one")
                .related(first.0.span, "and this one")
                .hint("give each host the address of its own API"),
        );
    });
    let node = |(name, host): NamedHost<'_>| host.node.as_ref().map_or(name.to_string(), |node| node.to_string());
    once(hosts().map(|host| ((site(host), node(host)), host)), |(site, node), first, again| {
        report.push(
            Diagnostic::error(CODE, format!("the node `{node}` of `{site}` is described twice"))
                .at(again.0.span, "again here")
                .related(first.0.span, "first here")
                .hint("give each host its own `node`, the name that `hostname` prints there"),
        );
    });
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{HOST, codes};

    #[test]
    fn host_unique() {
        let own = "inventory.host-unique";
        assert_eq!(codes(&format!("hosts: {{ b: {{ address: 192.168.10.2, {HOST} }} }}")), [own]);
        assert_eq!(codes(&format!("hosts: {{ b: {{ address: 192.168.10.3, {HOST} }} }}")), [""; 0]);
        let cluster = "hosts: { hq: { cluster: c, node: n }, b: { cluster: c, node: n, address: b, ";
        assert_eq!(codes(&format!("{cluster}{HOST} }} }}")), [own]);
    }
}
