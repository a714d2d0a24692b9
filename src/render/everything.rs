//! Every file that an inventory makes, by the guest that it is for.

use camino::Utf8PathBuf;
use jiff::civil::Date;

use super::{
    CaddyPlace, HostRuleset, TemplateError, TraefikPlace, Unwritable, caddyfile, extra_hosts, hosts_block, named_conf,
    nftables, stack, traefik_dynamic, traefik_static, yaml, zone,
};
use crate::blueprint::{Blueprint, Proxy, Zone};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Where, as a path of its own: `<guest>/Caddyfile`.
    pub path: Utf8PathBuf,
    /// What is in it.
    pub text: String,
}

/// Why something cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A value cannot be written where it belongs.
    #[error(transparent)]
    Value(#[from] Unwritable),
    /// A template of a service cannot be filled.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Renders everything. `previous` is what stood in a file before, which the serial of a zone follows from.
///
/// # Errors
/// If a value cannot be written in the syntax of its target, or a template of a service of the operator's own is wrong.
pub fn everything(
    blueprint: &Blueprint,
    today: Date,
    previous: impl Fn(&Utf8PathBuf) -> Option<String>,
) -> Result<Vec<Rendered>, RenderError> {
    let mut all = Vec::new();
    let mut add = |path: String, text: String| all.push(Rendered { path: path.into(), text });
    if let Some(ingress) = &blueprint.ingress {
        let guest = &ingress.guest;
        match ingress.proxy {
            Proxy::Caddy => {
                add(format!("{guest}/Caddyfile"), caddyfile(&blueprint.name, ingress, &CaddyPlace::default())?);
            }
            Proxy::Traefik => {
                let place = TraefikPlace::default();
                let head = format!("# Written by infra for {}: change the inventory, not this file.\n", blueprint.name);
                let text = |value: &serde_json::Value| format!("{head}{}", yaml(value));
                add(format!("{guest}/traefik.yaml"), text(&traefik_static(ingress, &place)));
                add(format!("{guest}/traefik-dynamic.yaml"), text(&traefik_dynamic(ingress, &place)));
            }
        }
    }
    for own in blueprint.dns.zones.values() {
        let path = Utf8PathBuf::from(format!("{}/db.{}", own.guest, own.name));
        let text = zone(&blueprint.name, own, previous(&path).as_deref(), today)?;
        add(path.into_string(), text);
    }
    for guest in blueprint.guests.values() {
        let zones: Vec<&Zone> = blueprint.dns.zones.values().filter(|zone| zone.guest == guest.name).collect();
        if !zones.is_empty() {
            add(format!("{}/named.conf.local", guest.name), named_conf(&blueprint.name, zones)?);
        }
    }
    if blueprint.dns.extra_hosts {
        let names = blueprint.host_names();
        add("extra_hosts.yaml".to_owned(), yaml(&serde_json::json!({ "extra_hosts": extra_hosts(&names) })));
        add("hosts".to_owned(), hosts_block(&names));
    }
    for guest in blueprint.guests.values() {
        let ruleset = HostRuleset::of(blueprint, guest, false);
        if !ruleset.admissions.is_empty() {
            add(format!("{}/ruleset.nft", guest.name), nftables(&ruleset)?);
        }
    }
    for guest in blueprint.guests.values() {
        for deployment in guest.deployments.values() {
            for file in stack(blueprint, guest, deployment)? {
                let path = format!("{}/stacks/{}/{}", guest.name, deployment.service, file.path);
                all.push(Rendered { path: path.into(), text: file.content.shown() });
            }
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}
