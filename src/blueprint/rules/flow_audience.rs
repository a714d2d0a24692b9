//! Nobody is let in to a port that is not meant for them.

use crate::blueprint::Audience;
use crate::blueprint::draft::{Draft, DraftGuest};
use crate::diag::{Diagnostic, Diagnostics, Span, did_you_mean};
use crate::model::{PortName, ServiceName};

/// Reports ports that do not exist, and services or ports whose `audience` is narrower than who shall be let in:
/// `uses` needs `guests`, `exposes` and `access` need `people`.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for wanted in guest.shape.uses.iter().flatten() {
            if let Some(other) = draft.guest(&wanted.guest) {
                let what = (&wanted.service, wanted.port.as_ref());
                one(draft, other, what, (Audience::Guests, "used by other guests"), wanted.span, report);
            }
        }
        for (what, _) in guest.shape.exposes.iter().flatten() {
            let named = (&what.service, what.port.as_ref());
            one(draft, guest, named, (Audience::People, "exposed"), what.span, report);
        }
        for what in guest.shape.access.iter().flatten().flat_map(|access| access.to.iter().flatten()) {
            let named = (&what.service, what.port.as_ref());
            one(draft, guest, named, (Audience::People, "reached over the tailnet"), what.span, report);
        }
    }
}

fn one(
    draft: &Draft<'_>,
    guest: &DraftGuest<'_>,
    (service, port): (&ServiceName, Option<&PortName>),
    (audience, shall): (Audience, &str),
    span: Span,
    report: &mut Diagnostics,
) {
    const CODE: &str = "inventory.flow-audience";
    // Another rule says what is not there at all.
    let Some(there) = draft.services.get(service).filter(|_| draft.has(guest, service)) else { return };
    let broken = draft.inventory.templates.get(service.as_str()).is_some_and(|template| {
        draft.broken.key(template.span, "ports")
            || template.ports.iter().flatten().any(|(_, port)| draft.broken.keys_of(port.span).next().is_some())
    });
    if broken || !draft.ports(service, port, audience).is_empty() {
        return;
    }
    let problem = match port {
        Some(port) if !there.ports.contains_key(port) => {
            let names = there.ports.keys().map(PortName::as_str);
            let list = names.clone().collect::<Vec<_>>().join(", ");
            Diagnostic::error(CODE, format!("service `{service}` has no port `{port}`"))
                .at(span, "")
                .hint(did_you_mean(port.as_str(), names).unwrap_or_else(|| format!("it has {list}")))
        }
        Some(port) => Diagnostic::error(CODE, format!("port `{port}` of service `{service}` must not be {shall}")),
        None => Diagnostic::error(CODE, format!("service `{service}` must not be {shall}")),
    };
    if problem.primary.is_some() {
        report.push(problem);
        return;
    }
    let kept = match audience {
        Audience::People => "no port of it that need not be named is for people (`audience: people`)",
        _ => "its ports are for what runs in the same guest",
    };
    let hint = match audience {
        Audience::People => "expose the gateway or the web interface in front of it; guests may use it by `uses`",
        _ => "run what needs it in the same guest",
    };
    let problem = problem.cause(kept).at(span, "").hint(hint);
    report.push(problem.related(there.span, "described here"));
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn flow_audience() {
        let own = ["inventory.flow-audience"];
        let hq =
            |more: &str| codes(&format!("guests: {{ plan-hq: {{ services: [ollama, nats, postgres], {more} }} }}"));
        for wrong in ["ollama", "postgres", "nats", "nats/client", "nats/nope"] {
            assert_eq!(hq(&format!("exposes: {{ {wrong}: [192.168.10.0/24] }}")), own, "{wrong}");
            assert!(hq(&format!("access: [{{ from: tag:phone, to: [{wrong}] }}]")).contains(&own[0]), "{wrong}");
        }
        let uses = |what: &str| {
            codes(&format!("guests: {{ plan-hq: {{ services: [nats] }}, proj-x: {{ uses: [plan-hq/{what}] }} }}"))
        };
        assert_eq!(uses("nats/cluster"), own, "only what runs in the same guest");
        assert_eq!(uses("nats/monitoring"), [""; 0]);
        assert_eq!(hq("exposes: { ssh: [192.168.10.0/24] }"), [""; 0]);
        assert!(
            said("guests: { plan-hq: { services: [nats], exposes: { nats/cilent: [internet] } } }")
                .contains("did you mean `client`?")
        );
    }
}
