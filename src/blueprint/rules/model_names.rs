//! A model is asked for by a name that is its own, and whoever names one means one that there is.

use std::collections::BTreeMap;

use crate::blueprint::Setting;
use crate::blueprint::draft::{Draft, collision};
use crate::diag::{Diagnostic, Diagnostics, Span, did_you_mean};
use crate::inventory::VariableType;
use crate::model::ModelName;

const CODE: &str = "inventory.model-names";

/// Reports aliases that are the name or the alias of another model, and variables of services that name no model, or one
/// that does not run there.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let mut known: BTreeMap<&ModelName, (&ModelName, Span)> =
        draft.models().map(|(name, _)| (&name.value, (&name.value, name.span))).collect();
    for (name, model) in draft.models() {
        for alias in model.aliases.iter().flatten() {
            match known.get(&alias.value) {
                Some((other, place)) => {
                    let problem =
                        format!("models `{other}` and `{}` are both asked for as `{}`", name.value, alias.value);
                    report.push(
                        collision(Diagnostic::error(CODE, problem), *place, alias.span)
                            .hint("remove the alias from one of them: one name leads to one model"),
                    );
                }
                None => {
                    known.insert(&alias.value, (&name.value, alias.span));
                }
            }
        }
    }
    for guest in &draft.guests {
        for (service, _) in guest.entries() {
            let Some(recipe) = draft.services.get(service).and_then(|own| own.recipe.as_ref()) else { continue };
            for (key, _) in recipe.variables.iter().filter(|(_, variable)| variable.kind == VariableType::Model) {
                let Some((Setting::Text(wanted), place)) = draft.setting(guest, service, Some(key)) else { continue };
                let meant = known.iter().find(|(name, _)| name.as_str() == wanted).map(|(_, (model, _))| *model);
                let Some(meant) = meant else {
                    let hint = did_you_mean(&wanted, known.keys().map(|name| name.as_str()))
                        .unwrap_or_else(|| "describe it under `models`".to_owned());
                    if !draft.broken.name("models") && !draft.broken.name(&wanted) {
                        let problem = Diagnostic::error(CODE, format!("there is no model `{}`", wanted.escape_debug()));
                        report.push(problem.at(place, "").hint(hint));
                    }
                    continue;
                };
                let Some((name, model)) = draft.models().find(|(name, _)| name.value == *meant) else { continue };
                let here = |at: &crate::inventory::ServiceRef| at.guest == guest.name.value && at.service == *service;
                if !model.runs_on.iter().flatten().any(|at| here(at)) && !draft.broken.key(model.span, "runs_on") {
                    let problem = format!(
                        "`{service}` of guest `{}` serves model `{meant}`, which does not run there",
                        guest.name.value
                    );
                    report.push(
                        Diagnostic::error(CODE, problem)
                            .at(place, "")
                            .related(name.span, "the model")
                            .hint(format!("add `{}/{service}` to its `runs_on`", guest.name.value)),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn model_names() {
        let own = "inventory.model-names";
        let model = |more: &str| format!("source: \"ollama:a:7b\", runs_on: [plan-hq/ollama] {more}");
        let guest = "guests: { plan-hq: { services: [ollama] } }";
        let two = |a: &str, b: &str| format!("models: {{ a: {{ {} }}, b: {{ {} }} }}\n{guest}", model(a), model(b));
        assert_eq!(codes(&two(", aliases: [x]", ", aliases: [y]")), [""; 0]);
        assert_eq!(codes(&two(", aliases: [b]", "")), [own]);
        assert_eq!(codes(&two(", aliases: [x]", ", aliases: [x]")), [own]);
        let vllm = |at: &str, wanted: &str| {
            format!(
                "models: {{ big: {{ source: \"hf:a/b\", runs_on: [plan-hq/{at}] }} }}
guests: {{ plan-hq: {{ services: [llama-cpp, {{ name: vllm, with: {{ model: {wanted} }} }}] }} }}"
            )
        };
        assert!(codes(&vllm("vllm", "bigg")).contains(&own));
        assert!(said(&vllm("vllm", "bigg")).contains("did you mean `big`?"));
        assert!(codes(&vllm("llama-cpp", "big")).contains(&own), "it does not run there");
    }
}
