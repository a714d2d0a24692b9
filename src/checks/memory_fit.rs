//! Guests, ZFS's cache and the host fit into its memory.

use super::amounts::bytes;
use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::blueprint::{Guest, GuestShape, PowerState};
use crate::model::machine::Memory;
use crate::model::observed::Power;
use crate::model::{Addr, Kind};

/// See its texts.
pub const CHECK: Check = Check {
    id: "memory-fit",
    area: Area::Storage,
    severity: Severity::Fail,
    title: "guests, ZFS's cache and the host fit into its memory",
    needs: &["/proc/meminfo", "/proc/spl/kstat/zfs/arcstats", "GET /cluster/resources"],
    why: "A device that is passed through can reach all memory of its VM, so QEMU pins all of it when the VM starts: nothing \
          is swapped, shared or ballooned. ZFS's cache (ARC) gives memory back, but slowly, and counts as taken in \
          `MemAvailable`: a VM that would fit ends with `got timeout` or `cannot allocate memory`. PVE waits 30 s for a start, \
          or 1 s per GiB above 30 GiB, four times that with a passed-through device. Memory of other guests may be promised \
          twice; that works until they use it, and then the kernel kills one of them.",
    fix: "Give guests less memory, limit the ARC (`infra prepare`, `arc:` of the host), or stop guests that need not run.",
    mend: Some(Mend::ArcLimit),
    sources: &["qemu-server QemuServer/Helpers.pm", "QEMU commit 238e917285", "pve-docs local-zfs.adoc"],
    judge,
};

/// What Proxmox VE itself and its caches take, unless the inventory says otherwise (pve-docs: 2 GB for the system).
const RESERVE: u64 = 2 << 30;

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let memory = all(&subject.machine().memory)?;
    let total = memory.total.saturating_sub(memory.huge_pages);
    let ours: Vec<&Guest> = subject.guests().filter(|guest| guest.power == PowerState::Running).collect();
    let pinning: Vec<&Guest> = ours.iter().copied().filter(|guest| pins(guest)).collect();
    let pinned: u64 = pinning.iter().map(|guest| guest.memory.as_bytes()).sum();
    let addrs = || pinning.iter().map(|guest| Addr::new(Kind::Vm, guest.name.as_str()));
    let source = "/proc/meminfo";
    let has = |finding: Finding| finding.seen(source, format!("MemTotal {}", bytes(memory.total)));
    if pinned > total {
        let what = format!("VMs with passthrough pin {}, and there is {}", bytes(pinned), bytes(total));
        let less = Fix::by_hand("give these VMs less `memory`, or let one of them be `state: stopped`");
        return Ok(vec![has(Finding::fail(what)).fix(less).concerns(addrs())]);
    }
    let mut findings: Vec<Finding> = pinning.iter().filter_map(|guest| start(subject, memory, guest)).collect();
    let (others, unseen) = others(subject);
    let promised = ours.iter().map(|guest| guest.memory.as_bytes()).sum::<u64>().saturating_add(others);
    let (arc, floor) = memory.arc.map_or((0, 0), |arc| (arc.limit, arc.floor));
    let reserve = subject.host.system.reserve.map_or(RESERVE, |reserve| reserve.as_bytes());
    let parts = format!("guests {}, ZFS's cache up to {}, host {}", bytes(promised), bytes(arc), bytes(reserve));
    let sum = |arc: u64| promised.saturating_add(arc).saturating_add(reserve);
    if sum(floor) > total {
        let what = format!("more is promised than there is: {parts}, and there is {}", bytes(total));
        findings.push(has(Finding::warn(what)).fix(Fix::by_hand("give guests less `memory`, or stop some")));
    } else if sum(arc) > total {
        let room = total.saturating_sub(sum(0));
        let what = format!(
            "it fits only while ZFS's cache stays below {}: {parts}, and there is {}",
            bytes(room),
            bytes(total)
        );
        let finding = has(Finding::warn(what)).seen("/proc/spl/kstat/zfs/arcstats", format!("c_max {arc}"));
        findings.push(finding.fix(Fix::prepare(Mend::ArcLimit)));
    }
    if findings.is_empty() {
        if let Some(why) = unseen {
            return Err(NotRun::blind(format!("which other guests run is not known: {why}")));
        }
        findings.push(has(Finding::pass(format!("{parts}; there is {}", bytes(total)))));
    }
    Ok(findings)
}

