//! What changed in the record of the hardware, and what could be passed through.

use super::text::{join_and, one_line, wrap};
use super::{Role, Terminal};
use crate::checks::{GpuAdvice, GpuVerdict};
use crate::model::hardware_lock::{HardwareChange, HardwareLock, LockedGpu, LockedHost};

/// What a new record says that the old one did not, one line each.
#[must_use]
pub fn hardware_text(was: &HardwareLock, now: &HardwareLock, terminal: &Terminal) -> String {
    let mut out = String::new();
    let mut line = |host: &dyn std::fmt::Display, text: &str| {
        out.push_str(&wrap(&format!("  {host}: {}", one_line(text)), terminal.width, 6));
    };
    for host in was.hosts.keys().filter(|host| !now.hosts.contains_key(*host)) {
        line(host, "is not in the inventory any more");
    }
    let nothing = LockedHost::default();
    for (host, now) in &now.hosts {
        let was = was.hosts.get(host).unwrap_or(&nothing);
        let arrow = terminal.arrow();
        for (what, was, now) in [
            ("kernel", &was.kernel, &now.kernel),
            ("Proxmox VE", &was.proxmox, &now.proxmox),
            ("ZFS", &was.zfs, &now.zfs),
        ] {
            match (was, now) {
                (was, now) if was == now => {}
                (None, Some(now)) => line(host, &format!("{what} {now}")),
                (Some(was), Some(now)) => line(host, &format!("{what} {was} {arrow} {now}")),
                (_, None) => line(host, &format!("the version of {what} is not known any more")),
            }
        }
        for (gpu, change) in was.changes(now) {
            let text = match &change {
                HardwareChange::New { now } => place(now),
                HardwareChange::Gone { .. } => "is gone".to_owned(),
                HardwareChange::OtherCard { was, now } => {
                    format!("another card: {} {arrow} {}", place(was), place(now))
                }
                HardwareChange::Moved { was, now } => format!("{} {arrow} {}", place(was), place(now)),
                HardwareChange::OtherGroup { was, now } => {
                    format!("group {} {arrow} {}", group(was), group(now))
                }
            };
            line(host, &format!("{gpu}: {text}"));
        }
    }
    out
}

fn place(gpu: &LockedGpu) -> String {
    format!("{} at {}, group {}", gpu.id, gpu.address, group(gpu))
}

fn group(gpu: &LockedGpu) -> String {
    gpu.group.map_or_else(|| "none".to_owned(), |group| group.to_string())
}

