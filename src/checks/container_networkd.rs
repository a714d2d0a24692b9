//! Containers with `keyctl` do not depend on systemd-networkd.

use super::standing::containers;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::ImageSource;

/// See its texts.
pub const CHECK: Check = Check {
    id: "container-networkd",
    area: Area::Containers,
    severity: Severity::Warn,
    title: "containers with `keyctl` do not depend on systemd-networkd",
    needs: &["inventory: image, keyctl"],
    why: "PVE's documentation: systemd-networkd takes it for fatal when a `keyctl` call is denied, and with the feature \
          the call exists and is denied, so that one chooses between systemd-networkd and Docker. PVE sets up networkd \
          in Arch Linux and in Ubuntu from 17.10 on, ifupdown in Debian. With a systemd that minds, the container has no \
          network after its next start; newer ones are reported to go on.",
    fix: "Prefer a Debian template for containers that run Docker, or look after the start: `pct exec ID -- networkctl`.",
    mend: None,
    sources: &["pve-container LXC/Config.pm", "pve-container LXC/Setup/Ubuntu.pm", "pve-docs pct.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    containers(subject, |guest, container| {
        if !container.keyctl {
            return Finding::skipped("it has no `keyctl`");
        }
        let Some(ImageSource::Template { file }) =
            subject.blueprint.images.get(&guest.image).map(|image| &image.source)
        else {
            return Finding::blind(format!("image `{}` is no template of Proxmox's", guest.image));
        };
        if ["ubuntu-", "archlinux-"].iter().any(|system| file.starts_with(system)) {
            Finding::warn("its system uses systemd-networkd, which may fail with `keyctl`")
                .seen("inventory", format!("keyctl: true, template: {file}"))
                .fix(Fix::by_hand("prefer a Debian template for containers that run Docker"))
        } else if file.starts_with("debian-") || file.starts_with("alpine-") || file.starts_with("devuan-") {
            Finding::pass("its system does not use systemd-networkd").seen("inventory", format!("template: {file}"))
        } else {
            Finding::blind(format!("what sets up the network in `{file}` is not known"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, container};
    use super::*;

    fn scene(template: &str) -> Scene {
        let mut scene = container(Scene::bare(), |ct| (ct.nesting, ct.keyctl) = (true, true));
        let image = scene.blueprint.images.get_mut("debian").unwrap();
        image.source = ImageSource::Template { file: template.into() };
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(scene("debian-12-standard_12.12-1_amd64.tar.zst").verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene("ubuntu-24.04-standard_24.04-2_amd64.tar.zst").verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(scene("fedora-42-default_20250428_amd64.tar.xz").verdicts(&CHECK), [Verdict::CouldNotRun]);
        let none = container(scene("ubuntu-24.04"), |ct| ct.keyctl = false);
        assert_eq!(none.verdicts(&CHECK), [Verdict::Skipped]);
    }
}
