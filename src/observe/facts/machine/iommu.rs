//! IOMMU units and groups.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{Iommu, IommuDomain};
use crate::ports::Output;

/// Asks for them: `find` prints every link, and nothing where there is none.
pub const COMMANDS: &[&[&str]] = &[
    &["ls", "-A", "/sys/class/iommu"],
    &["find", "/sys/kernel/iommu_groups", "-type", "l"],
    &["find", "/sys/kernel/iommu_groups", "-name", "type", "-exec", "grep", "-H", ".", "{}", "+"],
    &["find", "/sys/kernel/iommu_groups", "-name", "reserved_regions", "-exec", "grep", "-H", ".", "{}", "+"],
    &["ls", "/sys/firmware/acpi/tables"],
];

/// Reads them.
///
/// # Errors
/// When a directory could not be listed, or holds what is no group.
pub fn read(outputs: &[Output]) -> Result<Iommu, Invalid> {
    let [units, links, types, regions, tables] = outputs else { return Err(Invalid::new("not asked for")) };
    let mut iommu = Iommu {
        units: text::good(units, "ls")?.lines().map(|line| line.trim().to_owned()).filter(|l| !l.is_empty()).collect(),
        ..Iommu::default()
    };
    for line in text::good(links, "find")?.lines().filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.trim_start_matches("/sys/kernel/iommu_groups/").split('/').collect();
        let ([number, "devices", address], true) = (&parts[..], line.starts_with("/sys/kernel/iommu_groups/")) else {
            return Err(Invalid::new(format!("`find` printed `{line}`, which is no device of an IOMMU group")));
        };
        let number: u32 =
            number.parse().map_err(|_| Invalid::new(format!("`{number}` is no number of an IOMMU group")))?;
        iommu.groups.entry(number).or_default().devices.insert(address.parse()?);
    }
    // Older kernels have no such file: then nobody knows, and nothing is wrong.
    for line in String::from_utf8_lossy(&types.stdout).lines() {
        let Some((path, domain)) = line.split_once(':') else { continue };
        let number = path.trim_start_matches("/sys/kernel/iommu_groups/").trim_end_matches("/type").parse::<u32>();
        let Some(group) = number.ok().and_then(|number| iommu.groups.get_mut(&number)) else { continue };
        group.domain = Some(match domain.trim() {
            "DMA" => IommuDomain::Strict,
            "DMA-FQ" => IommuDomain::Lazy,
            "identity" => IommuDomain::Identity,
            _ => IommuDomain::Other,
        });
    }
    for line in String::from_utf8_lossy(&regions.stdout).lines() {
        let Some((path, region)) = line.split_once(':') else { continue };
        let number = path.trim_start_matches("/sys/kernel/iommu_groups/").trim_end_matches("/reserved_regions").parse();
        let Some(group) = number.ok().and_then(|number: u32| iommu.groups.get_mut(&number)) else { continue };
        // `direct-relaxable` is what displays and USB controllers have: the kernel lets go of it.
        if let Some(range) = region.trim().strip_suffix(" direct") {
            group.firmware_memory.push(range.replace(' ', "-"));
        }
    }
    iommu.described = (tables.code == 0).then(|| {
        String::from_utf8_lossy(&tables.stdout).split_whitespace().any(|table| matches!(table, "DMAR" | "IVRS"))
    });
    Ok(iommu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn no_unit_and_no_group_is_an_answer_and_no_error() {
        let none = || output(0, "", "");
        let iommu = read(&[none(), none(), none(), none(), output(0, "APIC\nDSDT\nFACP\n", "")]).unwrap();
        assert!(!iommu.is_active());
        assert_eq!(iommu.described, Some(false));
    }

    #[test]
    fn groups_hold_their_devices_and_their_domain() {
        let links =
            "/sys/kernel/iommu_groups/14/devices/0000:01:00.0\n/sys/kernel/iommu_groups/14/devices/0000:01:00.1\n";
        let types = "/sys/kernel/iommu_groups/14/type:DMA-FQ\n";
        let regions = "/sys/kernel/iommu_groups/14/reserved_regions:0x000000007c800000 0x000000007cffffff direct\n\
                       /sys/kernel/iommu_groups/14/reserved_regions:0x000000008d800000 0x000000008fffffff direct-relaxable\n\
                       /sys/kernel/iommu_groups/14/reserved_regions:0x00000000fee00000 0x00000000feefffff msi\n";
        let denied = output(2, "", "ls: cannot open directory '/sys/firmware/acpi/tables': Permission denied\n");
        let iommu = read(&[
            output(0, "dmar0\n", ""),
            output(0, links, ""),
            output(0, types, ""),
            output(0, regions, ""),
            denied,
        ])
        .unwrap();
        assert!(iommu.is_active());
        assert_eq!(iommu.group_of(&"0000:01:00.1".parse().unwrap()), Some(14));
        assert_eq!(iommu.groups[&14].domain, Some(IommuDomain::Lazy));
        assert_eq!(iommu.groups[&14].firmware_memory, ["0x000000007c800000-0x000000007cffffff"]);
        assert_eq!(iommu.described, None);
    }

    #[test]
    fn what_cannot_be_listed_is_no_empty_answer() {
        let denied = output(2, "", "ls: cannot access '/sys/class/iommu': No such file or directory\n");
        let error =
            read(&[denied, output(0, "", ""), output(0, "", ""), output(0, "", ""), output(0, "", "")]).unwrap_err();
        assert!(error.problem.contains("No such file"), "{error}");
    }
}
