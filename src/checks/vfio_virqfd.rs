//! No module is listed that the kernel does not have any more.

use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "vfio-virqfd",
    area: Area::Passthrough,
    severity: Severity::Warn,
    title: "`vfio_virqfd` is not listed, which kernels since 6.2 do not have",
    needs: &["/etc/modules", "/etc/modules-load.d", "/etc/initramfs-tools/modules", "modinfo"],
    why: "Kernel 6.2 made `vfio_virqfd` a part of `vfio`. Many guides still list it. Where it stands in a list of modules, \
          each boot logs `Failed to find module 'vfio_virqfd'`; on Debian 13 the unit does not fail for it, and the other \
          modules are loaded. It is reported that a host with two GPUs hung at boot with it in the initial RAM disk.",
    fix: "Remove the line, keep `vfio`, `vfio_iommu_type1` and `vfio_pci`, and make the initial RAM disk anew if it stood \
          in `/etc/initramfs-tools/modules`.",
    mend: Some(Mend::Modules),
    sources: &["pve-docs commit 2953349", "wvthoog/proxmox-vgpu-installer#7", "observed on Debian 13"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let config = all(&machine.module_config)?;
    let listed: Vec<_> = config.listed("vfio_virqfd").collect();
    if listed.is_empty() {
        return Ok(vec![Finding::pass("it is not listed").seen("/etc/modules, modules-load.d", "no such line")]);
    }
    match all(&machine.modules)?.known.get("vfio_virqfd") {
        Some(true) => {
            Ok(vec![Finding::pass("it is listed, and the running kernel has it").seen("modinfo vfio_virqfd", "found")])
        }
        Some(false) => Ok(listed
            .into_iter()
            .map(|line| {
                Finding::warn("it is listed, and the running kernel has no such module")
                    .about(&line.file)
                    .seen(format!("{}:{}", line.file, line.line), &line.text)
                    .seen("modinfo vfio_virqfd", "not found")
                    .fix(Fix::prepare(Mend::Modules))
                    .fix(Fix::by_hand(format!("remove the line from {}", line.file)))
            })
            .collect()),
        None => Err(NotRun::blind("`modinfo` did not say whether the running kernel has `vfio_virqfd`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;
    use crate::model::machine::ModuleLine;

    #[test]
    fn each_line_that_lists_it_is_named_where_the_kernel_has_none() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        for file in ["/etc/modules", "/etc/initramfs-tools/modules"] {
            let line =
                ModuleLine { module: "vfio_virqfd".into(), text: "vfio_virqfd".into(), file: file.into(), line: 4 };
            known(&mut scene.machine().module_config).load.push(line);
        }
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn, Verdict::Warn]);
        assert!(scene.said(&CHECK).contains("/etc/initramfs-tools/modules:4"));
        known(&mut scene.machine().modules).known.insert("vfio_virqfd".into(), true);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().modules).known.clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
