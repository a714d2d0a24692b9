//! VMs with GPUs see AVX.

use std::collections::BTreeSet;

use super::check::all;
use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "gpu-cpu-model",
    area: Area::Passthrough,
    severity: Severity::Fail,
    title: "VMs with GPUs have a CPU model that shows AVX and that the host can provide",
    needs: &["/proc/cpuinfo", "inventory: cpu"],
    why: "Model runners refuse the GPU, or fall back to the CPU without a word, where the processor shows no AVX: PVE's \
          default models (`kvm64`, `x86-64-v2-AES`) hide it even on hosts that have it. The other way round, QEMU is \
          started with `enforce`, so that a VM whose model asks for more than the host has does not start.",
    fix: "Write `cpu: host` for the guest. It is what `infra` takes unless told otherwise. A host that has no AVX \
          itself cannot give it to anybody.",
    mend: None,
    sources: &["qemu-server QemuServer/CPUConfig.pm", "ollama#8606", "ollama#2187", "ollama#12194"],
    judge,
};

/// Flags that a level of x86-64 adds, as `/proc/cpuinfo` spells them (`abm` is LZCNT).
const V3: [&str; 8] = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"];
const V4: [&str; 5] = ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];

/// Models without AVX; from those that the API describes.
const WITHOUT: [&str; 20] = [
    "kvm32",
    "kvm64",
    "qemu32",
    "qemu64",
    "486",
    "athlon",
    "phenom",
    "pentium",
    "pentium2",
    "pentium3",
    "coreduo",
    "core2duo",
    "Conroe",
    "Penryn",
    "Nehalem",
    "Nehalem-IBRS",
    "Westmere",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
];

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let vms: Vec<_> = subject.vms().filter(|(_, vm)| !vm.gpus.is_empty()).collect();
    if vms.is_empty() {
        return Err(NotRun::skipped("no GPU of this host is passed to a VM"));
    }
    let flags = all(&subject.machine().cpu).map(|cpu| &cpu.flags);
    let finding = |(guest, vm): (&crate::blueprint::Guest, &crate::blueprint::Vm)| {
        let model = vm.cpu.0.split(',').next().unwrap_or_default();
        let model = model.strip_prefix("cputype=").unwrap_or(model);
        let edit = || Fix::edit(format!("guests.{}.cpu", guest.name), "host");
        let finding = match (model, &flags) {
            ("host" | "max", Ok(flags)) if flags.contains("avx") => {
                Finding::pass("it sees what the host has, AVX among it").seen("/proc/cpuinfo", "flags: … avx …")
            }
            ("host" | "max", Ok(_)) => {
                Finding::warn("the host's processor has no AVX, so that model runners refuse the GPU")
                    .seen("/proc/cpuinfo", "no avx among its flags")
                    .fix(Fix::by_hand("use a host whose processor has AVX, or a runner that was built without it"))
            }
            ("x86-64-v3" | "x86-64-v4", Ok(flags)) => provided(model, flags).fix_if_wrong(edit),
            (_, Err(NotRun::Skipped(why) | NotRun::Blind(why))) if !hides_avx(model) => Finding::blind(why.clone()),
            _ if hides_avx(model) => {
                Finding::warn(format!("CPU model `{model}` hides AVX, so that model runners refuse the GPU"))
                    .seen("inventory", format!("cpu: {}", vm.cpu.0))
                    .fix(edit())
            }
            _ if model.starts_with("custom-") => {
                Finding::blind(format!("what `{model}` shows stands in /etc/pve/virtual-guest/cpu-models.conf"))
            }
            _ => Finding::pass(format!("`{model}` has AVX")).seen("inventory", format!("cpu: {}", vm.cpu.0)),
        };
        finding.about(addr(guest).to_string()).concerns([addr(guest)])
    };
    Ok(vms.into_iter().map(finding).collect())
}

fn hides_avx(model: &str) -> bool {
    WITHOUT.contains(&model) || model.starts_with("x86-64-v2")
}

/// Whether the host has what a level asks for.
fn provided(model: &str, flags: &BTreeSet<String>) -> Finding {
    let more: &[&str] = if model == "x86-64-v4" { &V4 } else { &[] };
    let missing: Vec<&str> = V3.iter().chain(more).copied().filter(|flag| !flags.contains(*flag)).collect();
    if missing.is_empty() {
        return Finding::pass(format!("the host has all that `{model}` asks for, AVX among it"))
            .seen("/proc/cpuinfo", format!("flags: {}", V3.join(" ")));
    }
    Finding::fail(format!("the host's processor cannot provide `{model}`: the VM would not start"))
        .seen("/proc/cpuinfo", format!("missing: {}", missing.join(" ")))
}

trait FixIfWrong {
    fn fix_if_wrong(self, fix: impl FnOnce() -> Fix) -> Self;
}

impl FixIfWrong for Finding {
    fn fix_if_wrong(self, fix: impl FnOnce() -> Fix) -> Self {
        if self.verdict == super::Verdict::Pass { self } else { self.fix(fix()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::blueprint::{CpuModel, GuestShape};
    use crate::model::machine::Cpu;
    use crate::model::observed::Fact;

    fn scene(model: &str, flags: Option<&str>) -> Scene {
        let mut scene = Scene::new();
        let guest = scene.blueprint.guests.values_mut().find(|guest| guest.vmid.get() == 100).unwrap();
        let GuestShape::Vm(vm) = &mut guest.shape else { panic!() };
        vm.cpu = CpuModel(model.into());
        if let Some(flags) = flags {
            let flags = flags.split(' ').map(str::to_owned).collect();
            scene.machine().cpu = Fact::complete(Cpu { flags });
        }
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        let verdict = |model, flags| scene(model, flags).verdicts(&CHECK)[0];
        let all = "avx avx2 bmi1 bmi2 f16c fma abm movbe";
        assert_eq!(verdict("host", Some(all)), Verdict::Pass);
        assert_eq!(verdict("host", Some("sse4_2")), Verdict::Warn);
        assert_eq!(verdict("host", None), Verdict::CouldNotRun);
        assert_eq!(verdict("x86-64-v2-AES", None), Verdict::Warn);
        assert_eq!(verdict("kvm64", Some(all)), Verdict::Warn);
        assert_eq!(verdict("x86-64-v3", Some(all)), Verdict::Pass);
        assert_eq!(verdict("x86-64-v4", Some(all)), Verdict::Fail);
        assert_eq!(verdict("Haswell,flags=+aes", Some(all)), Verdict::Pass);
        assert_eq!(verdict("custom-mine", Some(all)), Verdict::CouldNotRun);
    }
}