/// What could be passed through on a host, one device after the other.
#[must_use]
pub fn advice_text(advice: &[GpuAdvice], full: bool, terminal: &Terminal) -> String {
    let mut out = String::new();
    for gpu in advice {
        let (symbol, role, word) = match gpu.verdict {
            GpuVerdict::Yes => (terminal.choose("✔", "+"), Role::Good, "can be passed through"),
            GpuVerdict::WithCare => ("!", Role::Change, "can be passed through, with care"),
            GpuVerdict::No => (terminal.choose("✘", "x"), Role::Bad, "cannot be passed through"),
            GpuVerdict::Unknown => ("?", Role::Caution, "nobody can tell"),
        };
        let known = gpu.known_as.as_deref().map(|name| format!(", {name} in the inventory")).unwrap_or_default();
        let head = format!("{} {} ({}){known}: ", gpu.address, one_line(&gpu.name), gpu.id);
        out.push_str(&wrap(
            &format!("{} {head}{}", terminal.paint(role, symbol), terminal.paint(role, word)),
            terminal.width,
            4,
        ));
        let mut line = |text: &str| out.push_str(&wrap(&format!("    {}", one_line(text)), terminal.width, 6));
        gpu.reasons.iter().for_each(|reason| line(reason));
        if full {
            if let Some(driver) = &gpu.driver {
                line(&format!("driver {driver}"));
            }
            if let Some(group) = gpu.group {
                line(&format!("IOMMU group {group}"));
            }
            if !gpu.companions.is_empty() {
                line(&format!("goes with it: {}", join_and(&gpu.companions)));
            }
            if !gpu.taken_along.is_empty() {
                line(&format!("PVE would take along: {}", join_and(&gpu.taken_along)));
            }
        }
        let wanted = full || matches!(gpu.verdict, GpuVerdict::Yes | GpuVerdict::WithCare);
        if wanted && !gpu.inventory.trim().is_empty() {
            line("for the inventory, below its host:");
            // As it is to be written: nothing of it may be wrapped.
            gpu.inventory.lines().for_each(|line| out.push_str(&format!("        {line}\n")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;

    use super::*;

    fn gpu(address: &str, group: u32) -> LockedGpu {
        LockedGpu {
            id: "10de:2684".parse().unwrap(),
            subsystem: None,
            address: address.parse().unwrap(),
            group: Some(group),
            serial: None,
        }
    }

    fn lock(kernel: &str, gpus: &[(&str, LockedGpu)]) -> HardwareLock {
        let gpus = gpus.iter().map(|(name, gpu)| (name.parse().unwrap(), gpu.clone())).collect();
        let host = LockedHost { kernel: Some(kernel.to_owned()), gpus, ..LockedHost::default() };
        HardwareLock { hosts: BTreeMap::from([("hq".parse().unwrap(), host)]), ..HardwareLock::default() }
    }

    #[test]
    fn what_changed_is_said_and_nothing_else() {
        let was = lock("6.8.12-9-pve", &[("aa", gpu("0000:01:00", 14)), ("bb", gpu("0000:02:00", 15))]);
        let now = lock("6.17.2-1-pve", &[("aa", gpu("0000:03:00", 16)), ("cc", gpu("0000:02:00", 15))]);
        let terminal = Terminal::plain();
        let lines = [
            "  hq: kernel 6.8.12-9-pve → 6.17.2-1-pve",
            "  hq: aa: 10de:2684 at 0000:01:00, group 14 → 10de:2684 at 0000:03:00, group 16",
            "  hq: bb: is gone",
            "  hq: cc: 10de:2684 at 0000:02:00, group 15",
        ];
        assert_eq!(hardware_text(&was, &now, &terminal).lines().collect::<Vec<_>>(), lines);
        assert_eq!(hardware_text(&now, &now, &terminal), "");
        let gone = hardware_text(&now, &HardwareLock::default(), &terminal);
        assert_eq!(gone, "  hq: is not in the inventory any more\n");
    }

    #[test]
    fn advice_says_what_to_write_where_it_can_be_passed() {
        let advice = GpuAdvice {
            address: "0000:01:00".parse().unwrap(),
            name: "GeForce RTX 4090".to_owned(),
            id: "10de:2684".parse().unwrap(),
            subsystem: None,
            known_as: None,
            verdict: GpuVerdict::WithCare,
            reasons: vec!["`nouveau` of the host holds it".to_owned()],
            companions: vec!["0000:01:00.1 audio".to_owned()],
            group: Some(14),
            taken_along: Vec::new(),
            boot_console: false,
            driver: Some("nouveau".to_owned()),
            inventory: "gpus:\n  gpu: { id: \"10de:2684\" }\n".to_owned(),
        };
        let terminal = Terminal::plain();
        assert_snapshot!(advice_text(std::slice::from_ref(&advice), false, &terminal), @r#"
        ! 0000:01:00 GeForce RTX 4090 (10de:2684): can be passed through, with care
            `nouveau` of the host holds it
            for the inventory, below its host:
                gpus:
                  gpu: { id: "10de:2684" }
        "#);
        let no = GpuAdvice { verdict: GpuVerdict::No, known_as: Some("old".to_owned()), ..advice };
        let text = advice_text(std::slice::from_ref(&no), false, &terminal.with_width(120));
        assert!(text.contains(", old in the inventory: cannot be passed through") && !text.contains("gpus:"), "{text}");
        assert!(advice_text(&[no], true, &terminal).contains("goes with it: 0000:01:00.1 audio"));
    }
}
