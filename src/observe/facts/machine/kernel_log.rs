//! What the kernel said about devices since boot.

use super::super::text;
use crate::model::machine::KernelLog;
use crate::model::observed::Fact;
use crate::ports::Output;

/// Asks for it: root may read it, others only where `kernel.dmesg_restrict` is off.
pub const COMMANDS: &[&[&str]] = &[&["dmesg"]];

/// Lines that matter hold one of these, in lower case.
const WORDS: &[&str] = &[
    "iommu",
    "dmar",
    "amd-vi",
    "remapping",
    "vfio",
    "can't reserve",
    "can't assign",
    "no space for",
    "failed to assign",
    "assigned",
    "giving up",
    "not ready",
    "d3cold",
    "inaccessible",
    "rmrr",
    "reset",
    "nvrm",
    "xid",
    "amdgpu",
    "nouveau",
    "atombios",
    "bootfb",
    "efifb",
    "simple-framebuffer",
    "firmware bug",
    "fell off",
    "aer:",
    "gpu",
];
/// Lines that are kept: a device in trouble can repeat itself for weeks.
const MOST: usize = 2000;
/// Characters of a line that are kept.
const LONGEST: usize = 400;

/// Reads it.
pub fn read(outputs: &[Output]) -> Fact<KernelLog> {
    let [log] = outputs else { return Fact::unavailable("not asked for") };
    let log = match text::good(log, "dmesg") {
        Ok(log) => log,
        Err(invalid) => return Fact::unavailable(invalid.problem),
    };
    let mut from_the_start = false;
    let (mut lines, mut dropped) = (Vec::new(), 0_usize);
    for line in log.lines() {
        from_the_start |= line.contains("] Linux version ") || line.contains("] Command line: ");
        let lower = line.to_ascii_lowercase();
        // Which device is in which group is known from elsewhere, and is a line per device.
        if !WORDS.iter().any(|word| lower.contains(word)) || lower.contains("adding to iommu group") {
            continue;
        }
        if lines.len() < MOST {
            lines.push(line.chars().take(LONGEST).collect());
        } else {
            dropped += 1;
        }
    }
    let value = KernelLog { lines };
    if !from_the_start {
        return Fact::Partial { value, why: "the kernel's log no longer reaches back to the boot".into() };
    }
    if dropped > 0 {
        return Fact::Partial { value, why: format!("{dropped} lines of the kernel's log were left out") };
    }
    Fact::complete(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const BOOT: &str = "[    0.000000] Linux version 6.17.2-1-pve (build@proxmox)\n\
                        [    0.528441] DMAR-IR: Enabled IRQ remapping in x2apic mode\n\
                        [    1.000000] usb 1-1: new device\n\
                        [    2.069040] pci 0000:01:00.0: Adding to iommu group 14\n";

    #[test]
    fn only_what_matters_is_kept() {
        let Fact::Complete { value } = read(&[output(0, BOOT, "")]) else { panic!() };
        assert_eq!(value.lines, ["[    0.528441] DMAR-IR: Enabled IRQ remapping in x2apic mode"]);
    }

    #[test]
    fn a_log_that_lost_its_beginning_is_partial() {
        let later = BOOT.lines().skip(1).collect::<Vec<_>>().join("\n");
        let log = read(&[output(0, &later, "")]);
        assert!(log.why().unwrap().contains("boot"), "{log:?}");
        assert_eq!(log.value().unwrap().lines.len(), 1);
    }

    #[test]
    fn a_log_that_may_not_be_read_says_why() {
        let denied = output(1, "", "dmesg: read kernel buffer failed: Operation not permitted\n");
        let log = read(&[denied]);
        assert!(log.value().is_none() && log.why().unwrap().contains("Operation not permitted"), "{log:?}");
    }

    #[test]
    fn a_device_that_repeats_itself_fills_no_memory() {
        let line = "[  9.000000] vfio-pci 0000:01:00.0: not ready 1023ms after FLR; waiting\n";
        let log = read(&[output(0, &format!("{BOOT}{}", line.repeat(5000)), "")]);
        assert_eq!(log.value().unwrap().lines.len(), MOST);
        assert!(!log.is_complete());
    }
}
