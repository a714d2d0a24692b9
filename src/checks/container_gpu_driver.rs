//! Containers find the NVIDIA driver of the host.

use super::check::all;
use super::{Area, Check, Finding, Fix, Mend, NotRun, Severity, Subject};
use crate::blueprint::GuestShape;
use crate::model::{Addr, Kind};

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-gpu-driver",
    area: Area::Containers,
    severity: Severity::Fail,
    title: "the host's NVIDIA driver is loaded before containers that use it start",
    needs: &["/proc/driver/nvidia/version", "/dev/nvidia*", "/etc/modules-load.d"],
    why: "A container has no driver of its own: it uses the host's, through `/dev/nvidia*`, with libraries of *exactly* the \
          same version (`Driver/library version mismatch`). `/dev/nvidia-uvm` appears only when `nvidia-uvm` is loaded, \
          which nothing does at boot by itself: a container that starts with the host then has none, `nvidia-smi` works, and \
          CUDA fails with error 999.",
    fix: "Install the driver on the host, list `nvidia-uvm` in `/etc/modules-load.d`, and install the same version in the \
          container without its kernel module (`--no-kernel-module`).",
    mend: Some(Mend::Modules),
    sources: &["ProxmoxVE#5740", "ProxmoxVE PR#10579", "pve-container LXC.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let users: Vec<(Addr, bool)> = subject
        .guests()
        .filter_map(|guest| match &guest.shape {
            GuestShape::Container(container) => Some((guest, container)),
            GuestShape::Vm(_) => None,
        })
        .filter(|(_, container)| container.devices.iter().any(|device| device.path.starts_with("/dev/nvidia")))
        .map(|(guest, container)| {
            let uvm = container.devices.iter().any(|device| device.path == "/dev/nvidia-uvm");
            (Addr::new(Kind::Container, guest.name.as_str()), uvm)
        })
        .collect();
    if users.is_empty() {
        return Err(NotRun::skipped("no container of this host gets an NVIDIA device"));
    }
    let nvidia = all(&subject.machine().nvidia)?;
    let addrs = || users.iter().map(|(addr, _)| addr.clone());
    let file = "/proc/driver/nvidia/version";
    let Some(version) = &nvidia.version else {
        return Ok(vec![
            Finding::fail("the NVIDIA driver is not loaded on the host")
                .seen(file, "not there")
                .fix(Fix::by_hand("install the driver on the host, and load `nvidia` and `nvidia-uvm` at boot"))
                .concerns(addrs()),
        ]);
    };
    let listed = all(&subject.machine().module_config)?.listed("nvidia_uvm").next();
    let there = nvidia.devices.iter().any(|device| device == "nvidia-uvm");
    let devices = format!("/dev/{}", nvidia.devices.join(" /dev/"));
    let finding = match (users.iter().any(|(_, uvm)| *uvm), listed, there) {
        (true, None, _) => {
            Finding::warn("`nvidia-uvm` is not loaded at boot: containers that start with the host lack it")
                .seen("/etc/modules, modules-load.d", "no `nvidia-uvm`")
        }
        (true, Some(line), false) => {
            Finding::fail("`nvidia-uvm` is listed to be loaded, and `/dev/nvidia-uvm` is not there")
                .seen(format!("{}:{}", line.file, line.line), &line.text)
                .fix(Fix::run("modprobe nvidia-uvm && nvidia-modprobe -u -c=0"))
                .concerns(addrs())
        }
        _ => {
            return Ok(vec![
                Finding::pass(format!("{version} is loaded: containers need exactly its libraries"))
                    .seen(file, version),
            ]);
        }
    };
    Ok(vec![
        finding.seen("ls /dev/nvidia*", devices).seen(file, version).fix(Fix::prepare(Mend::Modules)).concerns(addrs()),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;
    use crate::blueprint::DeviceNode;
    use crate::model::machine::{ModuleLine, NvidiaDriver};

    #[test]
    fn a_container_with_a_gpu_needs_the_driver_and_uvm_at_boot() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Skipped]);
        for path in ["/dev/nvidia0", "/dev/nvidia-uvm"] {
            scene.container().devices.push(DeviceNode { path: path.into(), uid: 0, gid: 44, mode: 0o666 });
        }
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        let devices = vec!["nvidia0".to_owned()];
        *known(&mut scene.machine().nvidia) = NvidiaDriver { version: Some("570.133.07".into()), devices };
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        let line =
            ModuleLine { module: "nvidia_uvm".into(), text: "nvidia-uvm".into(), file: "/etc/modules".into(), line: 1 };
        known(&mut scene.machine().module_config).load.push(line);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Fail]);
        known(&mut scene.machine().nvidia).devices.push("nvidia-uvm".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.machine().nvidia = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
