//! The initial RAM disk holds what is configured.

use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::model::machine::Directive;

/// See its texts.
pub const CHECK: Check = Check {
    id: "initramfs-stale",
    area: Area::System,
    severity: Severity::Warn,
    title: "the initial RAM disk is newer than what goes into it",
    needs: &["/boot", "/etc/modprobe.d", "/etc/initramfs-tools/modules"],
    why: "Files of `/etc/modprobe.d` and `/etc/initramfs-tools/modules` are copied into the initial RAM disk when it is \
          made. Drivers of disks and graphics cards are loaded from there, and so is ZFS where the root file system is on \
          it: a changed `options vfio-pci ids=…`, `blacklist` or `zfs_arc_max` has no effect until `update-initramfs` ran.",
    fix: "`update-initramfs -u -k all`, wait for its end, reboot.",
    mend: Some(Mend::Initramfs),
    sources: &["pve-docs qm-pci-passthrough.adoc", "pve-docs local-zfs.adoc", "initramfs-tools hooks"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let (kernel, kernels) = (all(&machine.kernel)?, all(&machine.kernels)?);
    let (config, modules) = (all(&machine.config)?, all(&machine.module_config)?);
    let release = kernel.release.as_str();
    let Some(made) = kernels.initramfs.get(release) else {
        return Err(NotRun::blind(format!("/boot holds no initial RAM disk of {release}, which runs")));
    };
    // a file of comments changes nothing
    let lines =
        modules.modprobe.iter().filter(|line| line.directive != Directive::Other).map(|line| (&line.file, &line.text));
    let lines = lines.chain(modules.initramfs.iter().map(|line| (&line.file, &line.text)));
    let newer = lines
        .filter_map(|(path, text)| Some((path, text, config.get(path)?.modified)))
        .filter(|(path, _, modified)| path.starts_with("/etc/") && *modified > made.modified)
        .max_by_key(|(_, _, modified)| *modified);
    let source = format!("/boot/initrd.img-{release}");
    let time =
        |seconds: i64| jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string());
    Ok(vec![match newer {
        None => Finding::pass("newer than every file that goes into it")
            .seen(source, format!("made {}", time(made.modified))),
        Some((path, text, modified)) => {
            Finding::warn(format!("`{path}` was changed after the initial RAM disk was made"))
                .seen(path, format!("changed {}: {text}", time(modified)))
                .seen(source, format!("made {}", time(made.modified)))
                .fix(Fix::prepare(Mend::Initramfs))
                .fix(Fix::run("update-initramfs -u -k all"))
        }
    }])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{NOW, Scene, known};
    use super::*;
    use crate::model::machine::ModprobeLine;

    #[test]
    fn only_a_line_that_says_something_makes_it_stale() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().config).files.get_mut("/etc/modprobe.d/zfs.conf").unwrap().modified = NOW;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().module_config).modprobe.push(ModprobeLine {
            directive: Directive::Blacklist { module: "nouveau".into() },
            text: "blacklist nouveau".into(),
            file: "/etc/modprobe.d/zfs.conf".into(),
            line: 1,
        });
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().config).files.get_mut("/etc/modprobe.d/zfs.conf").unwrap().modified = 0;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn without_one_of_the_running_kernel_nobody_can_tell() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().kernels).initramfs.clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
