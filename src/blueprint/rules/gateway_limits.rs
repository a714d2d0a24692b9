//! A gateway lets one whole request through.

use crate::blueprint::Setting;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

const CODE: &str = "inventory.gateway-limits";

/// Reports gateways that let fewer tokens through in a minute than fit into one request of a model that they lead to:
/// such a request would be refused whenever it comes.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for (name, _) in guest.entries() {
            let variable = draft.stack_of(name).and_then(|stack| stack.tokens_per_minute.as_ref());
            let Some((Setting::Integer(limit), place)) = draft.setting(guest, name, variable) else { continue };
            for (model, own) in draft.models() {
                let Some(context) = own.context.filter(|context| context.value > limit) else { continue };
                let mut runs = own.runs_on.iter().flatten();
                if !runs.any(|at| draft.providers(guest, &at.service).iter().any(|other| other.name.value == at.guest))
                {
                    continue;
                }
                let problem = format!(
                    "`{name}` lets {limit} tokens through in a minute, and one request to `{}` may have {}",
                    model.value, context.value
                );
                report.push(
                    Diagnostic::error(CODE, problem)
                        .at(place, "in a minute")
                        .related(context.span, "in one request")
                        .hint("raise the limit, or lower the model's `context`"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn gateway_limits() {
        let over = |limit: u32| {
            format!(
                "models: {{ a: {{ source: \"ollama:a:7b\", context: 8192, runs_on: [plan-hq/ollama] }} }}
guests: {{ plan-hq: {{ services: [ollama, {{ name: litellm, with: {{ tokens_per_minute: {limit} }} }}] }} }}"
            )
        };
        assert_eq!(codes(&over(8192)), [""; 0]);
        assert_eq!(codes(&over(8000)), ["inventory.gateway-limits"]);
    }
}
