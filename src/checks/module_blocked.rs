//! No module is both wanted and kept out.

use std::collections::BTreeSet;

use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "module-blocked",
    area: Area::System,
    severity: Severity::Fail,
    title: "no module that is wanted is kept out by `modprobe.d`",
    needs: &["/etc/modprobe.d", "/etc/modules", "/etc/modules-load.d"],
    why: "`install vfio-pci /bin/false` (also `/bin/true`) keeps a module out for good: PVE loads `vfio-pci` when a VM with \
          a passed-through device starts, and ends with `Cannot find vfio-pci module!`. `blacklist` only stops loading by \
          a device's id; but `systemd-modules-load` honours it, so that a module that stands in `/etc/modules` and is \
          blacklisted as well is not loaded at boot, with no more than a line in the journal.",
    fix: "Remove one of both lines, make the initial RAM disk anew and reboot.",
    mend: Some(Mend::Modprobe),
    sources: &["pve-common SysFSTools.pm", "modprobe.d(5)", "systemd-modules-load.service(8)"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let config = all(&subject.machine().module_config)?;
    let users: Vec<_> = subject.passed_gpus().flat_map(|(_, _, users)| users).collect();
    let mut findings = Vec::new();
    let at = |file: &str, line: usize| format!("{file}:{line}");
    if !users.is_empty() {
        for module in ["vfio", "vfio_iommu_type1", "vfio_pci"] {
            if let Some(line) = config.disabled(module) {
                findings.push(
                    Finding::fail(format!("`{module}` can never be loaded, and passing a GPU through needs it"))
                        .about(module)
                        .seen(at(&line.file, line.line), &line.text)
                        .fix(Fix::by_hand(format!("remove the line from {}", line.file)))
                        .concerns(users.clone()),
                );
            }
        }
    }
    let mut told = BTreeSet::new();
    for wanted in &config.load {
        let module = wanted.module.as_str();
        let failed = findings.iter().any(|finding| finding.object.as_deref() == Some(module));
        let Some(line) = config.disabled(module).or_else(|| config.blacklisted(module)).filter(|_| !failed) else {
            continue;
        };
        if told.insert(module) {
            findings.push(
                Finding::warn(format!("`{module}` is listed to be loaded at boot, and kept out of it"))
                    .about(module)
                    .seen(at(&wanted.file, wanted.line), &wanted.text)
                    .seen(at(&line.file, line.line), &line.text)
                    .fix(Fix::by_hand("remove one of both lines")),
            );
        }
    }
    if findings.is_empty() {
        let (listed, lines) = (config.load.len(), config.modprobe.len());
        findings.push(
            Finding::pass("nothing that is wanted is kept out")
                .seen("modules-load.d, modprobe.d", format!("{listed} modules are listed, {lines} lines say how")),
        );
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;
    use crate::model::machine::{Directive, ModprobeLine, ModuleLine};

    fn line(directive: Directive) -> ModprobeLine {
        ModprobeLine { directive, text: "a line".into(), file: "/etc/modprobe.d/x.conf".into(), line: 2 }
    }

    #[test]
    fn a_vfio_that_cannot_be_loaded_fails_only_where_a_gpu_is_passed() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        let install = Directive::Install { module: "vfio_pci".into(), command: "/bin/false".into() };
        known(&mut scene.machine().module_config).modprobe.push(line(install));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        assert!(scene.said(&CHECK).contains("plan-hq"));
        scene.vm().gpus.clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn a_listed_module_that_is_blacklisted_is_not_loaded() {
        let mut scene = Scene::sound();
        let config = known(&mut scene.machine().module_config);
        config.modprobe.push(line(Directive::Blacklist { module: "nvidia".into() }));
        let wanted =
            ModuleLine { module: "nvidia".into(), text: "nvidia".into(), file: "/etc/modules".into(), line: 1 };
        config.load.push(wanted);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
    }
}
