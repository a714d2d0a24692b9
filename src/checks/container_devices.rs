//! Device nodes that containers are given are there and can be opened.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::DeviceNode;
use crate::model::machine::DeviceFile;

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-devices",
    area: Area::Containers,
    severity: Severity::Fail,
    title: "device nodes that containers are given are there and can be opened inside",
    needs: &["stat /dev/…", "inventory: devices"],
    why: "`pct set ID --dev0 PATH` refuses a path that is not there, and a container does not start when one has gone (a \
          module that is not loaded, a card that was taken out). Inside, the node belongs to `uid` and `gid` of the inventory and not to \
          the host's group: a render node of `root:render 0660` that is passed with `gid: 0` can be opened by root alone, \
          and the numbers of `video` and `render` differ from system to system.",
    fix: "Load the module that makes the device, and write the `gid` that the group has inside the container \
          (`pct exec ID -- getent group render`).",
    mend: None,
    sources: &["pve-container LXC.pm", "pve-container API2/LXC/Config.pm", "ProxmoxVE build.func"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let files = &subject.machine().device_nodes;
    let given = subject.guests().filter_map(|guest| match &guest.shape {
        crate::blueprint::GuestShape::Container(container) => Some(container.devices.len()),
        crate::blueprint::GuestShape::Vm(_) => None,
    });
    if given.sum::<usize>() == 0 {
        return Err(NotRun::skipped("the inventory gives no device node to a container of this host"));
    }
    let files = all(files)?;
    let mut findings = Vec::new();
    for guest in subject.guests() {
        let crate::blueprint::GuestShape::Container(container) = &guest.shape else { continue };
        for node in &container.devices {
            let finding = match files.get(&node.path) {
                None => Finding::blind(format!("{} was not asked for", node.path)),
                Some(None) => Finding::fail("the host has no such device: `pct set` refuses it")
                    .seen(format!("stat {}", node.path), "No such file or directory")
                    .fix(Fix::by_hand("load the module that makes it, or take it out of the guest's `devices`")),
                Some(Some(file)) => there(guest.name.as_str(), node, file),
            };
            let addr = super::standing::addr(guest);
            findings.push(finding.about(format!("{} of {addr}", node.path)).concerns([addr]));
        }
    }
    Ok(findings)
}

fn there(guest: &str, node: &DeviceNode, file: &DeviceFile) -> Finding {
    let text = format!("{}:{} {:04o}", file.uid, file.gid, file.mode);
    let source = format!("stat -c '%u:%g %a' {}", node.path);
    if !file.is_device {
        return Finding::fail("it is no device: `pct set` refuses it")
            .seen(format!("stat -c %F {}", node.path), "no special file")
            .fix(Fix::by_hand(
                "find out what left a file there, remove it, and load the module that makes the device",
            ));
    }
    let (group_may, others_may) = (node.mode & 0o060 == 0o060, node.mode & 0o006 == 0o006);
    if file.gid != 0 && node.gid == 0 && group_may && !others_may {
        return Finding::warn("only root can open it inside: on the host it belongs to a group, inside to group 0")
            .seen(source, text)
            .seen("inventory", format!("gid: {}, mode: {:04o}", node.gid, node.mode))
            .fix(Fix::edit(format!("guests.{guest}.devices"), "gid: the number of its group inside the container"));
    }
    Finding::pass("it is there").seen(source, text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Verdict;
    use super::super::guest_scene::{Scene, container};
    use super::*;
    use crate::model::observed::Fact;

    fn scene(path: &str, gid: u32, mode: u32, file: Option<DeviceFile>) -> Scene {
        let node = DeviceNode { path: path.into(), uid: 0, gid, mode };
        let mut scene = container(Scene::bare(), |ct| ct.devices = vec![node.clone()]);
        scene.machine().device_nodes = Fact::complete(BTreeMap::from([(path.to_owned(), file)]));
        scene
    }

    fn file(gid: u32, mode: u32) -> Option<DeviceFile> {
        Some(DeviceFile { is_device: true, uid: 0, gid, mode })
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(scene("/dev/net/tun", 0, 0o666, file(0, 0o666)).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene("/dev/net/tun", 0, 0o666, None).verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(scene("/dev/dri/renderD128", 0, 0o660, file(104, 0o660)).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(scene("/dev/dri/renderD128", 993, 0o660, file(104, 0o660)).verdicts(&CHECK), [Verdict::Pass]);
        let plain = DeviceFile { is_device: false, uid: 0, gid: 0, mode: 0o644 };
        assert_eq!(scene("/dev/nvidia0", 0, 0o666, Some(plain)).verdicts(&CHECK), [Verdict::Fail]);
        let mut unknown = scene("/dev/net/tun", 0, 0o666, None);
        unknown.machine().device_nodes = Fact::unavailable("no");
        assert_eq!(unknown.verdicts(&CHECK), [Verdict::CouldNotRun]);
        assert_eq!(Scene::bare().verdicts(&CHECK), [Verdict::Skipped]);
    }
}
