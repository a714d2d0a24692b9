//! What is asked instead of a model does the same.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::inventory::ModelKind;

const CODE: &str = "inventory.model-fallback";

/// Reports fallbacks that are no models, the model itself, of another kind, or too short for what the model takes.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (name, model) in draft.models() {
        for wanted in model.fallbacks.iter().flatten() {
            let say = |problem: String| Diagnostic::error(CODE, problem).at(wanted.span, "");
            let named =
                |own: &crate::inventory::Model| own.aliases.iter().flatten().any(|own| own.value == wanted.value);
            let found = draft.models().find(|(other, own)| other.value == wanted.value || named(own));
            let Some((other, own)) = found else {
                let hint = did_you_mean(wanted.as_str(), draft.models().map(|(name, _)| name.as_str()))
                    .unwrap_or_else(|| "describe it under `models`".to_owned());
                if !draft.broken.name(wanted.as_str()) {
                    report.push(say(format!("there is no model `{}`", wanted.value)).hint(hint));
                }
                continue;
            };
            if other.value == name.value {
                report.push(say(format!("model `{}` is its own fallback", name.value)).hint("name another one"));
                continue;
            }
            let kind = |own: &crate::inventory::Model| own.kind.map_or(ModelKind::Chat, |kind| kind.value);
            if kind(model) != kind(own) {
                let problem =
                    format!("`{}` is for {}, and `{}` is for {}", name.value, kind(model), other.value, kind(own));
                report.push(say(problem).related(other.span, "the fallback").hint("name one of the same `kind`"));
            } else if let (Some(long), Some(short)) = (model.context, own.context)
                && short.value < long.value
            {
                let problem = format!(
                    "a request of {} tokens to `{}` does not fit into its fallback `{}`",
                    long.value, name.value, other.value
                );
                report.push(
                    Diagnostic::error(CODE, problem)
                        .at(short.span, "the fallback's")
                        .related(long.span, "the model's")
                        .hint("raise the one, or lower the other"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn model_fallback() {
        let own = "inventory.model-fallback";
        let over = |a: &str, b: &str| {
            format!(
                "models: {{ a: {{ source: \"ollama:a:7b\", runs_on: [plan-hq/ollama], {a} }}, \
                 b: {{ source: \"ollama:b:7b\", runs_on: [plan-hq/ollama], {b} }} }}
guests: {{ plan-hq: {{ services: [ollama] }} }}"
            )
        };
        assert_eq!(codes(&over("fallbacks: [b]", "aliases: [x]")), [""; 0]);
        assert_eq!(codes(&over("fallbacks: [x]", "aliases: [x]")), [""; 0]);
        assert_eq!(codes(&over("fallbacks: [c]", "aliases: [x]")), [own]);
        assert_eq!(codes(&over("fallbacks: [a]", "aliases: [x]")), [own]);
        assert_eq!(codes(&over("fallbacks: [b]", "kind: embedding")), [own]);
        assert_eq!(codes(&over("fallbacks: [b], context: 8192", "context: 4096")), [own]);
    }
}
