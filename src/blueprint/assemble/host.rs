//! Hosts and how they are reached.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::firewall;
use crate::blueprint::draft::{Draft, NamedHost, site};
use crate::blueprint::{
    Access, ApiAccess, Gpu, Host, HostFirewall, HostNetwork, HostStorage, HostSystem, SecretRef, SshAccess, Trust,
};
use crate::diag::Spanned;
use crate::inventory::{self, VfioBinding};

const API_PORT: u16 = 8006;
const SSH_PORT: u16 = 22;

pub(super) fn host(draft: &Draft<'_>, named: NamedHost<'_>) -> Option<Host> {
    let (name, own) = named;
    let node = match &own.node {
        Some(node) => node.value.clone(),
        None => name.as_str().parse().ok()?,
    };
    let storage = own.storage.as_ref()?;
    let network = own.network.as_ref()?;
    let gateway = network.gateway.as_ref()?.value.0;
    let gpus: Option<BTreeMap<_, _>> = own
        .gpus
        .iter()
        .flatten()
        .map(|(name, gpu)| {
            Some((
                name.value.clone(),
                Gpu {
                    id: gpu.id?.value,
                    subsystem: gpu.subsystem.map(|id| id.value),
                    address: gpu.address.as_ref().map(|address| address.value.clone()),
                    vram: gpu.vram.map(|vram| vram.value),
                    span: name.span,
                },
            ))
        })
        .collect();
    Some(Host {
        name: name.value.clone(),
        node,
        site: site(named).to_owned(),
        address: text(own.address.as_ref())?,
        access: Access { api: api(own)?, ssh: ssh(draft, own, 0)? },
        storage: HostStorage {
            guests: storage.guests.as_ref()?.value.clone(),
            files: storage.files.as_ref()?.value.clone(),
            datasets: storage.datasets.as_ref().map(|dataset| dataset.value.clone()),
        },
        network: HostNetwork {
            bridge: network.bridge.as_ref()?.value.clone(),
            subnet: network.subnet.as_ref()?.value.0,
            gateway,
            dns: match &network.dns {
                Some(dns) if !dns.is_empty() => dns.iter().map(|ip| ip.value.0).collect(),
                _ => vec![gateway],
            },
            domain: network.domain.as_ref().map(|domain| domain.value.0.clone()),
            vlan: network.vlan.map(|vlan| vlan.value),
        },
        firewall: match &own.firewall {
            Some(firewall) => Some(host_firewall(draft, own, firewall)?),
            None => None,
        },
        gpus: gpus?,
        system: own.system.as_ref().map(system).unwrap_or_default(),
        span: name.span,
    })
}

/// Ports that PVE opens itself for whoever is in the set `management`; pveproxy has no other one for its API.
const MANAGED: [u16; 3] = [22, 3128, API_PORT];
/// What is served to people: the reverse proxy.
const HTTPS_PORT: u16 = 443;

fn host_firewall(
    draft: &Draft<'_>,
    host: &inventory::Host,
    own: &Spanned<inventory::HostFirewall>,
) -> Option<HostFirewall> {
    let allow_from = own.allow_from.as_ref()?;
    // What leads to the host over the loopback is a tunnel, whose port says nothing about the host's own.
    let there = |name: Option<&Spanned<String>>| {
        let name = name.or(host.address.as_ref()).map_or("", |name| name.value.as_str());
        name != "localhost" && !name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    };
    let api = host.api.as_ref().filter(|api| there(api.host.as_ref())).and_then(|api| api.port);
    let ssh = host.ssh.as_ref().filter(|ssh| there(ssh.host.as_ref())).and_then(|ssh| ssh.port);
    let doors: Vec<u16> = match &own.ports {
        Some(ports) => ports.iter().map(|port| port.value).collect(),
        None => [api, ssh].into_iter().flatten().map(|port| port.value).collect(),
    };
    let ports = doors.into_iter().chain([HTTPS_PORT]);
    Some(HostFirewall {
        allow_from: IpNet::aggregate(&allow_from.iter().map(|origin| origin.value.0).collect()).into_iter().collect(),
        ports: ports.filter(|port| !MANAGED.contains(port) && !(5900..=5999).contains(port)).collect(),
        rules: own.rules.iter().flatten().map(|rule| firewall::rule(draft, rule)).collect::<Option<_>>()?,
        span: own.span,
        allow_from_span: allow_from.first().map_or(own.span, |origin| origin.span),
    })
}

