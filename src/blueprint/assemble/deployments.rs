//! Services of a guest that run in containers, with what is different there.

use std::collections::BTreeMap;

use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::recipe::secret_name;
use crate::blueprint::{Deployment, GpuMaker, Recipe};
use crate::diag::Spanned;
use crate::inventory::{ImageRef, KindName, ServiceEntry};
use crate::model::ServiceName;

/// Each of them.
pub(super) fn deployments(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> BTreeMap<ServiceName, Deployment> {
    let entries = guest.entries().filter_map(|(name, entry)| {
        let recipe = draft.services.get(name)?.recipe.as_ref()?;
        Some((name.clone(), deployment(draft, guest, name, entry, recipe)))
    });
    entries.collect()
}

fn deployment(
    draft: &Draft<'_>,
    guest: &DraftGuest<'_>,
    name: &ServiceName,
    entry: &Spanned<ServiceEntry>,
    recipe: &Recipe,
) -> Deployment {
    let gpu = recipe.needs.gpu.and_then(|_| gpu_maker(draft, guest));
    let for_gpu = gpu.and_then(|gpu| recipe.images.iter().find(|(name, _)| name.as_str() == gpu.as_str()));
    let image = match (&entry.image, for_gpu) {
        (Some(own), _) => &own.value,
        (None, Some((_, image))) => image,
        (None, None) => &recipe.image,
    };
    let settings = recipe.variables.iter().filter_map(|(key, variable)| {
        let own = entry.with.iter().flatten().find(|(own, _)| own.value == *key);
        let value = match own {
            Some((_, raw)) => variable.accept(&raw.value).ok()?,
            None => variable.default.clone()?,
        };
        Some((key.clone(), value))
    });
    Deployment {
        service: name.clone(),
        image: locked(draft, image),
        images: recipe.images.iter().map(|(name, image)| (name.clone(), locked(draft, image))).collect(),
        memory_limit: entry.memory.map(|size| size.value).or(recipe.needs.memory_limit),
        gpu,
        settings: settings.collect(),
        secrets: recipe
            .secrets
            .iter()
            .filter_map(|(key, secret)| {
                let own = entry.secrets.iter().flatten().find(|(own, _)| own.value == *key);
                match own {
                    Some((_, named)) => Some((key.clone(), named.value.0.clone())),
                    None if secret.optional => None,
                    None => Some((key.clone(), secret_name(guest.name.as_str(), name, key))),
                }
            })
            .collect(),
        volumes: entry
            .volumes
            .iter()
            .flatten()
            .map(|(name, path)| (name.value.clone(), path.value.0.clone()))
            .collect(),
        span: entry.name.as_ref().map_or(entry.span, |name| name.span),
        spans: entry.with.iter().flatten().map(|(name, raw)| (name.value.clone(), raw.span)).collect(),
    }
}

fn locked(draft: &Draft<'_>, image: &ImageRef) -> ImageRef {
    let name = format!("{}:{}", image.repository, image.tag);
    let digests = draft.inventory.document.image_digests.iter().flatten();
    let digest = digests.filter(|(own, _)| own.value == name).map(|(_, digest)| digest.value.clone()).next();
    ImageRef { digest: image.digest.clone().or(digest), ..image.clone() }
}

/// Who made the GPU of a guest: of a VM, the first that is passed through; of a container, whose device nodes it has.
pub(in crate::blueprint) fn gpu_maker(draft: &Draft<'_>, guest: &DraftGuest<'_>) -> Option<GpuMaker> {
    const NVIDIA: u16 = 0x10de;
    const AMD: u16 = 0x1002;
    if guest.kind()? == KindName::Container {
        let mut paths = guest.shape.devices.iter().flatten().filter_map(|device| device.path.as_ref());
        return paths.find_map(|path| match path.value.0.as_str() {
            path if path.starts_with("/dev/nvidia") => Some(GpuMaker::Nvidia),
            "/dev/kfd" => Some(GpuMaker::Amd),
            _ => None,
        });
    }
    let (_, host) = draft.host_of(guest)?;
    let wanted = guest.shape.gpus.iter().flatten().next()?;
    let (_, gpu) = host.gpus.iter().flatten().find(|(name, _)| name.value == wanted.value)?;
    match gpu.id.as_ref()?.value.vendor {
        NVIDIA => Some(GpuMaker::Nvidia),
        AMD => Some(GpuMaker::Amd),
        _ => None,
    }
}