fn pins(guest: &Guest) -> bool {
    matches!(&guest.shape, GuestShape::Vm(vm) if !vm.gpus.is_empty())
}

/// What stands in the way of starting a VM now whose memory is pinned.
fn start(subject: &Subject<'_>, memory: &Memory, guest: &Guest) -> Option<Finding> {
    let listed = subject.site().guests.value().and_then(|guests| guests.get(&guest.vmid));
    if listed.is_some_and(|listed| listed.status != Power::Stopped) {
        return None;
    }
    let need = guest.memory.as_bytes();
    let given_back = memory.arc.map_or(0, |arc| arc.size.saturating_sub(arc.floor));
    let at_most = memory.available.saturating_add(given_back).saturating_add(memory.swap);
    let seen = |finding: Finding| {
        let finding = finding.about(guest.name.as_str()).concerns([Addr::new(Kind::Vm, guest.name.as_str())]);
        let finding = finding.seen("/proc/meminfo", format!("MemAvailable {}", bytes(memory.available)));
        match memory.arc {
            Some(arc) => {
                finding.seen("/proc/spl/kstat/zfs/arcstats", format!("size {}, c_min {}", arc.size, arc.floor))
            }
            None => finding,
        }
    };
    if need > at_most {
        let what =
            format!("it pins {} when it starts, and no more than {} can be had now", bytes(need), bytes(at_most));
        return Some(seen(Finding::fail(what)).fix(Fix::by_hand("stop other guests before it is started")));
    }
    if need > memory.available {
        let what = format!("it pins {} when it starts: ZFS's cache or swap must give way first", bytes(need));
        return Some(
            seen(Finding::warn(what)).fix(Fix::prepare(Mend::ArcLimit)).fix(Fix::by_hand("stop other guests first")),
        );
    }
    None
}

/// Memory of guests that run and are none of this inventory, and why that is perhaps not all.
fn others<'a>(subject: &Subject<'a>) -> (u64, Option<&'a str>) {
    let known: Vec<_> = subject.blueprint.guests.values().map(|guest| guest.vmid).collect();
    let guests = &subject.site().guests;
    let here = guests.value().into_iter().flatten().filter(|(vmid, guest)| {
        !known.contains(vmid) && guest.node == subject.host.node && guest.status == Power::Running
    });
    (here.filter_map(|(_, guest)| guest.memory).sum(), guests.why())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;
    use crate::model::Size;
    use crate::model::observed::{Fact, GuestKind, GuestListing};

    const GIB: u64 = 1 << 30;

    fn other(scene: &mut Scene, vmid: u32, gib: u64, status: Power) {
        let listing = GuestListing {
            kind: GuestKind::Qemu,
            node: "hq".parse().unwrap(),
            name: None,
            status,
            tags: Vec::new(),
            pool: None,
            lock: None,
            template: false,
            memory: Some(gib * GIB),
        };
        known(&mut scene.site().guests).insert(vmid.try_into().unwrap(), listing);
    }

    #[test]
    fn what_fits_passes_and_what_is_promised_twice_warns() {
        // 36 GiB of ours, 6 of the cache, 2 of the host, of 64
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        other(&mut scene, 900, 21, Power::Running);
        assert!(scene.said(&CHECK).contains("only while ZFS's cache stays below 5.0 GiB"), "{}", scene.said(&CHECK));
        other(&mut scene, 901, 8, Power::Stopped);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        other(&mut scene, 901, 8, Power::Running);
        assert!(scene.said(&CHECK).contains("more is promised"));
    }

    #[test]
    fn a_vm_that_pins_must_find_its_memory_now() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().memory).available = 31 * GIB;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().memory).available = 20 * GIB;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        assert!(scene.said(&CHECK).contains("MemAvailable 20.0 GiB"));
        // it runs: its memory is what is missing
        other(&mut scene, 100, 32, Power::Running);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn more_than_there_is_can_never_be_pinned() {
        let mut scene = Scene::sound();
        let guest = scene.blueprint.guests.get_mut(&"plan-hq".parse().unwrap()).unwrap();
        guest.memory = Size::gib(64);
        known(&mut scene.machine().memory).huge_pages = GIB;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
    }

    #[test]
    fn without_seeing_all_guests_nothing_passes() {
        let mut scene = Scene::sound();
        scene.site().guests = Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        let mut scene = Scene::sound();
        scene.machine().memory = Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
