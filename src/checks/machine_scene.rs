//! A host in good order below Proxmox, for tests that break one thing of it.

use std::collections::BTreeMap;

use super::{Check, Finding, NotRun, Subject, Verdict};
use crate::blueprint::{Blueprint, Container, GuestShape, Vm, testing};
use crate::model::HostName;
use crate::model::machine::{
    Apt, Arc, Boot, BootFile, CommandLines, ConfigFile, ConfigFiles, FailedUnits, Firmware, GrubDefaults, GrubEntry,
    Kernel, Kernels, LoadedModules, Loader, Machine, Memory, ModuleConfig, NvidiaDriver, OsRelease, Packages, Pool,
    RootFileSystem, Scan, Sign, Space, Translation,
};
use crate::model::observed::{self, Fact, Observed, Release, Site, Storage};

/// When the scene's host was looked at; it had booted a day before.
pub(crate) const NOW: i64 = 1_795_262_400;

const DAY: i64 = 86_400;
const GIB: u64 = 1 << 30;

/// The kernel that runs and is the newest.
pub(crate) const RELEASE: &str = "6.17.9-1-pve";

/// The host `hq` of the good inventory, all of it known.
pub(crate) struct Scene {
    pub blueprint: Blueprint,
    pub observed: Observed,
}

impl Scene {
    /// A GRUB host of Proxmox VE 9.2 in good order, with 64 GiB of memory and a pool.
    pub fn sound() -> Self {
        let zfs = Storage {
            kind: "zfspool".into(),
            content: vec!["images".into(), "rootdir".into()],
            active: true,
            available: 500 * GIB,
            total: 900 * GIB,
        };
        let host = observed::Host {
            site: "hq".into(),
            machine: machine(),
            release: Fact::complete(Release { version: "9.2.11".into(), repoid: "abc".into() }),
            storages: Fact::complete(BTreeMap::from([("local-zfs".parse().unwrap(), zfs)])),
            ..observed::Host::default()
        };
        let site = Site { guests: Fact::complete(BTreeMap::new()), ..Site::default() };
        let observed = Observed {
            sites: BTreeMap::from([("hq".to_owned(), site)]),
            hosts: BTreeMap::from([(name(), host)]),
            ..Observed::default()
        };
        Self { blueprint: testing::good(), observed }
    }

    /// The same with the root file system on ZFS, booted by systemd-boot.
    pub fn systemd_boot() -> Self {
        let mut scene = Self::sound();
        let boot = known(&mut scene.machine().boot);
        boot.firmware = Firmware::Uefi;
        boot.loader = Some(Loader::SystemdBoot);
        boot.esps = vec!["AB12-34CD".into()];
        boot.root = RootFileSystem { source: "rpool/ROOT/pve-1".into(), kind: "zfs".into() };
        let lines = known(&mut scene.machine().command_lines);
        lines.kernel = Some(words("root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=on"));
        lines.grub = Some(GrubDefaults { linux_default: words("quiet"), ..GrubDefaults::default() });
        lines.grub_entries = None;
        let kernel = known(&mut scene.machine().kernel);
        kernel.command_line =
            words("initrd=\\EFI\\proxmox\\initrd.img root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=on");
        scene
    }

    pub fn host(&mut self) -> &mut observed::Host {
        self.observed.hosts.get_mut(&name()).unwrap()
    }

    pub fn machine(&mut self) -> &mut Machine {
        &mut self.host().machine
    }

    pub fn site(&mut self) -> &mut Site {
        self.observed.sites.get_mut("hq").unwrap()
    }

    /// The inventory's VM.
    pub fn vm(&mut self) -> &mut Vm {
        match &mut self.blueprint.guests.get_mut(&"plan-hq".parse().unwrap()).unwrap().shape {
            GuestShape::Vm(vm) => vm,
            GuestShape::Container(_) => unreachable!("plan-hq is a VM"),
        }
    }

    /// The inventory's container.
    pub fn container(&mut self) -> &mut Container {
        match &mut self.blueprint.guests.get_mut(&"proj-x".parse().unwrap()).unwrap().shape {
            GuestShape::Container(container) => container,
            GuestShape::Vm(_) => unreachable!("proj-x is a container"),
        }
    }

    pub fn subject(&self) -> Subject<'_> {
        let host = &self.blueprint.hosts[&name()];
        Subject::new(&self.blueprint, &self.observed, host, jiff::Timestamp::from_second(NOW).unwrap())
    }

    /// What a check says.
    pub fn judge(&self, check: &Check) -> Result<Vec<Finding>, NotRun> {
        (check.judge)(&self.subject())
    }

    /// Its verdicts, one per finding.
    pub fn verdicts(&self, check: &Check) -> Vec<Verdict> {
        match self.judge(check) {
            Ok(findings) => findings
                .iter()
                .map(|finding| {
                    let bad = matches!(finding.verdict, Verdict::Warn | Verdict::Fail);
                    assert!(!bad || !finding.evidence.is_empty() && !finding.fixes.is_empty(), "{finding:?}");
                    assert!(bad || finding.verdict != Verdict::Pass || !finding.evidence.is_empty(), "{finding:?}");
                    finding.verdict
                })
                .collect(),
            Err(NotRun::Skipped(_)) => vec![Verdict::Skipped],
            Err(NotRun::Blind(_)) => vec![Verdict::CouldNotRun],
        }
    }

    /// Everything that it says, in one text.
    pub fn said(&self, check: &Check) -> String {
        format!("{:?}", self.judge(check))
    }
}

