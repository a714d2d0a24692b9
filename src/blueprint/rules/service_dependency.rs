//! What a service does not start without is there.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

const CODE: &str = "inventory.service-dependency";

/// Reports services whose guest neither has nor `uses` what they need.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for listed in guest.listed() {
            let Some(recipe) = draft.services.get(&listed.value).and_then(|service| service.recipe.as_ref()) else {
                continue;
            };
            for (needed, _) in recipe.depends_on.iter().filter(|(_, required)| **required) {
                let broken = draft.broken.key(guest.own.span, "services") || draft.broken.key(guest.own.span, "uses");
                if broken || !draft.providers(guest, needed).is_empty() {
                    continue;
                }
                let elsewhere = draft.guests.iter().find(|other| other.listed().any(|own| own.value == *needed));
                let hint = match elsewhere {
                    Some(other) => {
                        format!("write `uses: [{}/{needed}]`, or list `{needed}` here, too", other.name.value)
                    }
                    None => format!("list `{needed}` under this guest's `services`"),
                };
                let problem = format!("service `{}` of guest `{}` needs `{needed}`", listed.value, guest.name.value);
                report.push(
                    Diagnostic::error(CODE, problem)
                        .at(listed.span, "")
                        .related(recipe.span, "described here")
                        .hint(hint),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn service_dependency() {
        let own = "inventory.service-dependency";
        assert_eq!(codes("guests: { plan-hq: { services: [tensorzero, clickhouse] } }"), [""; 0]);
        assert_eq!(codes("guests: { plan-hq: { services: [tensorzero] } }"), [own]);
        let there = "guests: { plan-hq: { services: [clickhouse] }, proj-x: { keyctl: true, services: [tensorzero]";
        assert_eq!(codes(&format!("{there} }} }}")), [own]);
        assert!(said(&format!("{there} }} }}")).contains("uses: [plan-hq/clickhouse]"));
        assert_eq!(codes(&format!("{there}, uses: [plan-hq/clickhouse] }} }}")), [""; 0]);
    }
}