fn system(declared: &Spanned<inventory::HostSystem>) -> HostSystem {
    let vfio = declared.vfio.map(|vfio| vfio.value);
    HostSystem {
        kernel_parameters: texts(&declared.kernel_parameters, |parameter| &parameter.0),
        vfio_at_boot: vfio == Some(VfioBinding::Boot),
        modules: texts(&declared.modules, |module| &module.0),
        arc: declared.arc.map(|arc| arc.value),
        reserve: declared.reserve.map(|reserve| reserve.value),
        sysctl: declared
            .sysctl
            .iter()
            .flatten()
            .map(|(key, value)| (key.value.0.clone(), value.value.0.clone()))
            .collect(),
        packages: texts(&declared.packages, |package| &package.0),
        span: Some(declared.span),
    }
}

/// The texts of a list, each once, in order.
fn texts<T>(list: &Option<Vec<Spanned<T>>>, text: impl Fn(&T) -> &String) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for item in list.iter().flatten() {
        if !texts.contains(text(&item.value)) {
            texts.push(text(&item.value).clone());
        }
    }
    texts
}

fn text(value: Option<&Spanned<String>>) -> Option<String> {
    value.map(|value| value.value.clone())
}

fn api(host: &inventory::Host) -> Option<ApiAccess> {
    let api = host.api.as_ref()?;
    let token = api.token.as_ref()?;
    Some(ApiAccess {
        host: text(api.host.as_ref()).or_else(|| text(host.address.as_ref()))?,
        port: api.port.map_or(API_PORT, |port| port.value),
        token_id: api.token_id.as_ref()?.value.0.clone(),
        token: SecretRef { name: token.value.0.clone(), span: token.span },
        trust: match (&api.fingerprint, &api.ca_file) {
            (Some(fingerprint), _) => Trust::Fingerprint(fingerprint.value),
            (None, Some(file)) => Trust::CaFile(file.value.0.clone()),
            (None, None) => return None,
        },
    })
}

/// `None` if something is missing, `Some(None)` without SSH.
#[expect(clippy::option_option, reason = "no access and an incomplete one are two things")]
fn ssh(draft: &Draft<'_>, host: &inventory::Host, depth: usize) -> Option<Option<SshAccess>> {
    let Some(ssh) = &host.ssh else { return Some(None) };
    let jump = match &ssh.jump {
        None => None,
        Some(jump) => Some(Box::new(jump_access(draft, jump, depth)?)),
    };
    Some(Some(SshAccess {
        host: text(ssh.host.as_ref()).or_else(|| text(host.address.as_ref()))?,
        port: ssh.port.map_or(SSH_PORT, |port| port.value),
        user: ssh.user.as_ref().map_or_else(|| "root".to_owned(), |user| user.value.0.clone()),
        host_key: ssh.host_key.as_ref().map(|key| key.value.0.clone()),
        identity: ssh.identity.as_ref().map(|file| file.value.0.clone()),
        jump,
    }))
}

fn jump_access(draft: &Draft<'_>, jump: &inventory::Jump, depth: usize) -> Option<SshAccess> {
    if let Some(name) = &jump.name {
        // A rule refuses circles; a chain cannot be longer than there are hosts.
        let (_, host) = draft.host(&name.value).filter(|_| depth < draft.hosts().count())?;
        return ssh(draft, host, depth + 1)?;
    }
    Some(SshAccess {
        host: text(jump.host.as_ref())?,
        port: jump.port.map_or(SSH_PORT, |port| port.value),
        user: jump.user.as_ref().map_or_else(|| "root".to_owned(), |user| user.value.0.clone()),
        host_key: jump.host_key.as_ref().map(|key| key.value.0.clone()),
        identity: jump.identity.as_ref().map(|file| file.value.0.clone()),
        jump: None,
    })
}
