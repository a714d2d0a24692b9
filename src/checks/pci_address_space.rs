//! A GPU has all the address space that it asked for.

use std::collections::BTreeMap;

use super::gpus::{self, PlacedGpu};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "pci-address-space",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "the GPU has all the address space that it needs",
    needs: &["dmesg"],
    why: "A card shows its memory to the processor through windows (BARs) of up to as many bytes as it has. With \
          \"Above 4G decoding\" off in the firmware there is no room for them: the kernel says `no space for [mem \
          size …]` or `failed to assign`, and the driver in the guest that the PCI I/O region is invalid. The kernel \
          tries several times, so what counts is what it said last about a window. A missing window for I/O ports \
          or for the ROM harms no graphics card.",
    fix: "Switch \"Above 4G decoding\" (and Resizable BAR) on in the firmware; servers call it \"MMIO high\" or \"large \
          BAR\". `pci=realloc` on the kernel's command line helps where the firmware left gaps. A guest may need a \
          larger window as well (OVMF, `X-PciMmio64Mb`), which only root can set (`args`).",
    mend: None,
    sources: &["forum.proxmox.com 179366", "linux drivers/pci/setup-res.c"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    gpus::each(subject, |placed| vec![space(subject, placed)])
}

fn space(subject: &Subject<'_>, placed: &PlacedGpu<'_>) -> Finding {
    let log = &subject.machine().kernel_log;
    let mut last: BTreeMap<String, (bool, &str)> = BTreeMap::new();
    for line in log.value().into_iter().flat_map(|log| log.of(&placed.device)) {
        let failed = ["no space for", "failed to assign", "can't assign"].iter().any(|text| line.contains(text));
        if !failed && !line.contains("assigned") {
            continue;
        }
        // `pci 0000:01:00.0: BAR 1 [mem …]: assigned`, before 6.10 `BAR 1: assigned [mem …]`.
        let Some(bar) = line.split(": ").find_map(|part| part.strip_prefix("BAR ")) else { continue };
        if !line.contains("[mem") {
            continue;
        }
        let number: String = bar.chars().take_while(char::is_ascii_digit).collect();
        // 6 is the ROM.
        if !number.is_empty() && number != "6" {
            last.insert(format!("{} {number}", function_of(line, &placed.device.to_string())), (failed, line));
        }
    }
    let failures: Vec<&str> = last.values().filter(|(failed, _)| *failed).map(|(_, line)| *line).collect();
    if failures.is_empty() {
        return match log.why() {
            Some(why) => Finding::blind(why),
            None => Finding::pass("no window is missing").seen("dmesg", "no `failed to assign` that stayed"),
        };
    }
    let mut finding = Finding::fail("windows into its memory have no place in the address space");
    for line in failures {
        finding = finding.seen("dmesg", line);
    }
    finding
        .fix(Fix::by_hand("switch \"Above 4G decoding\" (\"MMIO high\", \"large BAR\") on in the firmware"))
        .fix(Fix::by_hand("where that is on, try `pci=realloc` on the kernel's command line"))
}

/// Which of a device's functions a line is about.
fn function_of<'a>(line: &'a str, device: &str) -> &'a str {
    let at = line.find(device).map_or(0, |at| at + device.len());
    line.get(at..at + 2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::Scene;
    use super::CHECK;

    fn said(lines: &[&str]) -> Vec<Verdict> {
        let mut scene = Scene::sound();
        scene.log(lines);
        scene.verdicts(&CHECK)
    }

    #[test]
    fn the_last_word_about_a_window_counts() {
        let failed = "[ 1.0] pci 0000:01:00.0: BAR 1 [mem size 0x800000000 64bit pref]: failed to assign";
        let old = "[ 1.0] pci 0000:01:00.0: BAR 1: no space for [mem size 0x800000000 64bit pref]";
        let mended = "[ 1.1] pci 0000:01:00.0: BAR 1 [mem 0x6000000000-0x67ffffffff 64bit pref]: assigned";
        assert_eq!(said(&[]), [Verdict::Pass]);
        assert_eq!(said(&[failed]), [Verdict::Fail]);
        assert_eq!(said(&[old]), [Verdict::Fail]);
        assert_eq!(said(&[failed, mended]), [Verdict::Pass]);
        assert_eq!(said(&[mended, failed]), [Verdict::Fail]);
    }

    #[test]
    fn ports_roms_and_other_devices_do_not_count() {
        assert_eq!(said(&["[ 1.0] pci 0000:01:00.0: BAR 5 [io  size 0x0080]: failed to assign"]), [Verdict::Pass]);
        assert_eq!(
            said(&["[ 1.0] pci 0000:01:00.0: BAR 6: failed to assign [mem size 0x00080000 pref]"]),
            [Verdict::Pass]
        );
        assert_eq!(
            said(&["[ 1.0] pci 0000:01:00.0: ROM [mem size 0x00080000 pref]: failed to assign"]),
            [Verdict::Pass]
        );
        assert_eq!(said(&["[ 1.0] pci 0000:02:00.0: BAR 1 [mem size 0x800000000]: failed to assign"]), [Verdict::Pass]);
        assert_eq!(
            said(&["[ 1.0] pci 0000:01:00.0: VF BAR 7 [mem size 0x800000000]: failed to assign"]),
            [Verdict::Pass]
        );
    }
}
