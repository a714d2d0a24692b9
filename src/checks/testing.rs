//! A sound host with one GPU that is passed to a VM, for tests of checks to break.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Finding, NotRun, Subject, Verdict};
use crate::blueprint::{Blueprint, testing};
use crate::model::hardware_lock::{HardwareLock, LockedHost};
use crate::model::machine::{
    GuestFile, GuestFiles, Iommu, IommuGroup, Kernel, KernelLog, Machine, PciBus, PciFunction, PciLink, PciRole, Vfio,
};
use crate::model::observed::{self, Fact, GuestConfig, GuestKind, GuestListing, Observed, PciMapping, Power, Site};
use crate::model::{HostName, PciAddress, Vmid};

/// A host, all of it known.
pub(crate) struct Scene {
    blueprint: Blueprint,
    observed: Observed,
    lock: Option<HardwareLock>,
}

impl Scene {
    /// The inventory of `blueprint::testing` on a host that is as it should be.
    pub fn sound() -> Self {
        Self::over("")
    }

    /// The same with something laid over the inventory.
    pub fn over(over: &str) -> Self {
        let site = Site {
            guests: Fact::complete(BTreeMap::new()),
            mappings: Fact::complete(BTreeMap::new()),
            ..Site::default()
        };
        let host = observed::Host { site: "hq".into(), machine: machine(), ..observed::Host::default() };
        let observed = Observed {
            sites: BTreeMap::from([("hq".to_owned(), site)]),
            hosts: BTreeMap::from([("hq".parse().unwrap(), host)]),
            ..Observed::default()
        };
        Self { blueprint: testing::with(over), observed, lock: None }
    }

    /// The same where no VM has a GPU.
    pub fn without_gpu() -> Self {
        Self::over("guests: { plan-hq: { gpus: [] } }")
    }

    pub fn subject(&self) -> Subject<'_> {
        let host = &self.blueprint.hosts[&name()];
        let now = "2026-11-21T18:00:00Z".parse().unwrap();
        Subject { hardware: self.lock.as_ref(), ..Subject::new(&self.blueprint, &self.observed, host, now) }
    }

    pub fn machine(&mut self) -> &mut Machine {
        &mut self.observed.hosts.get_mut(&name()).unwrap().machine
    }

    pub fn bus(&mut self) -> &mut PciBus {
        match &mut self.machine().pci {
            Fact::Complete { value } => value,
            other => panic!("{other:?}"),
        }
    }

    pub fn function(&mut self, address: &str) -> &mut PciFunction {
        self.bus().functions.get_mut(&at(address)).unwrap()
    }

    fn site(&mut self) -> &mut Site {
        self.observed.sites.get_mut("hq").unwrap()
    }

    pub fn command_line(&mut self, words: &[&str]) -> &mut Self {
        if let Fact::Complete { value } = &mut self.machine().kernel {
            value.command_line = words.iter().map(|word| (*word).to_owned()).collect();
        }
        self
    }

    pub fn release(&mut self, release: &str) -> &mut Self {
        if let Fact::Complete { value } = &mut self.machine().kernel {
            value.release = release.to_owned();
        }
        self
    }

    /// The whole log of the kernel.
    pub fn log(&mut self, lines: &[&str]) {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.machine().kernel_log = Fact::complete(KernelLog { lines });
    }

    /// Puts a function into the GPU's group.
    pub fn share_group(&mut self, address: &str) {
        if let Fact::Complete { value } = &mut self.machine().iommu {
            value.groups.values_mut().for_each(|group| {
                group.devices.remove(&at(address));
            });
            value.groups.get_mut(&14).unwrap().devices.insert(at(address));
        }
    }

    /// A second card of the same make at 0000:04:00.
    pub fn add_twin(&mut self) {
        let card = self.function("0000:01:00.0").clone();
        self.bus().functions.insert(at("0000:04:00.0"), card);
        if let Fact::Complete { value } = &mut self.machine().iommu {
            value.groups.insert(20, group(&["0000:04:00.0"]));
        }
    }

    /// Another device is at this place now.
    pub fn renumber(&mut self, from: &str, to: &str) {
        let moved = |address: &PciAddress| at(&address.to_string().replace(from, to));
        let bus = self.bus();
        bus.functions = std::mem::take(&mut bus.functions).into_iter().map(|(at, f)| (moved(&at), f)).collect();
        if let Fact::Complete { value } = &mut self.machine().iommu {
            for group in value.groups.values_mut() {
                group.devices = group.devices.iter().map(moved).collect();
            }
        }
    }

    /// Writes the lock file.
    pub fn record(&mut self) {
        let host = LockedHost::of(&self.subject()).unwrap();
        self.lock = Some(HardwareLock { hosts: BTreeMap::from([(name(), host)]), ..HardwareLock::default() });
    }

    /// A guest of somebody.
    pub fn guest(&mut self, vmid: &str, status: Power) {
        let listing = GuestListing {
            kind: GuestKind::Qemu,
            node: "hq".parse().unwrap(),
            name: None,
            status,
            tags: Vec::new(),
            pool: None,
            lock: None,
            template: false,
            memory: None,
        };
        if let Fact::Complete { value } = &mut self.site().guests {
            value.insert(vmid.parse().unwrap(), listing);
        }
    }

    /// What is configured for a VM of ours.
    pub fn hostpci(&mut self, vmid: &str, value: &str) {
        let current = BTreeMap::from([("hostpci0".to_owned(), value.to_owned())]);
        let config = GuestConfig { current, ..GuestConfig::default() };
        self.site().configs.insert(vmid.parse().unwrap(), Fact::complete(config));
    }

    /// A guest's file in the cluster file system.
    pub fn file(&mut self, vmid: &str, lines: &[(&str, &str)]) {
        let file = GuestFile {
            kind: GuestKind::Qemu,
            node: "hq".parse().unwrap(),
            lines: lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            pending: Vec::new(),
            snapshots: BTreeMap::new(),
        };
        let guests: BTreeMap<Vmid, GuestFile> = BTreeMap::from([(vmid.parse().unwrap(), file)]);
        self.machine().guest_files = Fact::complete(GuestFiles { guests, highly_available: BTreeSet::new() });
    }

    /// A PCI mapping of ours.
    pub fn map(&mut self, name: &str, entry: &str) {
        let description = crate::resources::gpu_device::mark(&self.blueprint);
        let mapping = PciMapping { description, map: vec![entry.to_owned()], digest: None };
        self.site().mappings = Fact::complete(BTreeMap::from([(name.parse().unwrap(), mapping)]));
    }

    pub fn findings(&self, check: &Check) -> Vec<Finding> {
        match (check.judge)(&self.subject()) {
            Ok(findings) => findings,
            Err(NotRun::Skipped(why)) => vec![Finding::skipped(why)],
            Err(NotRun::Blind(why)) => vec![Finding::blind(why)],
        }
    }

    /// Verdicts of a check; what is wrong says by what and what to do.
    pub fn verdicts(&self, check: &Check) -> Vec<Verdict> {
        let findings = self.findings(check);
        for finding in findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Warn | Verdict::Fail)) {
            assert!(!finding.evidence.is_empty() && !finding.fixes.is_empty(), "{finding:?}");
        }
        findings.iter().map(|finding| finding.verdict).collect()
    }

    /// The only finding of a check.
    pub fn only(&self, check: &Check) -> Finding {
        self.verdicts(check);
        let mut findings = self.findings(check);
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.remove(0)
    }
}

