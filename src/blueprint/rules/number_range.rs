//! Numbers are within what Proxmox takes.

use crate::blueprint::assemble::{centi, file_mode};
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Spanned};

/// Reports numbers out of range.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let mut range = |value: Option<Spanned<u32>>, what: &str, from: u32, to: u32| {
        if let Some(value) = value.filter(|value| !(from..=to).contains(&value.value)) {
            push(
                report,
                value.span,
                format!("{what} cannot be {}", value.value),
                &format!("allowed are {from} to {to}"),
            );
        }
    };
    let port = |port: Option<Spanned<u16>>| port.map(|p| Spanned { value: u32::from(p.value), span: p.span });
    for (_, host) in draft.hosts() {
        range(host.api.as_ref().and_then(|api| port(api.port)), "a port", 1, 65_535);
        range(host.ssh.as_ref().and_then(|ssh| port(ssh.port)), "a port", 1, 65_535);
        let jump = host.ssh.as_ref().and_then(|ssh| ssh.jump.as_ref());
        range(jump.and_then(|jump| port(jump.port)), "a port", 1, 65_535);
        range(host.network.as_ref().and_then(|network| port(network.vlan)), "a VLAN", 1, 4094);
    }
    let document = &draft.inventory.document;
    for asked in document.ingress.iter().flat_map(|ingress| [&ingress.authelia, &ingress.authentik]).flatten() {
        range(port(asked.port), "a port", 1, 65_535);
    }
    for (_, zone) in draft.zones() {
        range(zone.ttl, "the seconds that an answer is kept", 1, 604_800);
    }
    for guest in &draft.guests {
        let shape = &guest.shape;
        range(shape.cores, "the number of cores", 1, 8192);
        range(shape.agent.as_ref().and_then(|agent| agent.wait), "the seconds to wait", 1, 3600);
        range(shape.limits.as_ref().and_then(|limits| limits.cpu_units), "the weight", 1, 10_000);
        for (_, route) in guest.routes() {
            range(port(route.port), "a port", 1, 65_535);
            range(route.timeout, "the seconds until an answer", 1, 86_400);
        }
        // An unprivileged container has 65,536 ids.
        for owner in shape.datasets.iter().flatten().flat_map(|dataset| [dataset.uid, dataset.gid]) {
            range(owner, "an owner inside a container", 0, 65_535);
        }
        for owner in shape.devices.iter().flatten().flat_map(|device| [device.uid, device.gid]) {
            range(owner, "an owner inside a container", 0, 65_535);
        }
        let startup = shape.startup.as_ref().map(|startup| &startup.value);
        for value in startup.into_iter().flat_map(|startup| [startup.order, startup.up, startup.down]) {
            range(value, "this", 0, i32::MAX.cast_unsigned());
        }
    }
    for guest in &draft.guests {
        let limit = guest.shape.limits.as_ref().and_then(|limits| limits.cpu);
        if let Some(cpu) = limit.filter(|cpu| !(0.01..=8192.0).contains(&cpu.value)) {
            push(report, cpu.span, format!("the limit of cores cannot be {}", cpu.value), "allowed are 0.01 to 8192");
        } else if let Some(cpu) = limit.filter(|cpu| (f64::from(centi(cpu.value)) - cpu.value * 100.0).abs() > 1e-6) {
            push(
                report,
                cpu.span,
                format!("{} has too many digits", cpu.value),
                "two digits after the dot are allowed",
            );
        }
        for mode in guest.shape.devices.iter().flatten().filter_map(|device| device.mode.as_ref()) {
            if file_mode(&mode.value).is_none() {
                let problem = format!("`{}` are no permission bits", mode.escape_debug());
                push(report, mode.span, problem, "write three or four octal digits in quotes, such as `\"0660\"`");
            }
        }
    }
}

fn push(report: &mut Diagnostics, span: crate::diag::Span, problem: String, hint: &str) {
    let problem = Diagnostic::error("inventory.number-range", problem).at(span, "").hint(hint);
    if !report.iter().any(|said| *said == problem) {
        report.push(problem);
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn number_range() {
        for over in [
            "hosts: { hq: { api: { port: 0 } } }",
            "hosts: { hq: { network: { vlan: 4095 } } }",
            "guests: { proj-x: { cores: 0 } }",
            "guests: { proj-x: { limits: { cpu: 0 } } }",
            "guests: { proj-x: { limits: { cpu: 1.234 } } }",
            "guests: { proj-x: { limits: { cpu_units: 20000 } } }",
            "guests: { proj-x: { devices: [{ path: /dev/net/tun, mode: \"0999\" }] } }",
            "guests: { proj-x: { devices: [{ path: /dev/net/tun, uid: 70000 }] } }",
            "guests: { plan-hq: { agent: { wait: 0 } } }",
        ] {
            assert_eq!(codes(over), ["inventory.number-range"], "{over}");
        }
        assert_eq!(codes("guests: { proj-x: { limits: { cpu: 1.5, cpu_units: 50 } } }"), [""; 0]);
    }
}
