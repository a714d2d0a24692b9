//! Secure Boot of the host lets the drivers in that it needs.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "secure-boot",
    area: Area::System,
    severity: Severity::Warn,
    title: "Secure Boot of the host is off, or no driver is in its way",
    needs: &["/sys/firmware/efi/efivars/SecureBoot-*", "dpkg-query"],
    why: "With Secure Boot the kernel takes signed modules only and locks itself down. Proxmox's own modules are signed, \
          and passing devices through works. What is built on the host by DKMS is not, unless its key was enrolled: \
          `vendor-reset`, NVIDIA's driver. They fail with `Key was rejected by service`, and `setpci` cannot write. Secure \
          Boot *inside* a VM is another matter: an EFI disk with `pre-enrolled-keys=1` rejects NVIDIA's driver there.",
    fix: "Enrol the key of DKMS (`mokutil --import /var/lib/dkms/mok.pub`, then reboot and confirm at the console), or \
          switch Secure Boot off in the firmware.",
    mend: None,
    sources: &["pve wiki Secure_Boot_Setup", "forum.proxmox.com 178461"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let boot = all(&machine.boot)?;
    let source = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    match boot.secure_boot {
        None => return Ok(vec![Finding::pass("the firmware has none").seen(source, "not there")]),
        Some(false) => return Ok(vec![Finding::pass("it is off").seen(source, "0")]),
        Some(true) => {}
    }
    let packages = all(&machine.packages)?;
    let unsigned =
        ["nvidia-kernel-dkms", "vendor-reset-dkms"].into_iter().find(|name| packages.installed.contains_key(*name));
    Ok(vec![match unsigned {
        None => Finding::pass("it is on, and no module of the host is built by DKMS").seen(source, "1"),
        Some(name) => {
            Finding::warn(format!("it is on, and modules of `{name}` are built here: the kernel may reject them"))
                .seen(source, "1")
                .seen(format!("dpkg-query -W {name}"), packages.installed.get(name).map_or("", String::as_str))
                .fix(Fix::run("mokutil --import /var/lib/dkms/mok.pub"))
                .fix(Fix::by_hand("or switch Secure Boot off in the firmware"))
        }
    }])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn only_modules_that_are_built_here_are_in_its_way() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().boot).secure_boot = Some(true);
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().packages).installed.insert("vendor-reset-dkms".into(), "0.1".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        scene.machine().packages = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