fn name() -> HostName {
    "hq".parse().unwrap()
}

fn at(address: &str) -> PciAddress {
    address.parse().unwrap()
}

fn group(devices: &[&str]) -> IommuGroup {
    IommuGroup { devices: devices.iter().map(|device| at(device)).collect(), ..IommuGroup::default() }
}

fn machine() -> Machine {
    let function = |id: &str, class: u32, driver: Option<&str>| {
        let mut function = PciFunction::new(id.parse().unwrap(), class);
        function.driver = driver.map(str::to_owned);
        function
    };
    let link = Some(PciLink { width: Some(16), max_width: 16, speed: None, max_speed: None });
    let mut card = function("10de:2684", 0x03_0000, Some("vfio-pci"));
    card.subsystem = Some("1043:88ec".parse().unwrap());
    card.parent = Some(at("0000:00:01.0"));
    (card.boot_vga, card.can_reset, card.reset_methods) = (Some(false), true, vec!["flr".into(), "bus".into()]);
    card.link.clone_from(&link);
    let mut port = function("8086:460d", 0x06_0400, Some("pcieport"));
    (port.bridge, port.link) = (true, link);
    let mut nvme = function("144d:a80a", 0x01_0802, Some("nvme"));
    nvme.roles.insert(PciRole::Disk("nvme0".into()));
    let mut bmc = function("1a03:2000", 0x03_0000, Some("ast"));
    bmc.boot_vga = Some(true);
    let functions = BTreeMap::from([
        (at("0000:00:00.0"), function("8086:4660", 0x06_0000, None)),
        (at("0000:00:01.0"), port),
        (at("0000:00:1f.3"), function("8086:7ad0", 0x04_0300, Some("snd_hda_intel"))),
        (at("0000:01:00.0"), card),
        (at("0000:01:00.1"), function("10de:22ba", 0x04_0300, Some("vfio-pci"))),
        (at("0000:02:00.0"), nvme),
        (at("0000:05:00.0"), bmc),
    ]);
    let iommu = Iommu {
        units: BTreeSet::from(["dmar0".to_owned()]),
        groups: BTreeMap::from([
            (0, group(&["0000:00:00.0"])),
            (9, group(&["0000:00:1f.3"])),
            (14, group(&["0000:00:01.0", "0000:01:00.0", "0000:01:00.1"])),
            (15, group(&["0000:02:00.0"])),
            (16, group(&["0000:05:00.0"])),
        ]),
        described: Some(true),
    };
    let kernel = Kernel {
        release: "6.17.2-1-pve".into(),
        command_line: vec!["root=ZFS=rpool/ROOT/pve-1".into(), "iommu=pt".into()],
        boot_id: "5c6e1f5e-8a3c-4e2b-9b64-0d1c4c0b3d11".into(),
    };
    let vfio = Vfio {
        modules: ["vfio", "vfio_pci", "vfio_iommu_type1"].map(str::to_owned).into(),
        allow_unsafe_interrupts: Some(false),
    };
    Machine {
        kernel: Fact::complete(kernel),
        iommu: Fact::complete(iommu),
        pci: Fact::complete(PciBus { functions }),
        remapped_interrupts: Fact::complete(true),
        vfio: Fact::complete(vfio),
        kernel_log: Fact::complete(KernelLog {
            lines: vec!["[    0.528441] DMAR-IR: Enabled IRQ remapping in x2apic mode".into()],
        }),
        boot_framebuffers: Fact::complete(Vec::new()),
        pci_reservations: Fact::complete(Vec::new()),
        guest_files: Fact::complete(GuestFiles::default()),
        ..Machine::default()
    }
}
