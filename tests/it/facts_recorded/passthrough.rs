//! IOMMU, functions on the bus, and the kernel's log.

use std::path::Path;

use infra::model::machine::{Iommu, PciBus};
use infra::model::observed::Fact;
use infra::observe::facts::machine::{iommu, kernel_log, pci, vfio};
use infra::ports::Output;

use super::{boots, number, recorded};

fn output(stdout: String) -> Output {
    Output { code: 0, stdout: stdout.into(), stderr: Default::default() }
}

/// `ls -l` of a directory as `ls -A` would print it.
fn names(listing: &Output) -> Output {
    let text = String::from_utf8_lossy(&listing.stdout).into_owned();
    let names = text.lines().filter(|line| !line.starts_with("total"));
    output(names.filter_map(|line| line.split_whitespace().nth(8)).map(|name| format!("{name}\n")).collect())
}

fn iommu_of(boot: &Path) -> Iommu {
    let types = recorded(boot, "iommu-groups-type");
    let outputs = [
        names(&recorded(boot, "sys-class-iommu")),
        recorded(boot, "iommu-groups-find"),
        types,
        output(String::new()),
        names(&recorded(boot, "acpi-tables")),
    ];
    iommu::read(&outputs).unwrap()
}

/// The recorded lines are `path=value` and `path -> target`.
fn bus_of(boot: &Path) -> PciBus {
    let text = String::from_utf8(recorded(boot, "sysfs-pci").stdout.to_vec()).unwrap();
    let attributes =
        text.lines().filter_map(|line| line.split_once('=')).map(|(path, value)| format!("{path}:{value}\n"));
    let drivers = text.lines().filter_map(|line| {
        let (path, target) = line.split_once("/driver -> ")?;
        Some(format!("/sys/bus/pci/drivers/{}/{}\n", target.rsplit('/').next()?, path.rsplit('/').next()?))
    });
    let outputs = [
        output(attributes.collect()),
        output(String::new()),
        output(String::new()),
        output(drivers.collect()),
        output(String::new()),
    ];
    pci::read(&outputs).unwrap()
}

#[test]
fn an_iommu_is_what_sysfs_says_whatever_the_log_says() {
    for boot in boots() {
        let iommu = iommu_of(&boot);
        let (active, described) = match number(&boot) {
            '4' => (false, true),
            '5' => (false, false),
            _ => (true, true),
        };
        assert_eq!((iommu.is_active(), iommu.described), (active, Some(described)), "{}", boot.display());
        assert_eq!(iommu.groups.len(), if active { 19 } else { 0 }, "{}", boot.display());
    }
}

#[test]
fn every_function_is_read_and_bound_as_lspci_saw_it() {
    for boot in boots() {
        let bus = bus_of(&boot);
        let lspci = String::from_utf8(recorded(&boot, "lspci-Dvmmnnk").stdout.to_vec()).unwrap();
        let mut seen = 0;
        for block in lspci.split("\n\n").filter(|block| !block.trim().is_empty()) {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let code = |name: &str| {
                field(name).and_then(|text| text.rsplit_once('[')).map(|(_, code)| code.trim_end_matches(']'))
            };
            let function = &bus.functions[&field("Slot:").unwrap().parse().unwrap()];
            assert_eq!(function.driver.as_deref(), field("Driver:"), "{block}");
            assert_eq!(Some(format!("{:04x}", function.subclass()).as_str()), code("Class:"), "{block}");
            let id = function.id.to_string();
            assert_eq!(id.split_once(':'), code("Vendor:").zip(code("Device:")), "{block}");
            let board = function.subsystem.unwrap().to_string();
            assert_eq!(board.split_once(':'), code("SVendor:").zip(code("SDevice:")), "{block}");
            seen += 1;
        }
        assert_eq!(seen, bus.functions.len(), "{}", boot.display());
        assert_eq!(bus.functions.values().filter(|function| function.boot_vga == Some(true)).count(), 1);
    }
}

#[test]
fn the_whole_log_of_a_boot_is_complete_and_what_matters_stays() {
    for boot in boots() {
        let Fact::Complete { value } = kernel_log::read(&[recorded(&boot, "dmesg-full")]) else {
            panic!("{}", boot.display());
        };
        assert!(value.lines.len() < 200, "{}: {} lines", boot.display(), value.lines.len());
        let remapping = value.about("Enabled IRQ remapping").count();
        assert_eq!(remapping, usize::from(number(&boot) != '5'), "{}", boot.display());
    }
    if let Some(boot) = boots().first() {
        let denied = kernel_log::read(&[recorded(boot, "user-perm-dmesg")]);
        assert!(denied.value().is_none() && denied.why().unwrap().contains("Operation not permitted"), "{denied:?}");
    }
}

#[test]
fn parameters_of_vfio_are_read_where_it_is_loaded() {
    for boot in boots().into_iter().filter(|boot| number(boot) == '3') {
        let text = String::from_utf8(recorded(&boot, "params-vfio_type1").stdout.to_vec()).unwrap();
        let value = text.lines().find_map(|line| line.split_once("allow_unsafe_interrupts:")).unwrap().1;
        let modules = "/sys/module/vfio\n/sys/module/vfio_pci\n".to_owned();
        let vfio = vfio::read(&[output(modules), output(format!("{value}\n"))]).unwrap();
        assert_eq!(vfio.allow_unsafe_interrupts, Some(false));
    }
}
