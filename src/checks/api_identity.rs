//! The API is who the inventory says.

use super::check::all;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::Trust;

/// See its texts.
pub const CHECK: Check = Check {
    id: "api-identity",
    area: Area::Access,
    severity: Severity::Fail,
    title: "the API answers, with the certificate that the inventory expects",
    needs: &["GET /version", "/etc/pve/local/pve-ssl.pem", "/etc/pve/local/pveproxy-ssl.pem"],
    why: "Nothing is sent to a host whose certificate is not the pinned one, or not signed by the trusted CA. A renewed or \
          replaced certificate has another fingerprint. `pveproxy-ssl.pem` goes before Proxmox's own \
          `pve-ssl.pem`, and takes effect when `pveproxy` is reloaded: until then the file and what is served differ.",
    fix: "Compare on the host: `openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem` (or \
          `pveproxy-ssl.pem` if it is there), and write that down as `fingerprint`.",
    mend: None,
    sources: &["pve-manager PVE/Service/pveproxy.pm", "pve-docs certificate-management.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let answered = subject.here().release.value();
    let certificates = all(&subject.machine().certificates);
    let Trust::Fingerprint(pinned) = &subject.host.access.api.trust else {
        return match answered {
            Some(release) => Ok(vec![
                Finding::pass("it answers, and its certificate is signed by the trusted CA")
                    .seen("GET /version", release.version.clone()),
            ]),
            None => Err(NotRun::blind(subject.here().release.why().unwrap_or_default())),
        };
    };
    let finding = match (answered, certificates) {
        (Some(release), Ok(certificates)) if certificates.served().fingerprint != *pinned => {
            let served = certificates.served();
            Finding::warn("it answers with the pinned certificate, and the file on the host is another one already")
                .seen("GET /version", release.version.clone())
                .seen(served.path.clone(), served.fingerprint.to_string())
                .fix(Fix::edit(format!("hosts.{}.api.fingerprint", subject.host.name), served.fingerprint.to_string()))
        }
        (Some(release), _) => {
            Finding::pass("it answers with the pinned certificate").seen("GET /version", release.version.clone())
        }
        (None, Ok(certificates)) if certificates.served().fingerprint != *pinned => {
            let served = certificates.served();
            Finding::fail("its certificate is not the pinned one")
                .seen(served.path.clone(), served.fingerprint.to_string())
                .seen("inventory", pinned.to_string())
                .fix(Fix::edit(format!("hosts.{}.api.fingerprint", subject.host.name), served.fingerprint.to_string()))
        }
        (None, _) => Finding::blind(subject.here().release.why().unwrap_or_default()),
    };
    Ok(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::guest_scene::{Scene, certificate};
    use super::*;
    use crate::model::machine::Certificates;
    use crate::model::observed::{Fact, Release};

    fn scene(answers: bool, matches: bool) -> Scene {
        let mut scene = Scene::new();
        let own = certificate(scene.now, 300);
        if matches {
            scene.blueprint.hosts.values_mut().next().unwrap().access.api.trust = Trust::Fingerprint(own.fingerprint);
        }
        scene.machine().certificates = Fact::complete(Certificates { own, custom: None });
        if answers {
            let release = Release { version: "9.2.11".into(), repoid: String::new() };
            scene.host().release = Fact::complete(release);
        }
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(scene(true, true).verdicts(&CHECK), [Verdict::Pass]);
        assert_eq!(scene(true, false).verdicts(&CHECK), [Verdict::Warn]);
        assert_eq!(scene(false, false).verdicts(&CHECK), [Verdict::Fail]);
        assert_eq!(scene(false, true).verdicts(&CHECK), [Verdict::CouldNotRun]);
        assert_eq!(Scene::new().verdicts(&CHECK), [Verdict::CouldNotRun]);
    }
}
