//! What is declared of a host's own system can be brought about.

use std::collections::BTreeMap;

use crate::blueprint::draft::{Draft, once};
use crate::diag::{Diagnostic, Diagnostics, Spanned};
use crate::inventory::{Gpu, Host, VfioBinding};
use crate::model::{GpuName, Size, kernel_parameter};

const CODE: &str = "inventory.host-system";
/// What ZFS takes as a limit at least (`ARC_MIN` of OpenZFS, 64 MiB).
const LEAST_ARC: Size = Size::mib(64);

/// Reports what needs SSH where there is none, contradicting kernel parameters, modules that do not exist any
/// more, limits that ZFS ignores, and GPUs that cannot be told apart by the ids that `vfio: boot` binds by.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (name, host) in draft.hosts() {
        let Some(system) = &host.system else { continue };
        if host.ssh.is_none() && !draft.broken.key(host.span, "ssh") {
            report.push(
                Diagnostic::error(CODE, format!("`system` of host `{}` needs SSH to it", name.value))
                    .cause("Proxmox has no API for the kernel's command line, modules and packages")
                    .at(system.span, "")
                    .related(name.span, "has no `ssh`")
                    .hint("give the host `ssh: { user: root, host_key: … }`"),
            );
        }
        let parameters = system.kernel_parameters.iter().flatten();
        // What the kernel collects may stand there several times.
        let single =
            parameters.filter(|parameter| !kernel_parameter::accumulates(kernel_parameter::name(&parameter.0)));
        once(single.map(|one| (kernel_parameter::name(&one.0), one)), |parameter, first, second| {
            report.push(
                Diagnostic::error(CODE, format!("the kernel parameter `{parameter}` is given twice"))
                    .at(second.span, "again here")
                    .related(first.span, "first here")
                    .hint("keep the one that is meant"),
            );
        });
        for module in system.modules.iter().flatten().filter(|module| module.0 == "vfio_virqfd") {
            report.push(
                Diagnostic::error(CODE, "there is no module `vfio_virqfd` any more")
                    .cause("it became a part of `vfio` in Linux 6.2")
                    .at(module.span, "")
                    .hint("leave it out; what passing GPUs through needs is loaded by itself"),
            );
        }
        if let Some(arc) = system.arc.filter(|arc| arc.value < LEAST_ARC) {
            report.push(
                Diagnostic::error(CODE, format!("ZFS ignores a limit of {} for its cache", arc.value))
                    .at(arc.span, "")
                    .hint(format!("the least that it takes is {LEAST_ARC}")),
            );
        }
        if let Some(vfio) = system.vfio.filter(|vfio| vfio.value == VfioBinding::Boot) {
            let passed = |gpu: &GpuName| {
                draft.guests.iter().any(|guest| {
                    guest.own.host.as_ref().is_some_and(|on| on.value == name.value)
                        && guest.shape.gpus.iter().flatten().any(|wanted| wanted.value == *gpu)
                })
            };
            twins(host, passed, |kept, taken| {
                report.push(
                    Diagnostic::error(CODE, format!("`vfio: boot` would take `{}` from the host as well", kept.value))
                        .cause(format!("it binds by id, and `{}` has the same id as `{}`", kept.value, taken.value))
                        .at(vfio.span, "")
                        .related(kept.span, "is passed to no VM")
                        .hint("leave it at `vfio: start`: Proxmox then takes exactly the card that a VM names"),
                );
            });
        }
    }
}

/// Reports GPUs that stay with the host and have the id of one that is passed to a VM.
fn twins(host: &Host, passed: impl Fn(&GpuName) -> bool, mut report: impl FnMut(&Spanned<GpuName>, &Spanned<GpuName>)) {
    let gpus: BTreeMap<&Spanned<GpuName>, &Spanned<Gpu>> = host.gpus.iter().flatten().collect();
    let id = |gpu: &Gpu| gpu.id.map(|id| id.value);
    for (kept, gpu) in gpus.iter().filter(|(name, gpu)| !passed(&name.value) && gpu.id.is_some()) {
        let twin = gpus.iter().find(|(name, other)| passed(&name.value) && id(other) == id(gpu));
        if let Some((taken, _)) = twin {
            report(kept, taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn host_system() {
        let own = "inventory.host-system";
        let over = |system: &str| format!("hosts: {{ hq: {{ system: {{ {system} }} }} }}");
        let sound = "kernel_parameters: [iommu=pt, console=tty0, console=ttyS0], vfio: boot, modules: [nct6775], \
                     arc: 16GiB, reserve: 4GiB, sysctl: { vm.swappiness: 10 }, packages: [lm-sensors]";
        assert_eq!(codes(&over(sound)), [""; 0]);
        for wrong in ["kernel_parameters: [iommu=pt, iommu=off]", "modules: [vfio_virqfd]", "arc: 32MiB"] {
            assert_eq!(codes(&over(wrong)), [own], "{wrong}");
        }
        let both = codes("hosts: { hq: { ssh: null, system: { arc: 1GiB } } }");
        assert!(both.contains(&own), "{both:?}");
        let twin = "hosts: { hq: { gpus: { spare: { id: \"10de:2684\", address: \"0000:02:00\" } }, system: { vfio: boot } } }";
        assert!(said(twin).contains("would take `spare`"), "{}", said(twin));
    }
}
