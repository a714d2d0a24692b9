//! `pci_mapping`: a GPU by name, with all that identifies it.
//!
//! PVE lets only root@pam pass a device by its address; a token needs a mapping. The mapping holds id,
//! subsystem id and IOMMU group, so that PVE refuses to start the VM when cards were renumbered or
//! exchanged, where a raw address would silently pass the wrong device (`gpu-passthrough.md` row 9).

use super::difference::{Difference, Fields, between, change};
use super::gpu_device::{Sought, mapping_entry, mark, seek};
use super::operations::{answer, call, call_until, check, step};
use super::ownership::is_marked;
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Gpu, Host};
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::change::Action;
use crate::model::observed::{self, PciDevice};
use crate::model::step::{Expect, Matcher, Undo};
use crate::model::{Addr, GpuName, HostName, Kind, MappingName};
use crate::proxmox::endpoints::{
    PCI_MAPPING_CREATE, PCI_MAPPING_DELETE, PCI_MAPPING_READ, PCI_MAPPING_UPDATE, PCI_MAPPINGS,
};
use crate::proxmox::options::Options;

struct Mapping<'a> {
    blueprint: &'a Blueprint,
    speaker: &'a Host,
    name: &'a GpuName,
    /// The hosts of the site that have a GPU of this name.
    on: Vec<(&'a Host, &'a Gpu)>,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let mut mappings: Vec<Box<dyn Resource + '_>> = Vec::new();
    for (site, speaker) in blueprint.sites() {
        let hosts = || blueprint.hosts.values().filter(move |host| host.site == site);
        let mut names: Vec<&GpuName> = hosts().flat_map(|host| host.gpus.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let on = hosts().filter_map(|host| Some((host, host.gpus.get(name)?))).collect();
            mappings.push(Box::new(Mapping { blueprint, speaker, name, on }));
        }
    }
    mappings
}

/// The address of the mapping of a site's GPU.
pub fn addr(site: &str, gpu: &GpuName) -> Addr {
    Addr::placed(Kind::PciMapping, site, gpu)
}

