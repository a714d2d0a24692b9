//! ZFS pools have room.

use super::amounts::bytes;
use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "pool-space",
    area: Area::Storage,
    severity: Severity::Fail,
    title: "ZFS pools have room, in large enough pieces",
    needs: &["zpool list"],
    why: "Above 80 % a pool gets slower with every write, as ZFS has to look for free space; above 96 % it searches so long \
          that guests time out, and the last 3 % are kept back and given to nobody, so that even deleting may fail. \
          Fragmentation is that of the *free* space: at 50 % large writes are split, which spinning disks feel most.",
    fix: "Remove snapshots that nobody needs (`zfs list -t snapshot -S used`), move volumes, add disks. Fragmentation goes only \
          with free space, or by copying the data to a new pool.",
    mend: None,
    sources: &["OpenZFS zpoolprops(7)", "OpenZFS spa_slop_shift"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let pools = all(&subject.machine().pools)?;
    if pools.is_empty() {
        return Err(NotRun::skipped("the host has no ZFS pool"));
    }
    let mut findings = Vec::new();
    for (name, pool) in pools {
        let fragmented = pool.fragmentation.filter(|percent| *percent >= 50);
        let free = format!("{} of {} are free", bytes(pool.free), bytes(pool.size));
        let finding = match (pool.capacity, fragmented) {
            // a pool that cannot be opened tells no size: its health is another check's
            _ if pool.size == 0 => Finding::blind("it tells no size"),
            (97.., _) => Finding::fail(format!("{} % full: {free}", pool.capacity)),
            (80.., _) => Finding::warn(format!("{} % full: {free}", pool.capacity)),
            (_, Some(percent)) => Finding::warn(format!("its free space is {percent} % fragmented: {free}")),
            _ => Finding::pass(free),
        };
        let frag = pool.fragmentation.map_or("-".to_owned(), |percent| percent.to_string());
        let finding = finding
            .about(name)
            .seen(format!("zpool list {name}"), format!("capacity {} %, fragmentation {frag} %", pool.capacity));
        findings.push(match finding.verdict {
            super::Verdict::Pass | super::Verdict::CouldNotRun => finding,
            _ => finding.fix(Fix::run(format!("zfs list -r -t snapshot -o name,used -S used {name}"))),
        });
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn full_and_fragmented_pools_are_told_apart() {
        for (capacity, fragmentation, verdict) in [
            (40, Some(10), Verdict::Pass),
            (79, None, Verdict::Pass),
            (80, Some(10), Verdict::Warn),
            (97, Some(10), Verdict::Fail),
            (40, Some(50), Verdict::Warn),
        ] {
            let mut scene = Scene::sound();
            let pool = known(&mut scene.machine().pools).get_mut("rpool").unwrap();
            (pool.capacity, pool.fragmentation) = (capacity, fragmentation);
            assert_eq!(scene.verdicts(&CHECK), [verdict], "{capacity} {fragmentation:?}");
        }
        let mut scene = Scene::sound();
        known(&mut scene.machine().pools).get_mut("rpool").unwrap().size = 0;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        known(&mut scene.machine().pools).clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
    }
}
