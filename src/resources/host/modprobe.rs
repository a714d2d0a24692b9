//! `modprobe`: which driver takes which device and how much ZFS may cache, as the initial RAM disk has it.
//!
//! With `vfio: boot` the functions of the GPUs that are passed to VMs are bound by id, before their own
//! drivers; the limit of ZFS's cache is set where somebody set it before, else in a file of ours. All of it
//! is copied into the initial RAM disk, which is made anew at the end.

use std::collections::BTreeSet;

use super::files::FileChange;
use super::modules::steps;
use super::{config, header, machine, modprobe_file, module_list, passed_gpus};
use crate::blueprint::{Blueprint, Host};
use crate::diag::Diagnostic;
use crate::model::change::{Action, Via};
use crate::model::machine::{ConfigFiles, PciBus};
use crate::model::step::{Op, StepId};
use crate::model::{Addr, GpuName, HostName, Kind, PciAddress, PciId};
use crate::resources::difference::{Fields, between, change};
use crate::resources::operations::{check, exec, output};
use crate::resources::{Changed, Context, Finding, Removal, Resource};

pub(super) const VFIO_FILE: &str = "/etc/modprobe.d/infra-vfio.conf";
const ZFS_FILE: &str = "/etc/modprobe.d/infra-zfs.conf";
const INITRAMFS_MODULES: &str = "/etc/initramfs-tools/modules";
const ARC_MAX: &str = "zfs_arc_max";
const ARC_MIN: &str = "zfs_arc_min";

struct Modprobe<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let about = |host: &&Host| host.system.span.is_some() || passed_gpus(blueprint, host).next().is_some();
    let hosts = blueprint.hosts.values().filter(about);
    hosts.map(|host| Box::new(Modprobe { blueprint, host }) as Box<dyn Resource>).collect()
}

/// What ZFS needs as the least size of its cache for a limit to count: it ignores one that is not above it.
///
/// The least size is a 32nd of the memory unless it is set (pve-docs, `local-zfs.adoc`).
pub(super) fn least_arc(limit: u64, memory: u64, set: Option<u64>) -> Option<u64> {
    let least = set.filter(|least| *least > 0).unwrap_or(memory / 32);
    (limit <= least).then(|| limit.saturating_sub(1))
}

/// Drivers that would take the functions of a card of this vendor.
fn drivers(vendor: u16) -> &'static [&'static str] {
    match vendor {
        0x10de => &["nouveau", "nvidia", "nvidiafb", "nvidia_drm", "snd_hda_intel", "i2c_nvidia_gpu", "xhci_pci"],
        0x1002 => &["amdgpu", "radeon", "snd_hda_intel", "xhci_pci"],
        0x8086 => &["i915", "xe", "snd_hda_intel"],
        _ => &["snd_hda_intel"],
    }
}

/// The module of a driver; modprobe takes `-` and `_` for the same, a list should not have both.
fn module_of(driver: &str) -> String {
    driver.replace('-', "_")
}

