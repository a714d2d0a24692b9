//! Services that guests use are offered.

use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// Reports uses of unknown guests, of services that the guest does not offer, and of a guest's own
/// services; and services that are listed twice.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for wanted in guest.shape.uses.iter().flatten() {
            let Some(other) = draft.guest(&wanted.guest) else {
                if !draft.broken.name(wanted.guest.as_str()) {
                    report.push(
                        Diagnostic::error(
                            CODE,
                            format!(
                                "guest `{}` uses a service of `{}`, which is no guest",
                                guest.name.value, wanted.guest
                            ),
                        )
                        .at(wanted.span, "")
                        .hint_maybe(did_you_mean(
                            wanted.guest.as_str(),
                            draft.guests.iter().map(|guest| guest.name.as_str()),
                        )),
                    );
                }
                continue;
            };
            let listed = || other.listed().map(|service| service.value.as_str());
            let everywhere = draft.services.values().filter(|service| service.everywhere).map(|s| s.name.as_str());
            let offered = || listed().chain(everywhere.clone());
            if other.name == guest.name {
                report.push(
                    Diagnostic::error(CODE, format!("guest `{}` uses a service of itself", guest.name.value))
                        .at(wanted.span, "")
                        .hint("remove it: services of one guest reach one another anyway"),
                );
            } else if !offered().any(|service| service == wanted.service.as_str())
                && !draft.broken.key(other.own.span, "services")
            {
                let list = listed().collect::<Vec<_>>().join(", ");
                let hint = did_you_mean(wanted.service.as_str(), offered()).unwrap_or_else(|| {
                    if list.is_empty() {
                        "list it under that guest's `services`".to_owned()
                    } else {
                        format!("it has {list}")
                    }
                });
                report.push(
                    Diagnostic::error(
                        CODE,
                        format!("guest `{}` has no service `{}`", wanted.guest, wanted.service.as_str()),
                    )
                    .at(wanted.span, "")
                    .related(other.name.span, "the guest")
                    .hint(hint),
                );
            }
        }
        for entry in guest.shape.services.iter().flatten().filter(|entry| entry.name.is_none()) {
            if !draft.broken.key(entry.span, "name") {
                let problem = format!("guest `{}` lists a service without its name", guest.name.value);
                report.push(Diagnostic::error(CODE, problem).at(entry.span, "").hint("add `name: …`"));
            }
        }
        let services = guest.listed().map(|service| (&service.value, service.span));
        once(services, |service, first, again| {
            report.push(
                collision(
                    Diagnostic::error(CODE, format!("guest `{}` has the service `{service}` twice", guest.name.value)),
                    *first,
                    *again,
                )
                .hint(
                    "remove one; a profile's services are kept when a guest adds some, and `with` changes one of them",
                ),
            );
        });
    }
}

const CODE: &str = "inventory.service-known";

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn service_known() {
        let refused = |over: &str| codes(over).contains(&"inventory.service-known");
        assert!(refused("guests: { proj-x: { uses: [plan-hq/ollama] } }"));
        assert!(refused("guests: { proj-x: { uses: [plan/ollama] } }"));
        assert!(refused("guests: { proj-x: { services: [ollama], uses: [proj-x/ollama] } }"));
        assert!(refused("guests: { proj-x: { services: [ollama, ollama] } }"));
        assert!(!refused("guests: { plan-hq: { services: [ollama] }, proj-x: { uses: [plan-hq/ollama] } }"));
        assert!(
            said("guests: { plan-hq: { services: [ollama] }, proj-x: { uses: [plan-hq/olama] } }")
                .contains("did you mean `ollama`?")
        );
    }
}
