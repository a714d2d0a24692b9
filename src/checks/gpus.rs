//! GPUs of the inventory, found on the bus of their host.

use std::collections::{BTreeMap, BTreeSet};

use super::check::all;
use super::{Finding, NotRun, Subject};
use crate::model::machine::{GuestFiles, PciBus, PciFunction};
use crate::model::observed::{Fact, GuestKind, PciDevice};
use crate::model::{Addr, GpuName, NodeName, PciAddress, Vmid};
use crate::proxmox::options::Options;
use crate::resources::gpu_device::{Sought, seek};

/// Why checks about GPUs are skipped.
pub(super) const NONE: &str = "no GPU of this host is passed to a VM";

/// A GPU that is passed to a VM, and where it is.
pub(super) struct PlacedGpu<'a> {
    /// What the inventory calls it.
    pub name: &'a GpuName,
    /// The VMs that it is passed to.
    pub users: Vec<Addr>,
    /// Where it is, without a function.
    pub device: PciAddress,
    /// Its functions.
    pub functions: Vec<(&'a PciAddress, &'a PciFunction)>,
}

impl PlacedGpu<'_> {
    /// How it is called in reports.
    pub fn object(&self) -> String {
        format!("gpu {} at {}", self.name, self.device)
    }

    /// Says something about it, which concerns the VMs that it is passed to.
    pub fn say(&self, finding: Finding) -> Finding {
        finding.about(self.object()).concerns(self.users.clone())
    }

    /// The function that shows pictures or computes: the first, unless something else says that it does.
    pub fn main(&self) -> Option<(&PciAddress, &PciFunction)> {
        let gpu = self.functions.iter().find(|(_, function)| function.is_gpu());
        gpu.or(self.functions.first()).map(|(address, function)| (*address, *function))
    }
}

/// Asks about every GPU that is passed to a VM and is found on the bus.
///
/// # Errors
/// When no GPU is passed to a VM, or the bus is not known.
pub(super) fn each<'a>(
    subject: &Subject<'a>,
    mut ask: impl FnMut(&PlacedGpu<'a>) -> Vec<Finding>,
) -> Result<Vec<Finding>, NotRun> {
    let passed: Vec<_> = subject.passed_gpus().collect();
    if passed.is_empty() {
        return Err(NotRun::skipped(NONE));
    }
    let bus = all(&subject.machine().pci)?;
    let devices = devices(bus, subject);
    let mut findings = Vec::new();
    for (name, gpu, users) in passed {
        match seek(gpu, &devices) {
            Sought::Found(found) => {
                let device = found.address.device();
                let functions = bus.device(&device).collect();
                let placed = PlacedGpu { name, users, device, functions };
                findings.extend(ask(&placed).into_iter().map(|finding| placed.say(finding)));
            }
            Sought::Missing(_) => {
                let why = "it is not on the bus: `gpu-not-found` says more";
                findings.push(Finding::skipped(why).about(format!("gpu {name}")).concerns(users));
            }
            Sought::Ambiguous(_) => {
                let why = "nobody knows which device it is: `gpu-ambiguous` says more";
                findings.push(Finding::skipped(why).about(format!("gpu {name}")).concerns(users));
            }
        }
    }
    Ok(findings)
}

/// The bus in the words of the API, with the groups as the kernel has them.
pub(super) fn devices(bus: &PciBus, subject: &Subject<'_>) -> Vec<PciDevice> {
    let iommu = subject.machine().iommu.value();
    let named: BTreeMap<&PciAddress, &str> = subject
        .here()
        .pci
        .value()
        .into_iter()
        .flatten()
        .filter_map(|device| Some((&device.address, device.name.as_deref()?)))
        .collect();
    let device = |(address, function): (&PciAddress, &PciFunction)| PciDevice {
        address: address.clone(),
        id: function.id,
        subsystem: function.subsystem,
        iommu_group: iommu.and_then(|iommu| iommu.group_of(address)),
        name: named.get(address).map(|name| (*name).to_owned()),
    };
    bus.functions.iter().map(device).collect()
}

/// What a function is, as a person knows it: `SATA controller 0000:00:17.0 (8086:7ae2, ahci, sda)`.
pub(super) fn described(address: &PciAddress, function: &PciFunction) -> String {
    let mut marks = vec![function.id.to_string()];
    marks.extend(function.driver.clone());
    marks.extend(function.roles.iter().map(|role| role.name().to_owned()));
    format!("{} {address} ({})", function.class_name(), marks.join(", "))
}

/// What a VM's configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// These functions or whole devices.
    Addresses(BTreeSet<PciAddress>),
    /// What this mapping stands for.
    Mapping(String),
}

/// Reads an entry `hostpciN`; `None` for what PVE would not understand.
pub(super) fn source(value: &str) -> Option<Source> {
    let options = Options::parse(value);
    if let Some(mapping) = options.get("mapping") {
        return Some(Source::Mapping(mapping.to_owned()));
    }
    let host = options.head.as_deref().or_else(|| options.get("host"))?;
    // PVE adds the first domain where none is given.
    let full = |part: &str| if part.matches(':').count() == 1 { format!("0000:{part}") } else { part.to_owned() };
    Some(Source::Addresses(host.split(';').filter_map(|part| full(part).parse().ok()).collect()))
}

/// VMs of a node that are configured to get a device, with the entry that says so.
pub(super) fn configured<'a>(files: &'a GuestFiles, node: &NodeName) -> Vec<(Vmid, &'a str, &'a str, Source)> {
    let vms = files.guests.iter().filter(|(_, file)| file.kind == GuestKind::Qemu && file.node == *node);
    vms.flat_map(|(vmid, file)| {
        file.numbered("hostpci").filter_map(move |(key, value)| Some((*vmid, key, value, source(value)?)))
    })
    .collect()
}

/// Devices that a mapping stands for on the host; none where the mappings are not known.
pub(super) fn mapped(subject: &Subject<'_>, name: &str) -> BTreeSet<PciAddress> {
    let mapping = name.parse().ok().and_then(|name| subject.site().mappings.value()?.get(&name));
    mapping
        .into_iter()
        .flat_map(|mapping| crate::resources::gpu_device::entries(mapping, &subject.host.node))
        .flat_map(|entry| crate::resources::gpu_device::paths(&entry))
        .collect()
}

/// All that a fact says, or a finding that nobody can tell.
pub(super) fn known<T>(fact: &Fact<T>) -> Result<&T, Finding> {
    match fact {
        Fact::Complete { value } => Ok(value),
        Fact::Partial { why, .. } | Fact::Unavailable { why } => Err(Finding::blind(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_proxmox_reads_them() {
        let addresses = |text: &str| match source(text) {
            Some(Source::Addresses(all)) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            other => format!("{other:?}"),
        };
        assert_eq!(addresses("01:00.0;01:00.1,pcie=1"), "0000:01:00.0 0000:01:00.1");
        assert_eq!(addresses("host=0000:03:00,x-vga=1"), "0000:03:00");
        assert_eq!(source("mapping=rtx4090,pcie=1"), Some(Source::Mapping("rtx4090".into())));
        assert_eq!(source("pcie=1"), None);
    }
}
