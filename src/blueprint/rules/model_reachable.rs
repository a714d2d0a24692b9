//! A gateway reaches the models that it is there for.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::{ModelKind, StackTier};

const CODE: &str = "inventory.model-reachable";

/// Reports models that no gateway of the inventory may ask, where there is one, and gateways that may ask for none.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let gateways: Vec<_> = draft
        .guests
        .iter()
        .flat_map(|guest| guest.listed().map(move |listed| (guest, listed)))
        .filter(|(_, listed)| draft.stack_of(&listed.value).is_some_and(|stack| stack.tier == StackTier::Gateway))
        .collect();
    if gateways.is_empty() || draft.broken.name("uses") || draft.broken.name("runs_on") {
        return;
    }
    let reaches = |guest: &crate::blueprint::draft::DraftGuest<'_>, at: &crate::inventory::ServiceRef| {
        draft.providers(guest, &at.service).iter().any(|other| other.name.value == at.guest)
    };
    for (name, model) in draft.models().filter(|(_, own)| own.kind.is_none_or(|kind| kind.value == ModelKind::Chat)) {
        // What is no runner, another rule has said.
        let runner = |at: &&crate::diag::Spanned<crate::inventory::ServiceRef>| {
            let there = draft.guest(&at.guest).is_some_and(|guest| guest.listed().any(|own| own.value == at.service));
            there && draft.stack_of(&at.service).is_some_and(|stack| stack.tier == StackTier::Runner)
        };
        let mut runs = model.runs_on.iter().flatten().filter(runner).peekable();
        let Some(first) = runs.peek().copied() else { continue };
        if runs.any(|at| gateways.iter().any(|(guest, _)| reaches(guest, at))) {
            continue;
        }
        let (guest, gateway) = gateways[0];
        let problem = format!("no gateway may ask for model `{}`", name.value);
        report.push(
            Diagnostic::error(CODE, problem)
                .at(first.span, "it runs here")
                .related(gateway.span, "a gateway")
                .hint(format!("let guest `{}` use it: `uses: [{}/{}]`", guest.name.value, first.guest, first.service)),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn model_reachable() {
        let over = |uses: &str| {
            format!(
                "models: {{ a: {{ source: \"ollama:a:7b\", runs_on: [plan-hq/ollama] }} }}
guests: {{ plan-hq: {{ services: [ollama] }}, proj-x: {{ keyctl: true, services: [litellm] {uses} }} }}"
            )
        };
        assert_eq!(codes(&over(", uses: [plan-hq/ollama]")), [""; 0]);
        assert_eq!(codes(&over("")), ["inventory.model-reachable"]);
    }
}
