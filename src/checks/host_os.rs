//! The operating system is the one that Proxmox VE is made for.

use super::check::{all, some};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "host-os",
    area: Area::System,
    severity: Severity::Warn,
    title: "the operating system is the Debian that this Proxmox VE is made for",
    needs: &["/etc/os-release", "dpkg-query"],
    why: "Proxmox VE 8 is made for Debian 12 (bookworm) and version 9 for Debian 13 (trixie); there are no packages for \
          Ubuntu or anything else, and Proxmox supports none. Another release under it is an upgrade that was not finished. \
          Without the package `proxmox-ve` the host gets no new kernels: `apt` offers to remove it where repositories are mixed.",
    fix: "Finish the upgrade by Proxmox's guide; `apt install proxmox-ve` where that package is missing.",
    mend: None,
    sources: &[
        "pve-docs pve-package-repos.adoc",
        "pve wiki Install_Proxmox_VE_on_Debian_13_Trixie",
        "pve wiki Upgrade_from_8_to_9",
    ],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let machine = subject.machine();
    let os = all(&machine.os)?;
    let packages = all(&machine.packages)?;
    let source = "/etc/os-release";
    let manager = packages.installed.get("pve-manager");
    let version =
        manager.map(String::as_str).or_else(|| some(&subject.here().release).ok().map(|r| r.version.as_str()));
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let guide =
        Fix::by_hand("finish the upgrade by Proxmox's guide, or install Proxmox VE on the Debian that it is made for");
    let expected = match major {
        Some(8) => Some(("12", "bookworm")),
        Some(9) => Some(("13", "trixie")),
        _ => None,
    };
    let mut findings = Vec::new();
    if os.id != "debian" {
        let what = format!("{} is no Debian: Proxmox supports no other system", os.name);
        findings.push(Finding::warn(what).seen(source, format!("ID={}", os.id)).fix(guide));
    } else if let Some((number, name)) = expected.filter(|(number, name)| os.version != *number && os.codename != *name)
    {
        let what = format!(
            "{} is under Proxmox VE {}, which is made for Debian {number} ({name})",
            os.name,
            version.unwrap_or("")
        );
        findings.push(Finding::warn(what).seen(source, format!("VERSION_ID={}", os.version)).fix(guide));
    }
    if manager.is_some() && !packages.installed.contains_key("proxmox-ve") {
        findings.push(
            Finding::warn("the package `proxmox-ve` is not installed: no new kernels come")
                .seen("dpkg-query -W proxmox-ve", "not installed")
                .fix(Fix::run("apt install proxmox-ve")),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::pass(os.name.clone()).seen(source, format!("VERSION_ID={}", os.version)));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn another_system_another_release_and_a_missing_package_are_told() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        known(&mut scene.machine().packages).installed.remove("proxmox-ve");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        let os = known(&mut scene.machine().os);
        (os.version, os.codename) = ("12".into(), "bookworm".into());
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn, Verdict::Warn]);
        known(&mut scene.machine().os).id = "ubuntu".into();
        assert!(scene.said(&CHECK).contains("no other system"));
        // a rolling release without a number is known by its name
        let mut scene = Scene::sound();
        known(&mut scene.machine().os).version = String::new();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        scene.machine().os = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
