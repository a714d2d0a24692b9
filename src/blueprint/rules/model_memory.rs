//! Models of a guest fit into the memory of its GPU, or into its own where it has none; their files fit onto its disk.

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::model_footprint;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned};
use crate::inventory::{KindName, Model};
use crate::model::{ModelName, Size};

const CODE: &str = "inventory.model-memory";
/// What the CUDA context and a runner's own buffers take: a few hundred MiB per process.
const OVERHEAD: Size = Size::mib(512);

/// Reports models that do not fit together, with what each takes: weights, and the cache of as many full requests as
/// are promised. Models whose `size` is not said are not counted.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let here = |model: &Model| model.runs_on.iter().flatten().any(|at| at.guest == guest.name.value);
        let models: Vec<_> = draft.models().filter(|(_, model)| here(model) && model.size.is_some()).collect();
        if models.is_empty() {
            continue;
        }
        let each: Vec<(String, Size)> = models.iter().filter_map(|(name, model)| footprint(name, model)).collect();
        match gpu_memory(draft, guest) {
            Some((vram, place)) => {
                let mut all = each;
                let beside = guest.entries().filter_map(|(name, _)| {
                    let needs = &draft.services.get(name)?.recipe.as_ref()?.needs;
                    Some((name.to_string(), needs.vram?))
                });
                all.extend(beside);
                all.push(("the runner".to_owned(), OVERHEAD));
                let problem =
                    format!("the models of guest `{}` do not fit into the memory of its GPU", guest.name.value);
                compare(&all, Spanned { value: vram, span: place }, problem, models[0].0.span, report);
            }
            None if guest.shape.gpus.iter().flatten().next().is_none() && guest.kind() == Some(KindName::Vm) => {
                let problem = format!("the models of guest `{}` do not fit into its memory", guest.name.value);
                if let Some(memory) = guest.shape.memory {
                    compare(&each, memory, problem, models[0].0.span, report);
                }
            }
            None => {}
        }
        let files: Vec<(String, Size)> =
            models.iter().filter_map(|(name, model)| Some((name.to_string(), model.size?.value))).collect();
        if let Some(disk) = guest.shape.disk.filter(|_| !guest.entries().any(|(_, entry)| entry.volumes.is_some())) {
            let problem = format!("the models of guest `{}` do not fit onto its disk", guest.name.value);
            compare(&files, disk, problem, models[0].0.span, report);
        }
    }
}

fn footprint(name: &Spanned<ModelName>, model: &Model) -> Option<(String, Size)> {
    let total = model_footprint(
        model.size.map(|size| size.value),
        model.context.map(|tokens| tokens.value),
        model.parallel.map_or(1, |requests| requests.value),
        model.cache_per_token.map(|size| size.value),
    )?;
    Some((name.to_string(), total))
}

/// Memory of all GPUs of a guest together, as far as all of them say theirs.
fn gpu_memory(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> Option<(Size, Span)> {
    let (_, host) = draft.host_of(guest)?;
    let mut total = None;
    for wanted in guest.shape.gpus.iter().flatten() {
        let (_, gpu) = host.gpus.iter().flatten().find(|(name, _)| name.value == wanted.value)?;
        let vram = gpu.vram.as_ref()?;
        let sum = total.map_or(0, |(sum, _): (u64, Span)| sum).saturating_add(vram.value.as_bytes());
        total = Some((sum, vram.span));
    }
    total.map(|(sum, place)| (Size::bytes(sum), place))
}

fn compare(each: &[(String, Size)], has: Spanned<Size>, problem: String, models: Span, report: &mut Diagnostics) {
    let total = each.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(size.as_bytes()));
    if total <= has.value.as_bytes() {
        return;
    }
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let list =
        each.iter().map(|(name, size)| format!("{name} {}", mib(size.as_bytes()))).collect::<Vec<_>>().join(", ");
    report.push(
        Diagnostic::error(CODE, problem)
            .cause(format!("they take {}: {list}", mib(total)))
            .at(models, "")
            .related(has.span, format!("there are {}", mib(has.value.as_bytes())))
            .hint("lower `context` or `parallel`, take a smaller `quantisation`, or let a model run elsewhere"),
    );
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn model_memory() {
        let own = "inventory.model-memory";
        let over = |model: &str, guest: &str| {
            format!(
                "models: {{ a: {{ source: \"ollama:a:7b\", runs_on: [plan-hq/ollama], {model} }} }}
guests: {{ plan-hq: {{ {guest} services: [{{ name: ollama, with: {{ context: 131072, parallel: 8 }} }}] }} }}"
            )
        };
        assert_eq!(codes(&over("size: 20GiB", "")), [""; 0], "into 24 GiB");
        assert_eq!(codes(&over("size: 24GiB", "")), [own], "nothing is left for the runner");
        assert_eq!(codes(&over("size: 8GiB, context: 131072, cache_per_token: 128KiB", "")), [own], "16 GiB of cache");
        assert_eq!(codes(&over("size: 4GiB, context: 8192, parallel: 8, cache_per_token: 256KiB", "")), [""; 0]);
        assert_eq!(codes(&over("size: 8GiB, context: 8192, parallel: 8, cache_per_token: 256KiB", "")), [own]);
        assert_eq!(codes(&over("size: 40GiB", "gpus: [],")), [own], "into 32 GiB of the guest's own");
    }
}
