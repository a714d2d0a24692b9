//! The API's certificate holds for a while.

use jiff::Timestamp;

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::Trust;

/// See its texts.
pub const CHECK: Check = Check {
    id: "certificate-expiry",
    area: Area::Access,
    severity: Severity::Fail,
    title: "the API's certificate holds, and will not be exchanged under a pinned fingerprint",
    needs: &["/etc/pve/local/pve-ssl.pem", "/etc/pve/local/pveproxy-ssl.pem"],
    why: "`pveupdate` looks once a day: it renews Proxmox's own certificate in its last 14 days (and one that holds for more \
          than two years at once), and one from ACME in its last 30 days. Renewed means: another fingerprint. An inventory that pins \
          the fingerprint is then locked out until the new one is written down. A certificate that somebody put there is \
          renewed by nobody. Where a CA is trusted instead, an expired certificate ends every connection.",
    fix: "Trust the cluster's CA instead of one certificate: copy `/etc/pve/pve-root-ca.pem` and write `ca_file: …`; it lives for \
          ten years. Renew by hand: `pvecm updatecerts --force`, then `systemctl reload pveproxy`.",
    mend: None,
    sources: &["pve-manager bin/pveupdate", "pve-cluster PVE/Cluster/Setup.pm", "pve-docs certificate-management.adoc"],
    judge,
};

const DAY_S: i64 = 24 * 60 * 60;
/// `pveupdate` renews Proxmox's own certificate in these last days …
const OWN_LAST_DAYS: i64 = 14;
/// … and one that holds for longer than this.
const OWN_MOST_DAYS: i64 = 2 * 365;
/// One from ACME is renewed in these last days; any other should be thought of by then.
const CUSTOM_LAST_DAYS: i64 = 30;

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let certificates = all(&subject.machine().certificates)?;
    let (served, custom) = (certificates.served(), certificates.custom.is_some());
    let days = days_left(served.not_after, subject.now);
    let pinned = matches!(subject.host.access.api.trust, Trust::Fingerprint(_));
    let seen = |finding: Finding| {
        finding.seen(format!("openssl x509 -enddate -in {}", served.path), format!("notAfter={}", served.not_after))
    };
    let trust = || Fix::edit(format!("hosts.{}.api.ca_file", subject.host.name), "a copy of /etc/pve/pve-root-ca.pem");
    let renew = || Fix::run("pvecm updatecerts --force && systemctl reload pveproxy");
    let finding = if subject.now > served.not_after {
        let finding = if pinned {
            Finding::warn("the certificate has expired")
        } else {
            Finding::fail("the certificate has expired: nothing that trusts its CA connects")
        };
        if custom {
            finding.fix(Fix::by_hand("renew the certificate that was put there"))
        } else {
            finding.fix(renew())
        }
    } else if subject.now < served.not_before {
        Finding::warn("the certificate does not hold yet: one of the clocks is wrong").fix(Fix::run("date -u"))
    } else if custom && days < CUSTOM_LAST_DAYS {
        Finding::warn(format!("the certificate that was put there holds for {days} days more"))
            .fix(Fix::by_hand("see that it is renewed, and write its new fingerprint down"))
    } else if !custom && pinned && days < OWN_LAST_DAYS {
        Finding::warn(format!(
            "it holds for {days} days more: Proxmox renews it within a day, and the pinned fingerprint is then wrong"
        ))
        .fix(trust())
    } else if !custom && pinned && days > OWN_MOST_DAYS {
        Finding::warn("it holds for more than two years: Proxmox renews it within a day, and the pinned fingerprint is then wrong")
            .fix(trust())
    } else {
        Finding::pass(format!("it holds for {days} days more"))
    };
    Ok(vec![seen(finding)])
}

fn days_left(until: Timestamp, now: Timestamp) -> i64 {
    until.as_second().saturating_sub(now.as_second()) / DAY_S
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, certificate};
    use super::*;
    use crate::model::machine::Certificates;
    use crate::model::observed::Fact;

    fn scene(own_days: i64, custom_days: Option<i64>) -> Scene {
        let mut scene = Scene::new();
        let now = scene.now;
        let own = certificate(now, own_days);
        let custom = custom_days.map(|days| certificate(now, days));
        scene.machine().certificates = Fact::complete(Certificates { own, custom });
        scene
    }

    fn by_ca(mut scene: Scene) -> Scene {
        scene.blueprint.hosts.values_mut().next().unwrap().access.api.trust = Trust::CaFile("ca.pem".into());
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(scene(400, None).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene(10, None).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(scene(800, None).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(by_ca(scene(10, None)).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(by_ca(scene(800, None)).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene(-1, None).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(by_ca(scene(-1, None)).verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(scene(10, Some(90)).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene(400, Some(20)).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
