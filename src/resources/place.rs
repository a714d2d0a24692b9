//! Where in the inventory a parameter of a request comes from.
//!
//! Owns [`place_of`]: from a resource and a parameter of the API back to the line that asked for it.

use super::flow_firewall::alias;
use crate::blueprint::{Blueprint, Guest};
use crate::diag::Span;
use crate::model::{Addr, Kind};

/// The guest that an address stands for, if it is one of this blueprint.
#[must_use]
pub fn guest_of<'a>(blueprint: &'a Blueprint, addr: &Addr) -> Option<&'a Guest> {
    let is_guest = matches!(addr.kind, Kind::Vm | Kind::Container);
    blueprint.guests.values().find(|guest| is_guest && guest.name.as_str() == addr.name)
}

/// The line that a parameter of a step of `addr` comes from, and the inventory's key for it; else where the
/// resource itself was declared.
#[must_use]
pub fn place_of(blueprint: &Blueprint, addr: &Addr, parameter: Option<&str>) -> Option<(Span, Option<&'static str>)> {
    let (place, name) = addr.name.split_once(':').unwrap_or(("", &addr.name));
    let guest = |name: &str| blueprint.guests.values().find(|guest| guest.name.as_str() == name);
    let of_site = || blueprint.hosts.values().find(|host| host.site == place);
    let whole = |span: Span| Some((span, None));
    match addr.kind {
        Kind::Vm | Kind::Container => {
            let guest = guest(name)?;
            let key = parameter.and_then(guest_key);
            Some(key.map_or((guest.span, None), |key| (span_in(blueprint, guest, key), Some(key))))
        }
        Kind::Snippet => Some((guest(name)?.span_of("user"), Some("user"))),
        Kind::GuestFirewall => Some((guest(name)?.span_of("firewall"), Some("firewall"))),
        Kind::Zones => {
            let mut zones = blueprint.dns.zones.values().filter(|zone| zone.guest.as_str() == addr.name);
            whole(zones.next()?.span)
        }
        Kind::Routes => Some((blueprint.ingress.as_ref()?.span, Some("ingress"))),
        Kind::Image => whole(blueprint.images.get(name)?.span),
        Kind::FirewallAlias => {
            let own = blueprint.guests.values().find(|guest| alias(&blueprint.name, &guest.name) == name);
            own.map(|guest| (guest.span_of("address"), Some("address"))).or_else(|| whole(of_site()?.span))
        }
        Kind::FirewallIpset => whole(of_site()?.span),
        Kind::FirewallGroup => {
            let written = blueprint.groups.values().find(|group| group.name.as_str() == name);
            written.map(|group| (group.span, None)).or_else(|| whole(of_site()?.span))
        }
        Kind::PciMapping => {
            let mut gpus = blueprint.hosts.values().filter(|host| host.site == place).flat_map(|host| &host.gpus);
            whole(gpus.find(|(gpu, _)| gpu.as_str() == name)?.1.span)
        }
        Kind::HostFirewall => {
            let host = blueprint.hosts.values().find(|host| host.name.as_str() == addr.name)?;
            Some((host.firewall.as_ref()?.span, Some("firewall")))
        }
        Kind::DatacenterFirewall => {
            let mut hosts = blueprint.hosts.values().filter(|host| host.site == addr.name);
            Some((hosts.find_map(|host| host.firewall.as_ref())?.span, Some("firewall")))
        }
        Kind::Packages | Kind::KernelCommandLine | Kind::Modules | Kind::Modprobe | Kind::ArcLimit | Kind::Sysctl => {
            let host = blueprint.hosts.values().find(|host| host.name.as_str() == name)?;
            whole(host.system.span.unwrap_or(host.span))
        }
        Kind::TailnetPolicy => whole(blueprint.tailnet.as_ref()?.span),
        Kind::DnsRecords => whole(blueprint.dns.opnsense.as_ref()?.span),
        Kind::TailnetDevice | Kind::GpuDriver | Kind::DockerEngine => whole(guest(name)?.span),
        Kind::Service => {
            let (own, service) = name.split_once('/')?;
            let mut deployments = guest(own)?.deployments.iter();
            whole(deployments.find(|(key, _)| key.as_str() == service)?.1.span)
        }
        Kind::Model => {
            // Names of models hold colons, and slashes, too.
            let model = addr.name.splitn(3, '/').nth(2)?;
            whole(blueprint.models.values().find(|own| own.name.as_str() == model)?.span)
        }
        Kind::Pool => whole(of_site()?.span),
        Kind::Dataset => {
            let mounts = blueprint.guests.values().filter(|guest| guest.host.as_str() == place);
            let mut mounts = mounts.filter_map(|guest| guest.shape.datasets()).flatten();
            whole(mounts.find(|mount| mount.dataset.as_str() == name)?.span)
        }
    }
}

/// What a host decides for its guests stands at the host.
fn span_in(blueprint: &Blueprint, guest: &Guest, key: &str) -> Span {
    if key == "network" { blueprint.host_of(guest).span } else { guest.span_of(key) }
}

/// The inventory's key that decides a parameter of a guest.
fn guest_key(parameter: &str) -> Option<&'static str> {
    Some(match parameter.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "vmid" => "vmid",
        "cores" => "cores",
        "memory" | "balloon" => "memory",
        "swap" => "swap",
        "description" => "notes",
        "tags" => "tags",
        "onboot" => "onboot",
        "startup" => "startup",
        "protection" => "protection",
        "cpu" => "cpu",
        "agent" => "agent",
        "allow-ksm" => "ksm",
        "hostpci" => "gpus",
        "net" | "ipconfig" => "address",
        "nameserver" | "searchdomain" => "network",
        "scsi" | "rootfs" | "size" | "disk" => "disk",
        "efidisk" | "ide" => "storage",
        "ostemplate" => "image",
        "sshkeys" | "ssh-public-keys" => "ssh_keys",
        "cicustom" | "ciuser" => "user",
        "features" => "nesting",
        "mp" => "datasets",
        "dev" => "devices",
        "cpulimit" | "cpuunits" => "limits",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::good;

    #[test]
    fn a_parameter_leads_to_its_line_and_the_rest_to_the_entry() {
        let blueprint = good();
        let guest = &blueprint.guests[&"proj-x".parse().unwrap()];
        let addr: Addr = "ct.proj-x".parse().unwrap();
        assert_eq!(place_of(&blueprint, &addr, Some("memory")), Some((guest.span_of("memory"), Some("memory"))));
        assert_ne!(guest.span_of("memory"), guest.span);
        assert_eq!(place_of(&blueprint, &addr, Some("mp0")).unwrap().1, Some("datasets"));
        assert_eq!(place_of(&blueprint, &addr, Some("ostype")), Some((guest.span, None)));
        assert_eq!(place_of(&blueprint, &addr, None), Some((guest.span, None)));
        assert_eq!(place_of(&blueprint, &"ct.nobody".parse().unwrap(), None), None);
    }
}