impl Mapping<'_> {
    fn id(&self) -> MappingName {
        self.name.as_str().parse().expect("a GPU name is a mapping name")
    }

    fn description(&self) -> String {
        mark(self.blueprint)
    }

    /// The entry of one host, from the device that is really there.
    fn entry(&self, host: &Host, gpu: &Gpu, devices: &[PciDevice]) -> Result<String, Diagnostic> {
        let found = match seek(gpu, devices) {
            Sought::Found(device) => device,
            Sought::Missing(same_id) => {
                let there = if same_id.is_empty() { display_devices(devices) } else { places(&same_id) };
                return Err(Diagnostic::error(
                    "plan.gpu-not-found",
                    format!("GPU `{}` is not in host `{}`", self.name, host.name),
                )
                .at(gpu.span, format!("no device {} here matches", gpu.id))
                .cause(format!("on its bus: {there}"))
                .hint(
                    "write the id that `lspci -nn` shows on the host; if the card was moved, its `address` changed too",
                ));
            }
            Sought::Ambiguous(matching) => {
                return Err(Diagnostic::error(
                    "plan.gpu-ambiguous",
                    format!("GPU `{}` could be any of {} devices of host `{}`", self.name, matching.len(), host.name),
                )
                .at(gpu.span, format!("{} matches more than one", gpu.id))
                .cause(format!("they are: {}", places(&matching)))
                .hint("tell them apart with `address: \"0000:01:00\"` or `subsystem:`"));
            }
        };
        let Some(group) = found.iommu_group else {
            return Err(Diagnostic::error("plan.no-iommu", format!("host `{}` has no IOMMU: its GPU `{}` cannot be passed through", host.name, self.name))
                .at(gpu.span, format!("{} at {} is in no IOMMU group", found.id, found.address))
                .hint("enable VT-d or AMD-Vi in the firmware; on kernels before 6.8 add `intel_iommu=on` to the command line; then reboot"));
        };
        Ok(mapping_entry(&host.node, found, group).to_string())
    }

    /// `current` is what is there: the entry of a host that cannot be looked into stays as it is.
    fn wanted(&self, context: &Context<'_>, current: &Fields) -> Result<Fields, Finding> {
        let mut fields = Fields::from([("description".to_owned(), self.description())]);
        let mut problems = Diagnostics::new();
        for (host, gpu) in &self.on {
            let pci = &context.observed.hosts[&host.name].pci;
            let Some(devices) = pci.value() else {
                let path = format!("map.{}", host.node);
                if let Some(entry) = current.get(&path) {
                    fields.insert(path, entry.clone());
                    continue;
                }
                return Err(Finding::Gap {
                    why: format!("devices of `{}`: {}", host.name, pci.why().unwrap_or("not known")),
                });
            };
            match self.entry(host, gpu, devices) {
                Ok(entry) => {
                    fields.insert(format!("map.{}", host.node), entry);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(fields) } else { Err(Finding::Refused(problems)) }
    }
}

/// What is there, field by field, with one field per node.
fn read(mapping: &observed::PciMapping) -> Fields {
    let mut fields = Fields::from([("description".to_owned(), mapping.description.trim_end().to_owned())]);
    for entry in &mapping.map {
        let mut entry = Options::parse(entry);
        // A remark on one entry is not ours.
        entry.named.remove("description");
        let node = entry.get("node").unwrap_or_default();
        fields.insert(format!("map.{node}"), entry.to_string());
    }
    fields
}

fn places(devices: &[&PciDevice]) -> String {
    let place = |device: &&PciDevice| {
        let board = device.subsystem.map(|s| format!(" (subsystem {s})")).unwrap_or_default();
        format!("{} at {}{board}", device.id, device.address)
    };
    devices.iter().map(place).collect::<Vec<_>>().join(", ")
}

fn display_devices(devices: &[PciDevice]) -> String {
    let named = |device: &PciDevice| format!("{} {}", device.id, device.name.as_deref().unwrap_or("unnamed"));
    if devices.is_empty() { "nothing".into() } else { devices.iter().map(named).collect::<Vec<_>>().join(", ") }
}

impl Resource for Mapping<'_> {
    fn addr(&self) -> Addr {
        addr(&self.speaker.site, self.name)
    }

    fn host(&self) -> &HostName {
        &self.speaker.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let mappings = &context.observed.sites[&self.speaker.site].mappings;
        let Some(all) = mappings.value().filter(|_| mappings.is_complete()) else {
            return Finding::Gap { why: mappings.why().unwrap_or("mappings are not known").to_owned() };
        };
        let present = all.get(&self.id());
        let current = present.map(read).unwrap_or_default();
        let desired = match self.wanted(context, &current) {
            Ok(desired) => desired,
            Err(finding) => return finding,
        };
        // Entries of nodes that are not in the inventory are somebody else's.
        let ours = |path: &str| desired.contains_key(path);
        let differences: Vec<Difference> =
            between(&current, &desired).into_iter().filter(|difference| ours(&difference.path)).collect();
        if let Some(mapping) = present
            && !is_marked(&self.blueprint.name, &mapping.description)
        {
            return if differences.iter().all(|difference| difference.path == "description") {
                Finding::Unchanged { desired }
            } else {
                Finding::Refused(foreign(self, mapping).into())
            };
        }
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let mut entries: Vec<String> = current
            .iter()
            .filter(|(path, _)| path.starts_with("map.") && !ours(path))
            .map(|(_, entry)| entry.clone())
            .collect();
        entries.extend(desired.iter().filter(|(path, _)| path.starts_with("map.")).map(|(_, entry)| entry.clone()));
        let maps = || entries.iter().map(|entry| ("map", entry.as_str()));
        let id = self.id();
        let listed = answer(PCI_MAPPINGS.at(&[]), vec![Expect::new("", Matcher::HasItem("id".into(), id.to_string()))]);
        let (action, step) = match present {
            None => {
                let request =
                    PCI_MAPPING_CREATE.at(&[]).set("id", &id).set("description", self.description()).set_all(maps());
                let mut step = step(
                    &addr,
                    "create",
                    format!(
                        "map {} as `{id}`",
                        self.on.iter().map(|(_, gpu)| gpu.id.to_string()).collect::<Vec<_>>().join(", ")
                    ),
                    &self.speaker.name,
                    vec![
                        call_until(request, listed.clone()),
                        check(
                            listed,
                            "the mapping was created and is not listed: does the token have Mapping.Audit on it?",
                        ),
                    ],
                );
                step.undo = Undo::Ops { ops: vec![call(PCI_MAPPING_DELETE.at(&[id.as_str()]))] };
                (Action::Create, step)
            }
            Some(mapping) => {
                let put = || PCI_MAPPING_UPDATE.at(&[id.as_str()]);
                let request = put()
                    .set("description", self.description())
                    .set_all(maps())
                    .set_maybe("digest", mapping.digest.as_deref());
                let back = put()
                    .set("description", &mapping.description)
                    .set_all(mapping.map.iter().map(|entry| ("map", entry.as_str())));
                let each =
                    entries.iter().map(|entry| Expect::new("map", Matcher::HasOptions(Options::parse(entry).named)));
                let set = answer(PCI_MAPPING_READ.at(&[id.as_str()]), each.collect());
                let mut step = step(
                    &addr,
                    "update",
                    format!("map `{id}` to what is there now"),
                    &self.speaker.name,
                    vec![
                        call_until(request, set.clone()),
                        check(set, "the mapping was set and reads back differently"),
                    ],
                );
                step.undo = Undo::Ops { ops: vec![call(back)] };
                (Action::Update, step)
            }
        };
        Finding::Changed(Changed {
            change: change(addr, action, &differences, context.memory),
            steps: vec![step],
            seen: format!("{current:?}"),
            desired,
            notes: Vec::new(),
        })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let id = self.id();
        let mapping = context.observed.sites[&self.speaker.site].mappings.value()?.get(&id)?;
        if !is_marked(&self.blueprint.name, &mapping.description) {
            return None;
        }
        let addr = self.addr();
        let gone = answer(PCI_MAPPINGS.at(&[]), vec![Expect::new("", Matcher::LacksItem("id".into(), id.to_string()))]);
        let mut step = step(
            &addr,
            "destroy",
            format!("remove mapping `{id}`"),
            &self.speaker.name,
            vec![
                call_until(PCI_MAPPING_DELETE.at(&[id.as_str()]), gone.clone()),
                check(gone, "the mapping is still listed"),
            ],
        );
        let back = PCI_MAPPING_CREATE
            .at(&[])
            .set("id", &id)
            .set("description", &mapping.description)
            .set_all(mapping.map.iter().map(|entry| ("map", entry.as_str())));
        step.undo = Undo::Ops { ops: vec![call(back)] };
        Some(Removal {
            change: change(addr, Action::Destroy, &[], context.memory),
            steps: vec![step],
            holds_data: false,
            seen: format!("{:?}", read(mapping)),
            refused: Diagnostics::new(),
        })
    }
}

fn foreign(wanted: &Mapping<'_>, there: &observed::PciMapping) -> Diagnostic {
    let gpu = wanted.on.first().map(|(_, gpu)| gpu.span);
    Diagnostic::error(
        "plan.foreign-mapping",
        format!("PCI mapping `{}` exists, is not ours, and maps something else", wanted.name),
    )
    .at_maybe(gpu, "wanted for this GPU")
    .cause(format!("it maps {}", there.map.join(" and ")))
    .hint(format!(
        "call the GPU something else, or adopt the mapping: end its description with `{}`",
        wanted.description()
    ))
}
