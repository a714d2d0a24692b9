//! Web sites: the reverse proxy answers for each name, and lets nobody in without the login that is declared.
//!
//! Asked from inside guests that may reach the proxy, with curl, else with openssl: whichever is there. Certificates are
//! not judged: that of the proxy's own authority is trusted by nobody here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::proof::{NO_PROGRAM, Proof, ProofKind, TIMED_OUT, between_marks};
use super::{Listening, Verdict};
use crate::blueprint::{Auth, Blueprint, Ingress, Site, Tls};
use crate::isolation::{End, Network, Packet, Payload, Solver};
use crate::model::GuestName;

/// Seconds until a site that does not answer is given up.
const PATIENCE_S: u32 = 5;
/// Sites that one guest asks for: each takes its time.
const MOST_SITES: usize = 8;

/// One request for a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// The site.
    pub site: String,
    /// Where the proxy is.
    pub address: IpAddr,
    /// 443, or 80 for a plain one.
    pub port: u16,
    /// Whether by TLS.
    pub secure: bool,
}

/// With which program a site is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `curl`.
    Curl,
    /// `openssl s_client`, and bash for plain sites.
    Openssl,
}

/// Which sites are asked for in which guests: in the proxy's own, and in those that may come to it.
#[must_use]
pub fn visits(blueprint: &Blueprint) -> BTreeMap<GuestName, Vec<Visit>> {
    let Some(ingress) = &blueprint.ingress else { return BTreeMap::new() };
    let network = Network::desired(blueprint);
    let solver = Solver::new(&network);
    let mut all = BTreeMap::new();
    for guest in blueprint.guests.values() {
        let reaches = |port: u16| {
            let (from, to) = (End::guest(guest.name.clone()), End::guest(ingress.guest.clone()));
            let (source, dest) = (guest.interface.address(), ingress.address);
            let packet = Packet { from, source, mac: None, to, dest, payload: Payload::tcp(port) };
            guest.name == ingress.guest || solver.decide(&packet).passes()
        };
        let visits = ingress.sites.values().map(|site| {
            let secure = site.tls != Tls::None;
            let port = if secure { 443 } else { 80 };
            Visit { site: site.name.clone(), address: ingress.address, port, secure }
        });
        let visits: Vec<Visit> = visits.filter(|visit| reaches(visit.port)).take(MOST_SITES).collect();
        if !visits.is_empty() {
            all.insert(guest.name.clone(), visits);
        }
    }
    all
}

/// The script that asks for all of them, each with its mark.
#[must_use]
pub fn script(visits: &[Visit], client: Client) -> String {
    let mut lines = String::new();
    for Visit { site, address, port, secure } in visits {
        let at = match address {
            IpAddr::V4(four) => four.to_string(),
            IpAddr::V6(six) => format!("[{six}]"),
        };
        let scheme = if *secure { "https" } else { "http" };
        let request = format!("printf \"GET / HTTP/1.1\\r\\nHost: {site}\\r\\nConnection: close\\r\\n\\r\\n\"");
        lines.push_str(&match (client, secure) {
            (Client::Curl, _) => format!(
                "timeout {PATIENCE_S} curl -sk -o /dev/null -w \"HTTP %{{http_code}}\\n\" --resolve {site}:{port}:{at} {scheme}://{site}:{port}/\n"
            ),
            (Client::Openssl, true) => format!(
                "timeout {PATIENCE_S} sh -c '{request} | openssl s_client -quiet -servername {site} -connect {at}:{port} 2>/dev/null'\n"
            ),
            (Client::Openssl, false) => format!(
                "timeout {PATIENCE_S} bash -c 'exec 3<>/dev/tcp/{address}/{port} && {request} | dd bs=4096 iflag=fullblock status=none >&3 && head -n 1 <&3'\n"
            ),
        });
        lines.push_str(&format!("echo \"= {site} $?\"\n"));
    }
    lines.push_str("true\n");
    lines
}

/// Whether what a script printed says that its program is not there.
#[must_use]
pub fn lacks_program(stdout: &str) -> bool {
    between_marks(stdout).iter().any(|(_, code, _)| *code == NO_PROGRAM)
}

/// What follows for one guest from what its script printed.
#[must_use]
pub fn judge(
    blueprint: &Blueprint,
    guest: &GuestName,
    visits: &[Visit],
    printed: Result<&str, &String>,
    listens: impl Fn(&GuestName) -> Option<Listening>,
) -> Vec<Proof> {
    let Some(ingress) = &blueprint.ingress else { return Vec::new() };
    let marks = printed.map(between_marks);
    let proofs = visits.iter().filter_map(|visit| {
        let site = ingress.sites.get(&visit.site)?;
        let (verdict, says) = match nobody(ingress, site, visit.port, &listens) {
            Some(skipped) => skipped,
            None => match &marks {
                Err(why) => (Verdict::CouldNotRun, (*why).clone()),
                Ok(marks) => match marks.iter().find(|(name, ..)| *name == visit.site) {
                    None => (Verdict::CouldNotRun, "it was not asked".to_owned()),
                    Some((_, NO_PROGRAM, _)) => {
                        (Verdict::CouldNotRun, "there is neither `curl` nor `openssl` in it".to_owned())
                    }
                    Some((_, code, text)) => follows(site, *code, status(text)),
                },
            },
        };
        let scheme = if visit.secure { "https" } else { "http" };
        let what = format!("{scheme}://{}/", visit.site);
        Some(Proof::new(ProofKind::Site, guest, what, (verdict, says)))
    });
    proofs.collect()
}