impl Modprobe<'_> {
    fn gap(&self, what: &str, why: Option<&str>) -> Finding {
        Finding::Gap { why: format!("{what} of `{}`: {}", self.host.name, why.unwrap_or("not known")) }
    }

    /// Ids of all functions of the GPUs that are passed to VMs, and the drivers that hold them now.
    fn passed(&self, context: &Context<'_>) -> Result<(BTreeSet<PciId>, BTreeSet<String>), Finding> {
        let fact = &machine(context, self.host).pci;
        let bus = fact.value().filter(|_| fact.is_complete()).ok_or_else(|| self.gap("devices", fact.why()))?;
        let mut slots: BTreeSet<PciAddress> = BTreeSet::new();
        for gpu in passed_gpus(self.blueprint, self.host) {
            slots.insert(self.slot(gpu, bus)?);
        }
        let functions = || bus.functions.iter();
        let on = |address: &PciAddress| slots.contains(&address.device());
        let ids: BTreeSet<PciId> = functions().filter(|(at, _)| on(at)).map(|(_, function)| function.id).collect();
        // By id every device of that id is taken, also one that the host needs.
        if let Some((at, twin)) = functions().find(|(at, function)| ids.contains(&function.id) && !on(at)) {
            return Err(Finding::Refused(
                Diagnostic::error(
                    "prepare.twin",
                    format!("`vfio: boot` would also take {} at {at} of host `{}`", twin.id, self.host.name),
                )
                .at(self.host.system.span.unwrap_or(self.host.span), "binds by id")
                .cause("it has the same id as a function of a GPU that is passed to a VM")
                .hint("leave it at `vfio: start`: Proxmox then takes exactly the card that a VM names")
                .into(),
            ));
        }
        let held = functions().filter(|(at, _)| on(at)).filter_map(|(_, function)| function.driver.as_deref());
        let holders = held.filter(|driver| !matches!(*driver, "vfio-pci" | "pci-stub")).map(module_of).collect();
        Ok((ids, holders))
    }

    fn slot(&self, name: &GpuName, bus: &PciBus) -> Result<PciAddress, Finding> {
        let gpu = &self.host.gpus[name];
        let matching: BTreeSet<PciAddress> = bus
            .functions
            .iter()
            .filter(|(_, function)| function.id == gpu.id)
            .filter(|(_, function)| gpu.subsystem.is_none_or(|subsystem| function.subsystem == Some(subsystem)))
            .map(|(at, _)| at.device())
            .filter(|slot| gpu.address.as_ref().is_none_or(|at| *slot == at.device()))
            .collect();
        let found = matching.len();
        match matching.into_iter().next().filter(|_| found == 1) {
            Some(slot) => Ok(slot),
            None => {
                let what = if found > 0 { "could be any of several devices" } else { "is not in it" };
                Err(Finding::Refused(
                    Diagnostic::error("prepare.gpu", format!("GPU `{name}` of host `{}` {what}", self.host.name))
                        .at(gpu.span, "is to be bound at boot")
                        .hint("write the id that `lspci -nn` shows, and `address:` where cards are equal")
                        .into(),
                ))
            }
        }
    }

    fn vfio(&self, context: &Context<'_>, config: &ConfigFiles) -> Result<Vec<(String, Option<String>)>, Finding> {
        let own = |text: Option<String>| vec![(VFIO_FILE.to_owned(), text)];
        if !self.host.system.vfio_at_boot || passed_gpus(self.blueprint, self.host).next().is_none() {
            return Ok(own(None));
        }
        let (ids, mut holders) = self.passed(context)?;
        // Once bound to vfio-pci nobody else holds them; what was found before stays said.
        let there = config.content(VFIO_FILE).unwrap_or_default();
        holders.extend(
            there.lines().filter_map(|line| {
                Some(line.strip_prefix("softdep ")?.strip_suffix(" pre: vfio-pci")?.trim().to_owned())
            }),
        );
        let vendors: BTreeSet<u16> = ids.iter().map(|id| id.vendor).collect();
        let mut text = header(self.blueprint);
        let mut files = Vec::new();
        // The module takes the last `ids=` only, so a list that somebody else began is continued.
        let others: Vec<(&str, &str)> = config
            .in_dir("/etc/modprobe.d", ".conf")
            .filter(|(path, _)| *path != VFIO_FILE)
            .map(|(path, file)| (path, file.content.as_str()))
            .filter(|(_, text)| !modprobe_file::values(text, "vfio-pci", "ids").is_empty())
            .collect();
        if others.is_empty() {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            text.push_str(&format!("options vfio-pci ids={}\n", ids.join(",")));
        }
        for (path, content) in others {
            let mut all: Vec<String> = Vec::new();
            for listed in modprobe_file::values(content, "vfio-pci", "ids") {
                all.extend(listed.split(',').filter(|id| !id.is_empty()).map(str::to_owned));
            }
            let missing: Vec<String> = ids
                .iter()
                .map(ToString::to_string)
                .filter(|id| !all.iter().any(|there| there.eq_ignore_ascii_case(id)))
                .collect();
            if !missing.is_empty() {
                all.extend(missing);
                files.push((path.to_owned(), Some(modprobe_file::set(content, "vfio-pci", "ids", &all.join(",")))));
            }
        }
        let usual: Vec<&str> = vendors.iter().flat_map(|vendor| drivers(*vendor)).copied().collect();
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for driver in usual.into_iter().chain(holders.iter().map(String::as_str)) {
            if named.insert(driver) {
                text.push_str(&format!("softdep {driver} pre: vfio-pci\n"));
            }
        }
        files.extend(own(Some(text)));
        Ok(files)
    }

    fn arc(&self, context: &Context<'_>, config: &ConfigFiles) -> Result<Vec<(String, Option<String>)>, Finding> {
        let Some(limit) = self.host.system.arc.map(crate::model::Size::as_bytes) else {
            return Ok(vec![(ZFS_FILE.to_owned(), None)]);
        };
        let memory = &machine(context, self.host).memory;
        let total = memory.value().ok_or_else(|| self.gap("memory", memory.why()))?.total;
        let foreign: Vec<(&str, &str)> = config
            .in_dir("/etc/modprobe.d", ".conf")
            .filter(|(path, _)| *path != ZFS_FILE)
            .map(|(path, file)| (path, file.content.as_str()))
            .collect();
        let setting = |parameter: &str| -> Vec<&str> {
            foreign.iter().flat_map(|(_, text)| modprobe_file::values(text, "zfs", parameter)).collect()
        };
        let set = setting(ARC_MIN).last().and_then(|least| least.parse().ok());
        let least = least_arc(limit, total, set);
        let mut files = Vec::new();
        for (path, text) in &foreign {
            let mut edited = modprobe_file::set(text, "zfs", ARC_MAX, &limit.to_string());
            if let Some(least) = least {
                edited = modprobe_file::set(&edited, "zfs", ARC_MIN, &least.to_string());
            }
            files.push(((*path).to_owned(), Some(edited)));
        }
        let mut own = String::new();
        if setting(ARC_MAX).is_empty() {
            own.push_str(&format!("options zfs {ARC_MAX}={limit}\n"));
        }
        if let Some(least) = least.filter(|_| setting(ARC_MIN).is_empty()) {
            own.push_str(&format!("options zfs {ARC_MIN}={least}\n"));
        }
        files.push((ZFS_FILE.to_owned(), (!own.is_empty()).then(|| header(self.blueprint) + &own)));
        Ok(files)
    }

    fn changes<'c>(&self, context: &Context<'_>, config: &'c ConfigFiles) -> Result<Vec<FileChange<'c>>, Finding> {
        let mut wanted = self.arc(context, config)?;
        for (path, text) in self.vfio(context, config)? {
            // One file may hold options of both modules.
            match wanted.iter_mut().find(|(there, _)| *there == path) {
                None => wanted.push((path, text)),
                Some((_, before)) => {
                    let ids = text.as_deref().map(|text| modprobe_file::values(text, "vfio-pci", "ids").join(","));
                    if let (Some(before), Some(ids)) = (before, ids) {
                        *before = modprobe_file::set(before, "vfio-pci", "ids", &ids);
                    }
                }
            }
        }
        if let Some(text) = config.content(INITRAMFS_MODULES) {
            wanted.push((INITRAMFS_MODULES.to_owned(), Some(module_list::without(text, "vfio_virqfd"))));
        }
        let mut changes = Vec::new();
        for (path, text) in wanted {
            let change = FileChange::new(config, &path, text, self.host.system.span);
            changes.extend(change.map_err(|problem| Finding::Refused(problem.into()))?);
        }
        Ok(changes)
    }

    /// Why the initial RAM disk has to be made anew though its files are as they should be.
    fn initramfs_is_behind(&self, context: &Context<'_>, config: &ConfigFiles) -> Option<String> {
        if context.unfinished.contains(&StepId::new(&self.addr(), "write")) {
            return Some("an earlier run ended before the initial RAM disk was made".to_owned());
        }
        let machine = machine(context, self.host);
        let running = machine.kernel.value()?.release.as_str();
        let disk = machine.kernels.value()?.initramfs.get(running)?;
        let ours = [VFIO_FILE, ZFS_FILE].into_iter().filter_map(|path| Some((path, config.get(path)?)));
        let newer = ours.into_iter().find(|(_, file)| file.modified > disk.modified)?;
        Some(format!("`{}` is newer than the initial RAM disk of {running}", newer.0))
    }
}

