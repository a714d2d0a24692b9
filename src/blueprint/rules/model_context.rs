//! A request that a model is said to take fits into its runner, and into what the model was trained for.

use crate::blueprint::Setting;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

const CODE: &str = "inventory.model-context";

/// Reports contexts that are longer than a model was trained for, or longer than its runner gives it (which cuts the
/// beginning of a request off and says nothing), and more requests at once than the runner answers.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (name, model) in draft.models() {
        if let (Some(context), Some(most)) = (model.context, model.max_context)
            && context.value > most.value
        {
            let problem = format!("model `{}` is given more tokens than it was trained for", name.value);
            report.push(
                Diagnostic::error(CODE, problem)
                    .at(context.span, "given")
                    .related(most.span, "trained for")
                    .hint(format!("write `context: {}` or less", most.value)),
            );
        }
        for number in [model.context, model.max_context, model.parallel].into_iter().flatten().filter(|n| n.value == 0)
        {
            report.push(
                Diagnostic::error(CODE, "this is at least 1").at(number.span, "").hint("leave it out, or raise it"),
            );
        }
        for at in model.runs_on.iter().flatten() {
            let (Some(guest), Some(stack)) = (draft.guest(&at.guest), draft.stack_of(&at.service)) else { continue };
            for (wanted, variable, what) in [
                (model.context, &stack.context, "tokens in a request"),
                (model.parallel, &stack.parallel, "requests at once"),
            ] {
                let Some(wanted) = wanted else { continue };
                let Some((Setting::Integer(given), place)) = draft.setting(guest, &at.service, variable.as_ref())
                else {
                    continue;
                };
                if wanted.value > given {
                    let key = variable.as_ref().map_or("", |variable| variable.as_str());
                    let problem = format!(
                        "model `{}` promises {} {what}, and `{}` of guest `{}` takes {given}",
                        name.value, wanted.value, at.service, at.guest
                    );
                    report.push(
                        Diagnostic::error(CODE, problem)
                            .at(wanted.span, "promised")
                            .related(place, "taken")
                            .hint(format!("write `{{ name: {}, with: {{ {key}: {} }} }}`", at.service, wanted.value)),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn model_context() {
        let own = "inventory.model-context";
        let over = |model: &str, with: &str| {
            format!(
                "models: {{ a: {{ source: \"ollama:a:7b\", runs_on: [plan-hq/ollama], {model} }} }}
guests: {{ plan-hq: {{ services: [{{ name: ollama, with: {{ {with} }} }}] }} }}"
            )
        };
        assert_eq!(codes(&over("context: 8192", "")), [""; 0], "Ollama's default");
        assert_eq!(codes(&over("context: 16384", "")), [own]);
        assert_eq!(codes(&over("context: 16384", "context: 16384")), [""; 0]);
        assert_eq!(codes(&over("context: 8192, max_context: 4096", "")), [own]);
        assert_eq!(codes(&over("parallel: 4", "parallel: 2")), [own]);
        assert_eq!(codes(&over("context: 0", "")), [own]);
    }
}
