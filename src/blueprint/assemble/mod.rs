//! A checked draft into a blueprint: defaults are filled in, references resolved.
//!
//! Says nothing about mistakes, that is the rules' part: whatever is `None` here, a rule has refused.

mod deployments;
mod dns;
mod firewall;
mod flows;
mod guest;
mod host;
mod ingress;
mod models;
mod secrets;
mod tailnet;

use std::collections::BTreeSet;

pub(super) use deployments::gpu_maker;
pub(super) use guest::{centi, dataset_name, file_mode};
pub(super) use ingress::web_ports;

use super::draft::Draft;
use super::{Blueprint, Flow, Image, ImageSource, Ingress, SecurityGroup};

/// The blueprint, if the draft is complete.
pub(super) fn blueprint(draft: &Draft<'_>) -> Option<Blueprint> {
    let document = &draft.inventory.document;
    let name = document.name.as_ref()?.value.clone();
    let pool = match &document.pool {
        Some(pool) => pool.value.clone(),
        None => name.as_str().parse().ok()?,
    };
    let hosts = draft
        .hosts()
        .map(|named| host::host(draft, named).map(|host| (host.name.clone(), host)))
        .collect::<Option<_>>()?;
    let guests = draft
        .guests
        .iter()
        .map(|own| guest::guest(draft, own).map(|guest| (guest.name.clone(), guest)))
        .collect::<Option<std::collections::BTreeMap<_, _>>>()?;
    let used: BTreeSet<&str> = guests.values().map(|guest| guest.image.as_str()).collect();
    let images = draft
        .images()
        .filter(|(name, _)| used.contains(name.as_str()))
        .map(|(name, image)| {
            let source = match (&image.template, &image.url, &image.sha256) {
                (Some(template), ..) => ImageSource::Template { file: template.value.clone() },
                (None, Some(url), Some(sha256)) => ImageSource::Cloud {
                    url: url.value.0.clone(),
                    sha256: sha256.value.0.clone(),
                    file: image_file(&url.value.0, image.file.as_ref().map(|file| file.as_str())),
                },
                _ => return None,
            };
            Some((name.value.clone(), Image { name: name.value.clone(), source, span: name.span }))
        })
        .collect::<Option<_>>()?;
    let used: BTreeSet<_> = guests.values().flat_map(|guest| &guest.firewall.groups).collect();
    let groups = draft
        .groups()
        .filter(|(name, _)| used.contains(&name.value))
        .map(|(name, group)| {
            let rules = group.rules.iter().flatten().map(|rule| firewall::rule(draft, rule)).collect::<Option<_>>()?;
            let comment = group.comment.as_ref().map(|comment| comment.value.clone()).unwrap_or_default();
            Some((name.value.clone(), SecurityGroup { name: name.value.clone(), comment, rules, span: name.span }))
        })
        .collect::<Option<_>>()?;
    let services: std::collections::BTreeMap<_, _> = draft
        .services
        .iter()
        .filter(|(name, service)| service.everywhere || draft.guests.iter().any(|guest| draft.has(guest, name)))
        .map(|(name, service)| (name.clone(), service.clone()))
        .collect();
    let (ingress, dns) = (ingress::ingress(draft)?, dns::dns(draft)?);
    let mut flows = flows::flows(draft);
    for flow in ingress.iter().flat_map(Ingress::flows) {
        let way = |flow: &Flow| (flow.from.clone(), flow.to.clone(), flow.transport, flow.ports);
        if !flows.iter().any(|known| way(known) == way(&flow)) {
            flows.push(flow);
        }
    }
    let mut blueprint = Blueprint {
        name,
        pool,
        hosts,
        guests,
        images,
        groups,
        services,
        flows,
        ingress,
        dns,
        tailnet: tailnet::tailnet(draft)?,
        models: models::models(draft)?,
        secrets: secrets::secrets(draft)?,
    };
    blueprint.give_tunnels();
    Some(blueprint)
}

/// The file name on the storage. PVE takes only `.qcow2`, `.raw` and `.vmdk` for the content type
/// `import`; Ubuntu's `.img` files are qcow2.
pub(super) fn image_file(url: &str, given: Option<&str>) -> String {
    if let Some(file) = given {
        return file.to_owned();
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name: String = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    if [".qcow2", ".raw", ".vmdk"].iter().any(|end| name.ends_with(end)) {
        return name;
    }
    format!("{}.qcow2", name.strip_suffix(".img").unwrap_or(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_files_have_an_end_that_proxmox_imports() {
        for (url, file) in [
            ("https://x/jammy-server-cloudimg-amd64.img", "jammy-server-cloudimg-amd64.qcow2"),
            ("https://x/debian-12.qcow2?a=b", "debian-12.qcow2"),
            ("https://x/a.raw", "a.raw"),
        ] {
            assert_eq!(image_file(url, None), file);
        }
        assert_eq!(image_file("https://x/a.img", Some("b.vmdk")), "b.vmdk");
    }
}
