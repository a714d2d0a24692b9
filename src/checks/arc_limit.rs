//! The limit of ZFS's cache that is configured is the one that is active.

use super::amounts::bytes;
use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "arc-limit",
    area: Area::Storage,
    severity: Severity::Warn,
    title: "the limit of ZFS's cache that is configured is the one that is active",
    needs: &["/proc/spl/kstat/zfs/arcstats", "/sys/module/zfs/parameters/zfs_arc_max", "/etc/modprobe.d"],
    why: "Without a limit ZFS's cache (ARC) takes half of the memory, with ZFS 2.3 nearly all of it; installers since PVE 8.1 \
          set 10 %, at most 16 GiB, in `/etc/modprobe.d/zfs.conf`. That file is read when the module is loaded: with the root \
          file system on ZFS from the initial RAM disk, so that a new limit needs `update-initramfs` and a reboot. ZFS \
          ignores a `zfs_arc_max` that is not above `zfs_arc_min`, which is 1/32 of the memory unless set.",
    fix: "`options zfs zfs_arc_max=BYTES` in `/etc/modprobe.d/zfs.conf`, then `update-initramfs -u -k all`; for now also \
          `echo BYTES > /sys/module/zfs/parameters/zfs_arc_max`.",
    mend: Some(Mend::ArcLimit),
    sources: &["pve-docs local-zfs.adoc", "OpenZFS module parameters"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let memory = all(&machine.memory)?;
    let Some(arc) = memory.arc else {
        return Err(NotRun::skipped("the host does not use ZFS"));
    };
    let modules = all(&machine.module_config)?;
    let parameter = "/sys/module/zfs/parameters/zfs_arc_max";
    let stats = |finding: Finding| {
        let finding = finding.seen("/proc/spl/kstat/zfs/arcstats", format!("c_max {}", arc.limit));
        finding.seen(parameter, arc.parameter.to_string())
    };
    let prepare = || Fix::prepare(Mend::ArcLimit);
    let refresh = || Fix::run("update-initramfs -u -k all");
    let (limit, most) = (bytes(arc.limit), bytes(memory.total));
    if arc.parameter != 0 && arc.parameter != arc.limit {
        let what = format!("{} is asked for, and ZFS does not take it: the limit is {limit}", bytes(arc.parameter));
        return Ok(vec![
            stats(Finding::warn(what))
                .seen("/proc/spl/kstat/zfs/arcstats", format!("c_min {}", arc.floor))
                .fix(Fix::by_hand("set `zfs_arc_min` below it as well"))
                .fix(prepare()),
        ]);
    }
    let configured = modules.option("zfs", "zfs_arc_max");
    Ok(vec![match configured.map(|(value, line)| (value.parse::<u64>(), line)) {
        Some((Ok(value), line)) if value == arc.parameter => {
            stats(Finding::pass(format!("{limit} of {most}"))).seen(format!("{}:{}", line.file, line.line), &line.text)
        }
        Some((Ok(value), line)) => {
            let what = format!("{} is configured and not active: the limit is {limit}", bytes(value));
            stats(Finding::warn(what))
                .seen(format!("{}:{}", line.file, line.line), &line.text)
                .fix(prepare())
                .fix(refresh())
        }
        Some((Err(_), line)) => {
            Finding::warn("what is configured is no number of bytes, and the module takes it for none")
                .seen(format!("{}:{}", line.file, line.line), &line.text)
                .fix(prepare())
        }
        None if arc.parameter != 0 => {
            stats(Finding::warn(format!("{limit} is set until the next boot, and not configured"))).fix(prepare())
        }
        None => stats(Finding::pass(format!("none is configured: ZFS takes up to {limit} of {most}"))),
    }])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;
    use crate::model::machine::{Directive, ModprobeLine};

    fn configured(scene: &mut Scene, value: &str) {
        let parameters = vec![("zfs_arc_max".to_owned(), value.to_owned())];
        known(&mut scene.machine().module_config).modprobe = vec![ModprobeLine {
            directive: Directive::Options { module: "zfs".into(), parameters },
            text: format!("options zfs zfs_arc_max={value}"),
            file: "/etc/modprobe.d/zfs.conf".into(),
            line: 1,
        }];
    }

    #[test]
    fn configured_active_and_taken_are_three_things() {
        let mut scene = Scene::sound();
        // set by hand, gone after the next boot
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        configured(&mut scene, "6442450944");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        configured(&mut scene, "8589934592");
        assert!(scene.said(&CHECK).contains("8.0 GiB is configured and not active"));
        configured(&mut scene, "8G");
        assert!(scene.said(&CHECK).contains("no number"));
        known(&mut scene.machine().memory).arc.as_mut().unwrap().parameter = 1 << 30;
        assert!(scene.said(&CHECK).contains("does not take it"));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
    }

    #[test]
    fn no_limit_is_an_answer_and_no_zfs_is_none() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().memory).arc.as_mut().unwrap().parameter = 0;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().memory).arc = None;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
        scene.machine().memory = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