/// Why there is nothing to ask: the proxy, or what is behind it, does not run yet.
fn nobody(
    ingress: &Ingress,
    site: &Site,
    port: u16,
    listens: &impl Fn(&GuestName) -> Option<Listening>,
) -> Option<(Verdict, String)> {
    let login = ingress.forward_auth(site.auth).map(|asked| (&asked.guest, asked.upstream.port()));
    // What listens for the proxy's own guest alone is in no list of ours.
    let behind = [Some((&site.guest, site.upstream.port())), login].into_iter().flatten();
    let behind = behind.filter(|(guest, _)| **guest != ingress.guest);
    [(&ingress.guest, port)].into_iter().chain(behind).find_map(|(guest, port)| match listens(guest)? {
        Ok(ports) if ports.contains(&port) => None,
        Ok(_) => Some((Verdict::Skipped, format!("nobody listens on {port} of {guest} yet"))),
        Err(why) => Some((Verdict::CouldNotRun, format!("{guest}: {why}"))),
    })
}

/// `HTTP 401` of curl, or the first line of an answer: `HTTP/1.1 401 Unauthorized`.
fn status(text: &str) -> Option<u16> {
    let line = text.lines().find(|line| line.starts_with("HTTP"))?;
    line.split_whitespace().nth(1)?.parse().ok().filter(|status| *status != 0)
}

fn follows(site: &Site, code: i32, status: Option<u16>) -> (Verdict, String) {
    let fail = |what: String| (Verdict::Fail, what);
    let Some(status) = status else {
        return fail(match code {
            TIMED_OUT => "the proxy does not answer in time".to_owned(),
            _ => "the proxy does not answer for this name".to_owned(),
        });
    };
    // Guests come over the bridge.
    if site.tailnet_only {
        return match status {
            403 => (Verdict::Pass, "403: only members of the tailnet get in".to_owned()),
            _ => fail(format!("{status}: whoever is not of the tailnet must be answered with 403")),
        };
    }
    match (site.auth, status) {
        (_, 502..=504) => fail(format!("{status}: the proxy does not get an answer from behind")),
        (Auth::None, 500..) => fail(format!("{status}: the site fails")),
        (Auth::None, _) => (Verdict::Pass, format!("it answers with {status}")),
        (_, 301 | 302 | 303 | 307 | 401 | 403) => {
            (Verdict::Pass, format!("{status}: it lets nobody in without a login"))
        }
        (_, _) => fail(format!("{status}: it should ask for a login, and does not")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;

    const OVER: &str = "
ingress: { guest: proj-x, from: [192.168.10.0/24, tag:phone], tls: internal, users: { ann: secret:h } }
guests:
  plan-hq:
    services: [open-webui]
    routes: { open.example.com: 3000, login.example.com: { port: 3000, auth: basic }, in.example.com: { port: 3000, tailnet_only: true } }
";

    fn judged(site: &str, printed: &str, listens: &[u16]) -> Verdict {
        let blueprint = with(OVER);
        let visits = visits(&blueprint);
        let guest: GuestName = "proj-x".parse().unwrap();
        assert_eq!(visits.keys().collect::<Vec<_>>(), [&guest], "no other guest may come to the proxy");
        let listens: Listening = Ok(listens.iter().copied().collect());
        let proofs = judge(&blueprint, &guest, &visits[&guest], Ok(printed), |_| Some(listens.clone()));
        proofs.into_iter().find(|proof| proof.what.contains(site)).unwrap().verdict
    }

    #[test]
    fn who_has_no_login_is_sent_away() {
        let of = |site: &str, status: u16| judged(site, &format!("HTTP {status}\n= {site} 0\n"), &[443, 3000]);
        assert_eq!((of("open.example.com", 200), of("open.example.com", 404)), (Verdict::Pass, Verdict::Pass));
        assert_eq!((of("open.example.com", 502), of("open.example.com", 500)), (Verdict::Fail, Verdict::Fail));
        for status in [401, 302, 403] {
            assert_eq!(of("login.example.com", status), Verdict::Pass);
        }
        assert_eq!(of("login.example.com", 200), Verdict::Fail, "it lets everybody in");
        assert_eq!((of("in.example.com", 403), of("in.example.com", 200)), (Verdict::Pass, Verdict::Fail));
    }

    #[test]
    fn what_is_not_there_yet_and_what_cannot_be_asked_are_no_faults() {
        let site = "open.example.com";
        assert_eq!(judged(site, "", &[]), Verdict::Skipped);
        assert_eq!(judged(site, "", &[443]), Verdict::Skipped, "nobody behind it");
        assert_eq!(judged(site, "", &[443, 3000]), Verdict::CouldNotRun);
        assert_eq!(judged(site, "= open.example.com 127\n", &[443, 3000]), Verdict::CouldNotRun);
        assert_eq!(judged(site, "HTTP 000\n= open.example.com 7\n", &[443, 3000]), Verdict::Fail);
        assert_eq!(
            judged(site, "HTTP/1.1 200 OK\r\nServer: Caddy\n= open.example.com 0\n", &[443, 3000]),
            Verdict::Pass
        );
        assert!(lacks_program("= a 127\n") && !lacks_program("= a 7\n"));
    }
}
