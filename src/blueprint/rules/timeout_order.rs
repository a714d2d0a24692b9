//! Whoever asks gives up before whoever answers does: client before gateway before runner.

use crate::blueprint::Setting;
use crate::blueprint::draft::{Draft, DraftGuest};
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::inventory::StackTier;
use crate::model::{Period, ServiceName};

const CODE: &str = "inventory.timeout-order";

/// Reports services that wait as long as, or longer than, what they ask: its refusal would come to nobody, and work
/// would go on for a reader who is told something else.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for (name, _) in guest.entries() {
            let Some(tier) = draft.stack_of(name).map(|stack| stack.tier) else { continue };
            let Some((waits, place)) = timeout(draft, guest, name) else { continue };
            let Some(recipe) = draft.services.get(name).and_then(|service| service.recipe.as_ref()) else { continue };
            for asked in recipe.depends_on.keys().filter(|asked| below(draft, asked, tier)) {
                for other in draft.providers(guest, asked) {
                    let Some((answers, other_place)) = timeout(draft, other, asked) else { continue };
                    if waits >= answers {
                        let problem = format!(
                            "`{name}` of guest `{}` waits {waits} for `{asked}`, which takes up to {answers}",
                            guest.name.value
                        );
                        report.push(
                            Diagnostic::error(CODE, problem)
                                .at(place, waits.to_string())
                                .related(other_place, answers.to_string())
                                .hint(format!("let `{name}` give up first: client before gateway before runner")),
                        );
                    }
                }
            }
        }
    }
}

fn below(draft: &Draft<'_>, asked: &ServiceName, tier: StackTier) -> bool {
    draft.stack_of(asked).is_some_and(|stack| stack.tier > tier)
}

fn timeout(draft: &Draft<'_>, guest: &DraftGuest<'_>, service: &ServiceName) -> Option<(Period, Span)> {
    match draft.setting(guest, service, draft.stack_of(service)?.timeout.as_ref())? {
        (Setting::Duration(period), place) => Some((period, place)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn timeout_order() {
        let own = "inventory.timeout-order";
        let over = |services: &str| format!("guests: {{ plan-hq: {{ services: [{services}] }} }}");
        assert_eq!(codes(&over("ollama, litellm, open-webui")), [""; 0], "the defaults agree");
        assert_eq!(codes(&over("ollama, { name: litellm, with: { timeout: 15m } }")), [own]);
        assert_eq!(codes(&over("{ name: ollama, with: { load_timeout: 2m } }, litellm")), [own]);
        let chat = "litellm, { name: open-webui, with: { timeout: 1h } }";
        assert_eq!(codes(&over(chat)), [own]);
        assert!(said(&over(chat)).contains("waits 1h for `litellm`, which takes up to 10m"));
    }
}
