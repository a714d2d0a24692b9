//! The kernel's command line is what is configured.

use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::model::machine::{Boot, CommandLines, ConfigFiles, Kernel, Loader};

/// See its texts.
pub const CHECK: Check = Check {
    id: "command-line",
    area: Area::System,
    severity: Severity::Warn,
    title: "the kernel runs with the command line that is configured",
    needs: &["/proc/cmdline", "/etc/default/grub", "/etc/kernel/cmdline", "/boot/grub/grub.cfg"],
    why: "A parameter takes three steps to become active, and each is forgotten: it must stand in the file that the boot \
          loader's menu is made from (`/etc/default/grub` for GRUB, the *first* line of `/etc/kernel/cmdline` for \
          systemd-boot), the menu must be made anew (`update-grub`, or `proxmox-boot-tool refresh` where that tool fills \
          the EFI system partitions), and the host must be rebooted. Guides name GRUB's file, hosts with ZFS on UEFI read \
          the other: the edit stays without effect and without an error. Where the EFI system partitions are filled by \
          `proxmox-boot-tool`, they are not mounted and cannot be looked at; then the time of the edit is held against the \
          time of the boot.",
    fix: "Put the parameter into the loader's file, refresh the loader, reboot. `infra prepare` does this for what the \
          inventory declares.",
    mend: Some(Mend::KernelCommandLine),
    sources: &["pve-docs system-booting.adoc", "proxmox-kernel-helper zz-proxmox-boot", "grub-mkconfig 10_linux"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let (kernel, boot) = (all(&machine.kernel)?, all(&machine.boot)?);
    let (lines, config) = (all(&machine.command_lines)?, all(&machine.config)?);
    let Some(loader) = boot.loader else {
        return Err(NotRun::blind("which boot loader it is is not known: see `boot-loader`"));
    };
    let mut findings: Vec<Finding> = wrong_place(kernel, lines, loader).into_iter().collect();
    findings.extend(unreadable(boot, config, loader));
    findings.extend(behind(kernel, boot, lines, config, loader)?);
    if findings.is_empty() {
        findings.push(
            Finding::pass(format!("what `{}` says is active", loader.command_line_file()))
                .seen("/proc/cmdline", kernel.command_line.join(" ")),
        );
    }
    Ok(findings)
}

/// What a file configures for its loader; `None` without that file.
fn configured(lines: &CommandLines, loader: Loader) -> Option<Vec<&str>> {
    match loader {
        Loader::Grub => lines.grub.as_ref().map(|grub| grub.words()),
        Loader::SystemdBoot => lines.kernel.as_ref().map(|words| words.iter().map(String::as_str).collect()),
    }
}

/// Words that a loader or the installer puts there, and nobody who wants an effect.
fn is_usual(word: &str) -> bool {
    let names = ["BOOT_IMAGE", "initrd", "root", "boot", "console", "rootdelay"];
    matches!(word, "quiet" | "splash" | "ro" | "rw" | "single")
        || word.split_once('=').is_some_and(|(name, _)| names.contains(&name))
}

fn wrong_place(kernel: &Kernel, lines: &CommandLines, loader: Loader) -> Option<Finding> {
    let other = match loader {
        Loader::Grub => Loader::SystemdBoot,
        Loader::SystemdBoot => Loader::Grub,
    };
    let right = configured(lines, loader).unwrap_or_default();
    let misplaced: Vec<&str> = configured(lines, other)?
        .into_iter()
        .filter(|word| !is_usual(word) && !right.contains(word) && !kernel.command_line.iter().any(|w| w == word))
        .collect();
    if misplaced.is_empty() {
        return None;
    }
    let (words, here, there) = (misplaced.join(" "), loader.command_line_file(), other.command_line_file());
    let what = format!("`{words}` stands in `{there}`, which {} does not read", loader.as_str());
    let mut finding = Finding::warn(what).seen(there, &words).seen("/proc/cmdline", kernel.command_line.join(" "));
    finding = finding.fix(Fix::prepare(Mend::KernelCommandLine));
    Some(finding.fix(Fix::by_hand(format!("move it to `{here}`, refresh the loader and reboot"))))
}

/// What `proxmox-boot-tool` makes nothing of: lines after the first, and a command line without `root=`.
fn unreadable(boot: &Boot, config: &ConfigFiles, loader: Loader) -> Option<Finding> {
    const FILE: &str = "/etc/kernel/cmdline";
    let text = config.content(FILE).filter(|_| !boot.esps.is_empty())?;
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if !first.contains("root=") {
        return Some(
            Finding::warn(format!("the first line of `{FILE}` has no `root=`: `proxmox-boot-tool refresh` refuses it"))
                .seen(FILE, if first.is_empty() { "(empty)" } else { first })
                .fix(Fix::by_hand(format!("write the whole command line into the first line of `{FILE}`"))),
        );
    }
    let more = lines.find(|line| !line.trim().is_empty() && loader == Loader::SystemdBoot)?;
    Some(
        Finding::warn(format!("`{FILE}` has a second line, which is not read"))
            .seen(FILE, more)
            .fix(Fix::by_hand("put its words into the first line, refresh the loader and reboot")),
    )
}

fn behind(
    kernel: &Kernel,
    boot: &Boot,
    lines: &CommandLines,
    config: &ConfigFiles,
    loader: Loader,
) -> Result<Option<Finding>, NotRun> {
    if let Some(why) = lines.grub.as_ref().filter(|_| loader == Loader::Grub).and_then(|grub| grub.unclear.as_ref()) {
        return Err(NotRun::blind(format!("{why}: what it makes of the command line only a shell can tell")));
    }
    let file = loader.command_line_file();
    let Some(wanted) = configured(lines, loader) else {
        return Err(NotRun::blind(format!("`{file}` is not there, which {} is set up with", loader.as_str())));
    };
    let running: Vec<&str> = kernel.command_line.iter().map(String::as_str).collect();
    let missing: Vec<&str> = wanted.iter().copied().filter(|word| !running.contains(word)).collect();
    let left: Vec<&str> = running.iter().copied().filter(|word| !is_usual(word) && !wanted.contains(word)).collect();
    if missing.is_empty() && left.is_empty() {
        return Ok(None);
    }
    let what = match (missing.is_empty(), left.is_empty()) {
        (false, _) => format!("`{}` is configured", missing.join(" ")),
        (true, _) => format!("`{}` is active and not configured any more", left.join(" ")),
    };
    let refresh = boot.refresh().map(|argv| argv.join(" "));
    let reboot = Fix::prepare(Mend::Reboot);
    let refreshed = match boot.esps.is_empty().then_some(lines.grub_entries.as_ref()).flatten().and_then(|e| e.first())
    {
        // GRUB's own menu tells whether it knows
        Some(entry) => {
            let has = |word: &&str| entry.options.iter().any(|option| option == word);
            Some(missing.iter().all(has) && !left.iter().any(has))
        }
        // the partitions are not mounted: an edit from before the boot was there to be taken
        None => {
            let edited = newest_edit(config, lines, loader).unwrap_or(i64::MAX);
            (edited.saturating_add(SLACK) < boot.booted_at).then_some(false)
        }
    };
    let mut finding = match refreshed {
        Some(true) => Finding::warn(format!("{what}, and the host was not rebooted since")).fix(reboot),
        Some(false) => {
            let command = refresh.unwrap_or_else(|| "proxmox-boot-tool refresh".to_owned());
            let finding = Finding::warn(format!("{what}, and the boot loader was not told: `{command}` did not run"));
            finding.fix(Fix::run(command)).fix(reboot)
        }
        None => {
            let finding = Finding::warn(format!("{what} since the last boot"));
            match refresh {
                Some(command) => finding.fix(Fix::run(command)).fix(reboot),
                None => finding.fix(reboot),
            }
        }
    };
    finding = finding.seen(file, wanted.join(" ")).seen("/proc/cmdline", running.join(" "));
    Ok(Some(finding))
}

/// How far the time of a boot may be off: a firmware's clock is set right only afterwards.
const SLACK: i64 = 120;

fn newest_edit(config: &ConfigFiles, lines: &CommandLines, loader: Loader) -> Option<i64> {
    let modified = |path: &str| config.get(path).map(|file| file.modified);
    match loader {
        Loader::SystemdBoot => modified(loader.command_line_file()),
        Loader::Grub => lines.grub.as_ref()?.set_in.iter().filter_map(|path| modified(path)).max(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{NOW, Scene, known, words};
    use super::*;
    use crate::model::observed::Fact;

    #[test]
    fn what_is_configured_and_active_passes_for_either_loader() {
        assert_eq!(Scene::sound().verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(Scene::systemd_boot().verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn an_edit_of_the_other_loaders_file_is_in_the_wrong_place() {
        let mut scene = Scene::systemd_boot();
        known(&mut scene.machine().command_lines).grub.as_mut().unwrap().linux_default = words("quiet iommu=pt");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("`iommu=pt` stands in `/etc/default/grub`, which systemd-boot"));
        let mut scene = Scene::sound();
        known(&mut scene.machine().command_lines).kernel = Some(words("root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt"));
        assert!(scene.said(&CHECK).contains("which GRUB does not read"));
        // what stands in both places is in the right one too
        let mut scene = Scene::systemd_boot();
        known(&mut scene.machine().command_lines).grub.as_mut().unwrap().linux_default = words("quiet intel_iommu=on");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn grub_tells_what_was_not_refreshed_from_what_was_not_rebooted() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().command_lines).grub.as_mut().unwrap().linux_default =
            words("quiet intel_iommu=on iommu=pt");
        assert!(scene.said(&CHECK).contains("`update-grub` did not run"), "{}", scene.said(&CHECK));
        known(&mut scene.machine().command_lines).grub_entries.as_mut().unwrap()[0].options.push("iommu=pt".into());
        assert!(scene.said(&CHECK).contains("not rebooted since"));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
    }

    #[test]
    fn on_unmounted_partitions_the_time_of_the_edit_tells() {
        let mut scene = Scene::systemd_boot();
        known(&mut scene.machine().command_lines).kernel.as_mut().unwrap().push("iommu=pt".into());
        assert!(scene.said(&CHECK).contains("`proxmox-boot-tool refresh` did not run"));
        let files = &mut known(&mut scene.machine().config).files;
        files.get_mut("/etc/kernel/cmdline").unwrap().modified = NOW - 60;
        assert!(scene.said(&CHECK).contains("is configured since the last boot"));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
    }

    #[test]
    fn only_the_first_line_is_read_and_it_needs_its_root() {
        let mut scene = Scene::systemd_boot();
        let mut set = |text: &str| {
            let files = &mut known(&mut scene.machine().config).files;
            files.get_mut("/etc/kernel/cmdline").unwrap().content = text.to_owned();
            (scene.verdicts(&CHECK), scene.said(&CHECK))
        };
        assert_eq!(set("root=ZFS=rpool/ROOT/pve-1 boot=zfs\n\n").0, [Verdict::Pass]);
        let (verdicts, said) = set("root=ZFS=rpool/ROOT/pve-1 boot=zfs\nintel_iommu=on\n");
        assert!(verdicts == [Verdict::Warn] && said.contains("second line"), "{said}");
        let (verdicts, said) = set("intel_iommu=on\n");
        assert!(verdicts == [Verdict::Warn] && said.contains("no `root=`"), "{said}");
    }

    #[test]
    fn a_parameter_that_was_taken_out_is_still_active() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().kernel).command_line.push("nomodeset".into());
        assert!(scene.said(&CHECK).contains("`nomodeset` is active and not configured any more"));
    }

    #[test]
    fn what_is_unclear_is_not_judged() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().command_lines).grub.as_mut().unwrap().unclear = Some("a command".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        let mut scene = Scene::sound();
        known(&mut scene.machine().boot).loader = None;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
        let mut scene = Scene::sound();
        scene.machine().config = Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
