//! Updates of Proxmox VE come from a repository that the host may use.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::model::machine::AptSource;

/// See its texts.
pub const CHECK: Check = Check {
    id: "package-sources",
    area: Area::System,
    severity: Severity::Warn,
    title: "updates of Proxmox VE come from a repository that the host may use",
    needs: &["/etc/apt/sources.list.d", "/etc/subscription"],
    why: "A fresh installation uses Proxmox's enterprise repositories (also that of Ceph). Without a subscription they answer \
          `401 Unauthorized`: `apt update` fails, and there are no updates at all, not even Debian's security updates through \
          Proxmox's web interface. Proxmox offers a repository without subscription, which it does not recommend for \
          production, and one for tests. Suites of two Debian releases side by side are an upgrade that was not finished.",
    fix: "Store a subscription key (`pvesubscription set KEY`), or set `Enabled: no` in `pve-enterprise.sources` and \
          `ceph.sources` and add the repository `pve-no-subscription`.",
    mend: None,
    sources: &["pve-docs pve-package-repos.adoc", "pve-manager API2/APT.pm"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let apt = all(&subject.machine().apt)?;
    let used: Vec<&AptSource> = apt.sources.iter().filter(|source| source.enabled).collect();
    let text = |source: &AptSource| format!("{} {} {}", source.uri, source.suite, source.component);
    let at = |source: &AptSource| format!("{}:{}", source.file, source.line);
    let host = |source: &AptSource| {
        source.uri.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default().to_owned()
    };
    let mut findings = Vec::new();
    if !apt.subscription {
        for source in used.iter().filter(|source| host(source) == "enterprise.proxmox.com") {
            findings.push(
                Finding::warn("it is for subscribers, and no key is stored: `apt update` fails")
                    .about(&source.component)
                    .seen(at(source), text(source))
                    .seen("/etc/subscription", "not there")
                    .fix(Fix::by_hand(format!("set `Enabled: no` in {}, or put `#` before a `deb` line", source.file)))
                    .fix(Fix::run("pvesubscription set KEY")),
            );
        }
    }
    let ours: Vec<&&AptSource> = used.iter().filter(|source| is_proxmox_ve(source)).collect();
    if ours.is_empty() {
        findings.push(
            Finding::warn("no repository of Proxmox VE is used: no updates of it come")
                .seen("/etc/apt/sources.list.d", format!("{} sources, none of them of Proxmox VE", used.len()))
                .fix(Fix::by_hand("add `pve-no-subscription`, or `pve-enterprise` with a subscription")),
        );
    }
    for source in ours.iter().filter(|source| matches!(source.component.as_str(), "pvetest" | "pve-test")) {
        findings.push(
            Finding::warn("packages of the test repository are used")
                .about(&source.component)
                .seen(at(source), text(source))
                .fix(Fix::by_hand(format!("switch it off in {}", source.file))),
        );
    }
    let codename = subject.machine().os.value().map(|os| os.codename.as_str()).filter(|name| !name.is_empty());
    if let Some((codename, other)) = codename.and_then(|name| Some((name, ours.iter().find(|s| s.suite != name)?))) {
        findings.push(
            Finding::warn(format!("packages for {} are used on {codename}", other.suite))
                .about(&other.suite)
                .seen(at(other), text(other))
                .fix(Fix::by_hand("finish the upgrade by Proxmox's guide, or take the source out")),
        );
    }
    if findings.is_empty() {
        let mut finding = Finding::pass(match apt.subscription {
            true => "used, and a subscription key is stored",
            false => "used without subscription",
        });
        for source in ours {
            finding = finding.seen(at(source), text(source));
        }
        findings.push(finding);
    }
    Ok(findings)
}

fn is_proxmox_ve(source: &AptSource) -> bool {
    matches!(source.component.as_str(), "pve-enterprise" | "pve-no-subscription" | "pvetest" | "pve-test")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::machine_scene::{Scene, known, source};
    use super::*;

    const ENTERPRISE: &str = "https://enterprise.proxmox.com/debian/pve";

    #[test]
    fn enterprise_repositories_need_a_key() {
        let mut scene = Scene::sound();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
        let apt = known(&mut scene.machine().apt);
        apt.sources.push(source("https://enterprise.proxmox.com/debian/ceph-squid", "enterprise", true));
        apt.sources.push(source(ENTERPRISE, "pve-enterprise", false));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().apt).subscription = true;
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Pass]);
    }

    #[test]
    fn none_a_test_one_and_one_of_another_release_are_told() {
        let mut scene = Scene::sound();
        known(&mut scene.machine().apt).sources.clear();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().apt).sources.push(source(
            "http://download.proxmox.com/debian/pve",
            "pve-test",
            true,
        ));
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn]);
        known(&mut scene.machine().os).codename = "bookworm".into();
        assert_eq!(scene.verdicts(&CHECK), [Verdict::Warn, Verdict::Warn]);
        scene.machine().apt = crate::model::observed::Fact::unavailable("no");
        assert_eq!(scene.verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
