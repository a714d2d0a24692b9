//! The kernel that runs is the one that will boot next.

use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::model::machine::{Boot, CommandLines, Kernels, Loader, version_order};

/// See its texts.
pub const CHECK: Check = Check {
    id: "kernel-newest",
    area: Area::System,
    severity: Severity::Warn,
    title: "the kernel that runs is the one that the next boot starts",
    needs: &["uname -r", "/boot", "/etc/kernel/proxmox-boot-pin", "/boot/grub/grub.cfg"],
    why: "A kernel upgrade takes effect with the next boot, often weeks later and at a bad time: 6.8 switched the IOMMU of \
          Intel on by itself, 6.17 broke patched vGPU drivers, and devices have changed their IOMMU groups. A pinned kernel \
          stays for good, and with it its security holes. A host that runs Debian's own kernel lacks what Proxmox VE \
          expects of it (ZFS, AppArmor rules of containers).",
    fix: "Reboot when it suits you, or try the new kernel once: `proxmox-boot-tool kernel pin VERSION --next-boot`. A pin \
          is removed with `proxmox-boot-tool kernel unpin`.",
    mend: Some(Mend::Reboot),
    sources: &["pve-docs system-booting.adoc", "proxmox-kernel-helper functions"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let (kernel, boot, kernels) = (all(&machine.kernel)?, all(&machine.boot)?, all(&machine.kernels)?);
    let running = kernel.release.as_str();
    let Some(newest) = newest(kernels) else {
        return Err(NotRun::blind("no kernel is in /boot"));
    };
    let lines = machine.command_lines.value();
    let next = next(boot, kernels, lines).unwrap_or(newest);
    let seen =
        |finding: Finding| finding.seen("uname -r", running).seen("ls /boot/vmlinuz-*", format!("newest: {newest}"));
    let mut findings = Vec::new();
    if !running.ends_with("-pve") {
        let what = format!("{running} is no kernel of Proxmox's");
        let fix = Fix::run("apt install proxmox-default-kernel && reboot");
        findings.push(seen(Finding::warn(what)).fix(fix));
    }
    if let Some(pin) = boot.pin() {
        let unpin = Fix::run("proxmox-boot-tool kernel unpin");
        let file = if boot.next_boot.is_some() { "/etc/kernel/next-boot-pin" } else { "/etc/kernel/proxmox-boot-pin" };
        if !kernels.images.contains_key(pin) {
            let what = format!("{pin} is pinned and not installed: the loader starts another one");
            findings.push(seen(Finding::warn(what)).seen(file, pin).fix(unpin));
            return Ok(findings);
        }
        if version_order(pin, newest).is_lt() {
            let once = if boot.next_boot.is_some() { " for the next boot" } else { "" };
            findings.push(
                seen(Finding::warn(format!("{pin} is pinned{once}; {newest} is installed"))).seen(file, pin).fix(unpin),
            );
        }
    }
    if running != next {
        let what = format!("the next boot starts {next}, and {running} runs");
        findings.push(seen(Finding::warn(what)).fix(Fix::prepare(Mend::Reboot)));
    }
    if findings.is_empty() {
        findings.push(seen(Finding::pass(format!("{running} runs, and the next boot starts it again"))));
    }
    Ok(findings)
}

/// The newest of Proxmox's kernels, as its tool sorts them; of all where there is none.
fn newest(kernels: &Kernels) -> Option<&str> {
    let ours = kernels.images.keys().map(String::as_str).filter(|release| release.ends_with("-pve"));
    ours.max_by(|a, b| version_order(a, b)).or_else(|| kernels.newest())
}

/// What the loader says that it starts, where it can be looked at.
fn next<'a>(boot: &'a Boot, kernels: &Kernels, lines: Option<&'a CommandLines>) -> Option<&'a str> {
    if let Some(pin) = boot.pin().filter(|pin| kernels.images.contains_key(*pin)) {
        return Some(pin);
    }
    let lines = lines.filter(|_| boot.loader == Some(Loader::Grub) && boot.esps.is_empty())?;
    let first = lines.grub.as_ref()?.default.as_deref().is_none_or(|default| default == "0");
    lines.grub_entries.as_ref()?.first().filter(|_| first)?.release()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;
    use crate::model::machine::BootFile;

    #[test]
    fn a_newer_kernel_waits_for_a_boot() {
        let mut scene = Scene::systemd_boot();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().kernels).images.insert("6.17.13-2-pve".into(), BootFile::default());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("the next boot starts 6.17.13-2-pve"));
    }

    #[test]
    fn grub_starts_what_stands_first_in_its_menu() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().kernels).images.insert("6.12.117+deb13-amd64".into(), BootFile::default());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().command_lines).grub_entries.as_mut().unwrap()[0].kernel =
            "/boot/vmlinuz-6.14.11-4-pve".into();
        assert!(scene.said(&CHECK).contains("the next boot starts 6.14.11-4-pve"));
    }

    #[test]
    fn a_pin_is_told_and_one_that_is_not_installed_too() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().boot).pinned = Some("6.14.11-4-pve".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn, Verdict::Warn]);
        known(&mut scene.machine().kernel).release = "6.14.11-4-pve".into();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().boot).pinned = Some("6.5.1-1-pve".into());
        assert!(scene.said(&CHECK).contains("not installed"));
        // a pin to the newest is none that matters
        let mut scene = Scene::sound();
        known(&mut scene.machine().boot).pinned = Some(super::super::machine_scene::RELEASE.into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn a_kernel_of_debian_is_none_of_proxmox() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().kernel).release = "6.12.117+deb13-amd64".into();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn, Verdict::Warn]);
        scene.machine().kernels = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
