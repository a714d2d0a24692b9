//! A model runs somewhere, and what runs it can.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::inventory::{ModelKind, ModelSource, StackTier};

const CODE: &str = "inventory.model-runs";

/// Reports models that run nowhere or do not say where they come from, runners that are not there, services that run no
/// models, and sources or kinds that a runner knows nothing of.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (name, model) in draft.models() {
        let say = |problem: String| Diagnostic::error(CODE, problem);
        if model.source.is_none() && !draft.broken.key(model.span, "source") {
            let problem = say(format!("model `{}` does not say where it comes from", name.value));
            report.push(problem.at(name.span, "").hint("add `source: ollama:qwen2.5-coder:7b`, `hf:…` or `file:…`"));
        }
        if model.runs_on.as_ref().is_none_or(Vec::is_empty) && !draft.broken.key(model.span, "runs_on") {
            let runner = draft.guests.iter().find_map(|guest| {
                let own =
                    guest.listed().find(|own| draft.stack_of(own).is_some_and(|own| own.tier == StackTier::Runner))?;
                Some(format!("{}/{}", guest.name.value, own.value))
            });
            let hint = runner.map_or_else(
                || "list a runner such as `ollama` in a guest, and name it".to_owned(),
                |at| format!("write `runs_on: [{at}]`"),
            );
            report.push(say(format!("model `{}` runs nowhere", name.value)).at(name.span, "").hint(hint));
        }
        for at in model.runs_on.iter().flatten() {
            let Some(guest) = draft.guest(&at.guest) else {
                let names = draft.guests.iter().map(|guest| guest.name.as_str());
                let hint = did_you_mean(at.guest.as_str(), names);
                if !draft.broken.name(at.guest.as_str()) {
                    let problem = say(format!("model `{}` runs on `{}`, which is no guest", name.value, at.guest));
                    report.push(problem.at(at.span, "").hint_maybe(hint));
                }
                continue;
            };
            if !guest.listed().any(|own| own.value == at.service) {
                if !draft.broken.key(guest.own.span, "services") {
                    let names: Vec<&str> = guest.listed().map(|own| own.as_str()).collect();
                    let hint = did_you_mean(at.service.as_str(), names.iter().copied())
                        .unwrap_or_else(|| format!("list it under `services` of `{}`", at.guest));
                    let problem =
                        format!("model `{}` runs on `{}` of `{}`, which it has not", name.value, at.service, at.guest);
                    report.push(say(problem).at(at.span, "").related(guest.name.span, "the guest").hint(hint));
                }
                continue;
            }
            if draft.stack_of(&at.service).is_none_or(|stack| stack.tier != StackTier::Runner) {
                let problem = say(format!("`{}` runs no models", at.service)).at(at.span, "");
                report.push(problem.hint("models run in runners such as `ollama`, `vllm`, `llama-cpp`, `whisper`"));
                continue;
            }
            let from_library = model.source.as_ref().map(|source| matches!(source.value, ModelSource::Ollama(_)));
            if let (Some(from_library), Some(source)) = (from_library, &model.source)
                && from_library != (at.service.as_str() == "ollama")
                && draft.inventory.templates.contains_key(at.service.as_str())
            {
                let problem = say(format!("`{}` cannot load model `{}` from there", at.service, name.value));
                let hint = match from_library {
                    true => {
                        format!("`ollama:…` is Ollama's own library; for `{}` write `hf:…` or `file:…`", at.service)
                    }
                    false => "for Ollama write `ollama:NAME:TAG`".to_owned(),
                };
                report.push(problem.at(at.span, "runs here").related(source.span, "comes from there").hint(hint));
            }
            let speech = model.kind.is_some_and(|kind| kind.value == ModelKind::Transcription);
            let listens = at.service.as_str() == "whisper";
            if speech != listens && ["ollama", "vllm", "llama-cpp", "whisper"].contains(&at.service.as_str()) {
                let problem = say(format!("`{}` does not do what model `{}` does", at.service, name.value));
                let place = model.kind.map_or(name.span, |kind| kind.span);
                let hint = "`kind: transcription` runs in `whisper`, everything else in another runner";
                report.push(problem.at(at.span, "").related(place, "the model").hint(hint));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn model_runs() {
        let own = "inventory.model-runs";
        let over = |model: &str| {
            format!("models: {{ a: {{ {model} }} }}\nguests: {{ plan-hq: {{ services: [ollama, whisper, litellm] }} }}")
        };
        let source = "source: \"ollama:a:7b\"";
        assert_eq!(codes(&over(&format!("{source}, runs_on: [plan-hq/ollama]"))), [""; 0]);
        for wrong in [
            source.to_owned(),
            "runs_on: [plan-hq/ollama]".to_owned(),
            format!("{source}, runs_on: []"),
            format!("{source}, runs_on: [plan-qh/ollama]"),
            format!("{source}, runs_on: [plan-hq/vllm]"),
            format!("{source}, runs_on: [plan-hq/litellm]"),
            "source: hf:a/b, runs_on: [plan-hq/ollama]".to_owned(),
            format!("{source}, kind: transcription, runs_on: [plan-hq/ollama]"),
        ] {
            assert_eq!(codes(&over(&wrong)), [own], "{wrong}");
        }
    }
}
