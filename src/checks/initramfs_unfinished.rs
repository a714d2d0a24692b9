//! Every initial RAM disk is finished.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "initramfs-unfinished",
    area: Area::System,
    severity: Severity::Fail,
    title: "every initial RAM disk is there and finished",
    needs: &["/boot", "pgrep"],
    why: "`update-initramfs` takes a minute or two and writes `initrd.img-VERSION.new`, which it renames at its end. A \
          reboot in between leaves that file behind, often with 0 bytes, and boots the old one: the change that it was \
          made for is not active, and nothing says so. A kernel without any initial RAM disk does not boot from LVM or ZFS.",
    fix: "Wait while it is being written. Of one that was not finished, run `update-initramfs -u -k VERSION` again.",
    mend: Some(super::Mend::Initramfs),
    sources: &["observed on Debian 13 with initramfs-tools 0.148", "proxmox-kernel-helper zz-proxmox-boot"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let kernels = all(&subject.machine().kernels)?;
    if let Some(writer) = kernels.writers.first() {
        let finding =
            Finding::warn("an initial RAM disk is being written: a reboot now would lose it").seen("pgrep -fa", writer);
        return Ok(vec![finding.fix(Fix::by_hand("wait until it has ended"))]);
    }
    let mut findings = Vec::new();
    for (release, file) in &kernels.unfinished {
        let path = format!("/boot/initrd.img-{release}.new");
        let finding = Finding::warn(format!("the initial RAM disk of {release} was not finished"))
            .about(release)
            .seen(path, format!("{} bytes, and nobody writes it", file.size));
        findings.push(
            finding
                .fix(Fix::prepare(super::Mend::Initramfs))
                .fix(Fix::run(format!("update-initramfs -u -k {release}"))),
        );
    }
    for release in kernels.images.keys() {
        let problem = match kernels.initramfs.get(release) {
            None => "there is none",
            Some(file) if file.size == 0 => "it has 0 bytes",
            Some(_) => continue,
        };
        // only the kernel that boots next takes the host down with it
        let newest = kernels.newest() == Some(release.as_str());
        let what = format!("{release} has no initial RAM disk");
        let finding = if newest { Finding::fail(what) } else { Finding::warn(what) };
        let finding = finding.about(release).seen(format!("/boot/initrd.img-{release}"), problem);
        findings.push(finding.fix(Fix::run(format!("update-initramfs -c -k {release}"))));
    }
    if findings.is_empty() {
        let count = kernels.initramfs.len();
        findings.push(
            Finding::pass(format!("{count} initial RAM disks, all finished"))
                .seen("ls /boot/initrd.img-*", format!("{count}")),
        );
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{RELEASE, Scene, known};
    use super::*;
    use crate::model::machine::BootFile;

    #[test]
    fn one_that_is_being_written_is_told_from_one_that_was_left() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().kernels).unfinished.insert(RELEASE.into(), BootFile::default());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("was not finished"));
        known(&mut scene.machine().kernels).writers.push("7 /bin/sh /usr/sbin/update-initramfs -u".into());
        assert!(scene.said(&CHECK).contains("being written"));
        scene.machine().kernels = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }

    #[test]
    fn only_the_kernel_that_boots_next_fails_without_one() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().kernels).initramfs.remove("6.14.11-4-pve");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().kernels).initramfs.get_mut(RELEASE).unwrap().size = 0;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn, Verdict::Fail]);
    }
}