/// Makes the initial RAM disks anew, and looks that none was left half written.
///
/// A reboot while one is being written leaves a `.new` of 0 bytes and boots the old one: so this waits for the end.
fn refresh() -> Vec<Op> {
    vec![
        exec(["update-initramfs", "-u", "-k", "all"]),
        check(
            output(["find", "/boot", "-maxdepth", "1", "-name", "initrd.img-*.new"], ""),
            "an initial RAM disk was left half written; look whether another `update-initramfs` runs, and make it \
             anew before the next reboot",
        ),
    ]
}

impl Resource for Modprobe<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Modprobe, &self.host.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let changes = config(context, self.host).and_then(|config| self.changes(context, config).map(|c| (config, c)));
        let (config, changes) = match changes {
            Ok(found) => found,
            Err(finding) => return finding,
        };
        let values = |texts: &dyn Fn(&str) -> Option<String>| -> Fields {
            let files = config.files.keys().map(String::as_str).chain([VFIO_FILE, ZFS_FILE]);
            let files: BTreeSet<&str> = files.filter(|path| path.starts_with("/etc/modprobe.d/")).collect();
            let mut fields = Fields::new();
            for (module, parameter) in [("zfs", ARC_MAX), ("zfs", ARC_MIN), ("vfio-pci", "ids")] {
                if (module == "zfs" && self.host.system.arc.is_none())
                    || (module != "zfs" && !self.host.system.vfio_at_boot)
                {
                    continue;
                }
                for path in &files {
                    let text = texts(path).unwrap_or_default();
                    if let Some(value) = modprobe_file::values(&text, module, parameter).last() {
                        fields.insert(format!("{module} {parameter}"), (*value).to_owned());
                    }
                }
            }
            fields
        };
        let before = |path: &str| config.content(path).map(str::to_owned);
        let after = |path: &str| match changes.iter().find(|change| change.path == path) {
            Some(change) => change.after().map(str::to_owned),
            None => before(path),
        };
        let (current, desired) = (values(&before), values(&after));
        let behind = self.initramfs_is_behind(context, config);
        if changes.is_empty() && behind.is_none() {
            return Finding::Unchanged { desired };
        }
        let kernels = &machine(context, self.host).kernels;
        if let Some(writer) = kernels.value().and_then(|kernels| kernels.writers.first()) {
            return Finding::Gap {
                why: format!("an initial RAM disk is being written on `{}` right now (`{writer}`)", self.host.name),
            };
        }
        let mut differences = between(&current, &desired);
        differences.extend(changes.iter().map(FileChange::difference));
        let mut change = change(addr.clone(), Action::Update, &differences, context.memory);
        change.via = Via::Ssh;
        if let Some(behind) = behind.filter(|_| changes.is_empty()) {
            change.reason = behind;
        }
        let mut steps = steps(&addr, &self.host.name, "module options", &changes, refresh());
        if let Some(write) = steps.last_mut() {
            write.title.push_str(" and make the initial RAM disks anew");
        }
        for step in &mut steps {
            step.exclusive = vec![format!("{}/boot", self.host.name)];
        }
        Finding::Changed(Changed { change, steps, desired, seen: format!("{changes:?}"), notes: Vec::new() })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_zfs_would_ignore_gets_a_lower_floor() {
        const GIB: u64 = 1 << 30;
        assert_eq!(least_arc(16 * GIB, 64 * GIB, None), None);
        assert_eq!(least_arc(16 * GIB, 512 * GIB, None), Some(16 * GIB - 1));
        assert_eq!(least_arc(4 * GIB, 64 * GIB, Some(8 * GIB)), Some(4 * GIB - 1));
        assert_eq!(least_arc(4 * GIB, 512 * GIB, Some(GIB)), None);
    }
}
