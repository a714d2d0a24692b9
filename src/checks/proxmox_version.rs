//! Proxmox VE is a version that is supported.

use super::check::some;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};

/// See its texts.
pub const CHECK: Check = Check {
    id: "proxmox-version",
    area: Area::System,
    severity: Severity::Fail,
    title: "Proxmox VE is a version that is supported",
    needs: &["GET /version"],
    why: "What this program sends is held against the API descriptions of Proxmox VE 8.4, 9.1 and 9.2. Before 8.0 there are \
          no PCI mappings, which passing a GPU through with an API token needs. Proxmox supports version 8 until August \
          2026; later there are no more security updates for it.",
    fix: "Upgrade by Proxmox's guide: within a version with `apt update && apt full-upgrade`, from 8 to 9 after `pve8to9 --full`.",
    mend: None,
    sources: &["pve-docs pve-faq.adoc", "pve wiki Upgrade_from_8_to_9"],
    judge,
};

/// 1 September 2026.
const END_OF_8: i64 = 1_788_220_800;

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let release = some(&subject.here().release)?;
    let version = release.version.as_str();
    let mut numbers = version.split(['.', '-', '~']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err(NotRun::blind(format!("`{version}` is no version of Proxmox VE")));
    };
    let upgrade = Fix::run("apt update && apt full-upgrade");
    let to_9 = Fix::by_hand("upgrade to Proxmox VE 9 by Proxmox's guide, beginning with `pve8to9 --full`");
    let finding = match (major, minor) {
        (..8, _) => Finding::fail(format!("{version} has no PCI mappings, and its support has ended")).fix(to_9),
        (8, _) if subject.now.as_second() >= END_OF_8 => {
            Finding::warn(format!("{version}: the support of version 8 ended in August 2026")).fix(to_9)
        }
        (8, ..4) => {
            Finding::warn(format!("{version} is older than 8.4, the oldest that this was tested with")).fix(upgrade)
        }
        (8 | 9, _) => Finding::pass(format!("{version} is supported")),
        _ => Finding::warn(format!("{version} is newer than what this program knows"))
            .fix(Fix::by_hand("look for a newer version of this program")),
    };
    Ok(vec![finding.seen("GET /version", version)])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known};
    use super::*;

    #[test]
    fn versions_are_supported_too_old_and_too_new() {
        let mut scene = Scene::sound();
        for (version, verdict) in [
            ("9.2.11", Verdict::Pass),
            ("9.0.3", Verdict::Pass),
            ("8.4.14", Verdict::Warn),
            ("7.4-19", Verdict::Fail),
            ("10.0.1", Verdict::Warn),
            ("x", Verdict::CouldNotRun),
        ] {
            known(&mut scene.host().release).version = version.to_owned();
            assert_eq!(scene.verdicts(&CHECK), [verdict], "{version}");
        }
        assert_eq!(jiff::Timestamp::from_second(END_OF_8).unwrap().to_string(), "2026-09-01T00:00:00Z");
    }

    #[test]
    fn version_8_is_good_until_its_end() {
        let mut scene = Scene::sound();
        let before = |scene: &Scene| {
            let now = jiff::Timestamp::from_second(END_OF_8 - 1).unwrap();
            judge(&Subject { now, ..scene.subject() }).unwrap()[0].verdict
        };
        known(&mut scene.host().release).version = "8.4.14".into();
        assert_eq!(before(&scene), Verdict::Pass);
        known(&mut scene.host().release).version = "8.2.2".into();
        assert_eq!(before(&scene), Verdict::Warn);
    }
}