fn name() -> HostName {
    "hq".parse().unwrap()
}

/// What is known of a fact, to be broken.
pub(crate) fn known<T>(fact: &mut Fact<T>) -> &mut T {
    match fact {
        Fact::Complete { value } => value,
        Fact::Partial { .. } | Fact::Unavailable { .. } => unreachable!("all of a sound host is known"),
    }
}

/// A text's words.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn machine() -> Machine {
    let mut machine = Machine::unavailable("not read in this test");
    let file = |modified| BootFile { size: 80 << 20, modified };
    machine.kernel = Fact::complete(Kernel {
        release: RELEASE.into(),
        command_line: words("BOOT_IMAGE=/boot/vmlinuz-6.17.9-1-pve root=/dev/mapper/pve-root ro quiet intel_iommu=on"),
        boot_id: "b".into(),
    });
    machine.boot = Fact::complete(Boot {
        loader: Some(Loader::Grub),
        signs: vec![Sign { source: "/proc/cmdline".into(), text: "BOOT_IMAGE=/boot/vmlinuz-6.17.9-1-pve".into() }],
        root: RootFileSystem { source: "/dev/mapper/pve-root".into(), kind: "ext4".into() },
        booted_at: NOW - DAY,
        read_at: NOW,
        ..Boot::default()
    });
    machine.command_lines = Fact::complete(CommandLines {
        grub: Some(GrubDefaults {
            linux_default: words("quiet intel_iommu=on"),
            default: Some("0".into()),
            set_in: vec!["/etc/default/grub".into()],
            ..GrubDefaults::default()
        }),
        kernel: None,
        grub_entries: Some(vec![GrubEntry {
            title: "Proxmox VE GNU/Linux".into(),
            kernel: "/boot/vmlinuz-6.17.9-1-pve".into(),
            options: words("root=/dev/mapper/pve-root ro quiet intel_iommu=on"),
        }]),
    });
    let config = ["/etc/default/grub", "/etc/kernel/cmdline", "/etc/modprobe.d/zfs.conf"].map(|path| {
        let content = "root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=on\n".to_owned();
        (path.to_owned(), ConfigFile { content, modified: NOW - 9 * DAY, mode: 0o644, ..ConfigFile::default() })
    });
    machine.config = Fact::complete(ConfigFiles { files: BTreeMap::from(config) });
    machine.kernels = Fact::complete(Kernels {
        images: BTreeMap::from([(RELEASE.to_owned(), file(NOW - 5 * DAY)), ("6.14.11-4-pve".into(), file(0))]),
        initramfs: BTreeMap::from([(RELEASE.to_owned(), file(NOW - 4 * DAY)), ("6.14.11-4-pve".into(), file(0))]),
        ..Kernels::default()
    });
    machine.module_config = Fact::complete(ModuleConfig::default());
    machine.modules = Fact::complete(LoadedModules {
        known: BTreeMap::from([("vfio_virqfd".to_owned(), false)]),
        ..LoadedModules::default()
    });
    machine.os = Fact::complete(OsRelease {
        id: "debian".into(),
        version: "13".into(),
        codename: "trixie".into(),
        name: "Debian GNU/Linux 13 (trixie)".into(),
    });
    let packages =
        [("proxmox-ve", "9.1.0"), ("pve-manager", "9.2.11"), ("lxc-pve", "6.0.5-3"), ("zfsutils-linux", "2.3.4-pve1")];
    machine.packages = Fact::complete(Packages {
        installed: packages.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
        ..Packages::default()
    });
    machine.apt = Fact::complete(Apt {
        sources: vec![source("http://download.proxmox.com/debian/pve", "pve-no-subscription", true)],
        ..Apt::default()
    });
    machine.failed_units = Fact::complete(FailedUnits::default());
    machine.translation = Fact::complete(Translation::default());
    machine.memory = Fact::complete(Memory {
        total: 64 * GIB,
        available: 50 * GIB,
        swap: 8 * GIB,
        huge_pages: 0,
        arc: Some(Arc { size: 4 * GIB, limit: 6 * GIB, floor: 2 * GIB, parameter: 6 * GIB }),
    });
    let pool = Pool {
        size: 1000 * GIB,
        allocated: 400 * GIB,
        free: 600 * GIB,
        fragmentation: Some(10),
        capacity: 40,
        health: "ONLINE".into(),
        scan: Scan::Scrubbed { at: NOW - 10 * DAY, errors: 0 },
        ..Pool::default()
    };
    machine.pools = Fact::complete(BTreeMap::from([("rpool".to_owned(), pool)]));
    machine.space = Fact::complete(["/", "/boot"].map(space).into());
    machine.nvidia = Fact::complete(NvidiaDriver::default());
    machine
}

fn space(path: &str) -> Space {
    Space {
        path: path.to_owned(),
        mounted_on: "/".into(),
        source: "/dev/mapper/pve-root".into(),
        kind: "ext4".into(),
        size: 90 * GIB,
        available: 70 * GIB,
    }
}

/// A source of packages for trixie.
pub(crate) fn source(uri: &str, component: &str, enabled: bool) -> crate::model::machine::AptSource {
    crate::model::machine::AptSource {
        file: "/etc/apt/sources.list.d/proxmox.sources".into(),
        line: 1,
        uri: uri.to_owned(),
        suite: "trixie".into(),
        component: component.to_owned(),
        enabled,
    }
}
