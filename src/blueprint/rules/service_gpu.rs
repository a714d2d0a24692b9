//! A service that needs a GPU has one.

use crate::blueprint::GpuMaker;
use crate::blueprint::assemble::gpu_maker;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::GpuDemand;

const CODE: &str = "inventory.service-gpu";

/// Reports services that need a GPU in guests without one, and those that have no image for the GPU that is there.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let wrong = ["gpus", "devices", "kind"].iter().any(|key| draft.broken.key(guest.own.span, key));
        for listed in guest.listed().filter(|_| !wrong) {
            let Some(recipe) = draft.services.get(&listed.value).and_then(|service| service.recipe.as_ref()) else {
                continue;
            };
            let Some(demand) = recipe.needs.gpu else { continue };
            let own_image = guest.entries().any(|(name, entry)| *name == listed.value && entry.image.is_some());
            let (problem, hint) = match gpu_maker(draft, guest) {
                None if demand == GpuDemand::Required && known(draft, guest) => (
                    format!("service `{}` needs a GPU, and guest `{}` has none", listed.value, guest.name.value),
                    "give the guest one of its host's `gpus`, or move the service to a guest that has one".to_owned(),
                ),
                Some(GpuMaker::Amd) if !own_image && !recipe.images.keys().any(|name| name.as_str() == "amd") => (
                    format!("service `{}` has no image for the AMD GPU of guest `{}`", listed.value, guest.name.value),
                    "name one: `{ name: …, image: … }`, or use a service that has one".to_owned(),
                ),
                _ => continue,
            };
            report.push(
                Diagnostic::error(CODE, problem).at(listed.span, "").related(recipe.span, "described here").hint(hint),
            );
        }
    }
}

/// Whether all GPUs of a guest are known to the inventory: what is not, another rule has said.
fn known(draft: &Draft<'_>, guest: &crate::blueprint::draft::DraftGuest<'_>) -> bool {
    let host = draft.host_of(guest);
    guest.shape.gpus.iter().flatten().all(|wanted| {
        host.is_some_and(|(_, host)| {
            host.gpus.iter().flatten().any(|(name, gpu)| name.value == wanted.value && gpu.id.is_some())
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn service_gpu() {
        let own = "inventory.service-gpu";
        assert_eq!(codes("guests: { plan-hq: { services: [dcgm-exporter] } }"), [""; 0]);
        assert_eq!(codes("guests: { plan-hq: { gpus: [], services: [dcgm-exporter] } }"), [own]);
        assert_eq!(codes("guests: { plan-hq: { gpus: [], services: [ollama] } }"), [""; 0], "slow, but it runs");
        let amd = "hosts: { hq: { gpus: { rtx4090: { id: \"1002:7448\" } } } }
guests: { plan-hq: { services:";
        assert_eq!(codes(&format!("{amd} [ollama] }} }}")), [""; 0]);
        assert_eq!(codes(&format!("{amd} [dcgm-exporter] }} }}")), [own]);
    }
}
