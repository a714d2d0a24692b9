//! What a guest's services take together, the guest has.

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::{Needs, Recipe};
use crate::diag::{Diagnostic, Diagnostics, Spanned};
use crate::model::Size;

const CODE: &str = "inventory.service-capacity";

/// Reports services that together take more memory or space than their guest has, and limits of one that are larger
/// than its guest, or smaller than what it takes.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let memory = sum(draft, guest, |needs| needs.memory);
        compare(guest, "memory", memory, guest.shape.memory, report);
        compare(guest, "disk", sum(draft, guest, |needs| needs.disk), guest.shape.disk, report);
        for (name, entry) in guest.entries() {
            let Some(limit) = entry.memory else { continue };
            let recipe = draft.services.get(name).and_then(|service| service.recipe.as_ref());
            if let Some(own) = guest.shape.memory.filter(|own| limit.value > own.value) {
                report.push(
                    Diagnostic::error(CODE, format!("service `{name}` may take more memory than its guest has"))
                        .at(limit.span, format!("{}", limit.value))
                        .related(own.span, format!("the guest has {}", own.value))
                        .hint("lower the one, or raise the other"),
                );
            }
            if let Some((recipe, least)) = recipe.and_then(|own| Some((own, own.needs.memory?)))
                && limit.value < least
            {
                report.push(
                    Diagnostic::error(CODE, format!("service `{name}` takes {least} and is let have {}", limit.value))
                        .at(limit.span, "")
                        .related(recipe.span, "described here")
                        .hint(format!("write `memory: {least}` or more")),
                );
            }
        }
    }
}

/// What the services of a guest take together, and each by its name.
fn sum(draft: &Draft<'_>, guest: &DraftGuest<'_>, of: fn(&Needs) -> Option<Size>) -> (Size, Vec<String>) {
    let recipes = guest.entries().filter_map(|(name, _)| Some((name, draft.services.get(name)?.recipe.as_ref()?)));
    let each: Vec<_> = recipes.filter_map(|(name, recipe): (_, &Recipe)| Some((name, of(&recipe.needs)?))).collect();
    let total = each.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(size.as_bytes()));
    (Size::bytes(total), each.iter().map(|(name, size)| format!("{name} {size}")).collect())
}

fn compare(
    guest: &DraftGuest<'_>,
    what: &str,
    (total, each): (Size, Vec<String>),
    has: Option<Spanned<Size>>,
    report: &mut Diagnostics,
) {
    let Some(has) = has.filter(|has| has.value < total) else { return };
    let services = guest.listed().next().map_or(guest.name.span, |first| first.span);
    let problem = format!("the services of guest `{}` take more {what} than it has", guest.name.value);
    report.push(
        Diagnostic::error(CODE, problem)
            .cause(format!("they take {total}: {}", each.join(", ")))
            .at(has.span, format!("it has {}", has.value))
            .related(services, "its services")
            .hint(format!("raise `{what}`, or move a service to another guest")),
    );
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn service_capacity() {
        let own = "inventory.service-capacity";
        assert_eq!(codes("guests: { plan-hq: { services: [ollama, litellm, open-webui] } }"), [""; 0]);
        assert_eq!(codes("guests: { plan-hq: { memory: 9GiB, services: [ollama, litellm, open-webui] } }"), [own]);
        assert_eq!(codes("guests: { plan-hq: { disk: 16GiB, services: [ollama] } }"), [own]);
        assert_eq!(codes("guests: { plan-hq: { services: [{ name: ollama, memory: 64GiB }] } }"), [own]);
        assert_eq!(codes("guests: { plan-hq: { services: [{ name: ollama, memory: 1GiB }] } }"), [own]);
    }
}
