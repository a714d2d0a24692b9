//! IPv6 between guests: every guest has a link-local address on its card, whether an inventory gives it one or not.
//!
//! Each guest tells its own addresses (`/proc/net/if_inet6`), and the others of its site try them on ports where
//! somebody listens. What the solver would let through is not tried here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use super::proof::{NO_PROGRAM, Proof, ProofKind};
use super::{Listening, Verdict};
use crate::blueprint::{self, Blueprint};
use crate::isolation::{End, Network, Packet, Payload, Solver};
use crate::model::GuestName;

/// Prints a guest's addresses, then whom it knows on its network.
pub const SCRIPT: &str = "cat /proc/net/if_inet6 2>/dev/null; cat /proc/net/arp; true";
/// Seconds until a connection that nobody answers is given up.
const PATIENCE_S: u32 = 3;
/// Connections at a time: a container may be allowed few processes.
const AT_ONCE: usize = 50;
/// Ports of one address: if one of them is closed for being another port, so are the rest.
const MOST_PORTS: usize = 12;

/// What a guest says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Addresses on its cards, each with the card's name in it.
    pub addresses: Vec<(Ipv6Addr, String)>,
    /// Whether it was told a neighbour's hardware address: then it is on the network.
    pub knows_neighbours: bool,
}

/// One connection to be tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Try {
    /// Who is connected to.
    pub to: GuestName,
    /// As bash writes it: `fe80::1%eth0/22`.
    pub target: String,
    /// Whether a refusal on the way is what the rules say.
    pub rejected: bool,
}

/// What the script printed.
#[must_use]
pub fn read(text: &str) -> Own {
    let address = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [digits, _, _, _, _, card] = words[..] else { return None };
        let bits = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32)?;
        // Cards that face the bridge (`eth0`, `ens18`): not those of Docker or of a tailnet.
        card.starts_with('e').then(|| (Ipv6Addr::from(bits), card.to_owned()))
    };
    let known = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.len() == 6 && words[0].parse::<IpAddr>().is_ok() && words[2] == "0x2"
    };
    Own { addresses: text.lines().filter_map(address).collect(), knows_neighbours: text.lines().any(known) }
}

/// What is tried in which guest: every address of every other one, where it must be closed and somebody listens.
#[must_use]
pub fn plan(
    blueprint: &Blueprint,
    own: &BTreeMap<GuestName, Own>,
    listening: &BTreeMap<GuestName, Listening>,
) -> BTreeMap<GuestName, Vec<Try>> {
    let network = Network::desired(blueprint);
    let solver = Solver::new(&network);
    let site = |guest: &GuestName| blueprint.guests.get(guest).map(|guest| &blueprint.host_of(guest).site);
    let mut all: BTreeMap<GuestName, Vec<Try>> = BTreeMap::new();
    for (from, here) in own {
        for (to, there) in own.iter().filter(|(to, _)| *to != from && site(to) == site(from)) {
            let Some(Ok(ports)) = listening.get(to) else { continue };
            for (dest, _) in &there.addresses {
                let local = dest.is_unicast_link_local();
                let Some((source, card)) = here.addresses.iter().find(|(own, _)| own.is_unicast_link_local() == local)
                else {
                    continue;
                };
                for port in ports.iter().take(MOST_PORTS) {
                    let (source, dest_of) = match local {
                        true => (link_local(&network, from), link_local(&network, to)),
                        false => (Some(IpAddr::V6(*source)), Some(IpAddr::V6(*dest))),
                    };
                    let (Some(source), Some(dest_of)) = (source, dest_of) else { continue };
                    let (start, end) = (End::guest(from.clone()), End::guest(to.clone()));
                    let payload = Payload::tcp(*port);
                    let packet = Packet { from: start, source, mac: None, to: end, dest: dest_of, payload };
                    let verdict = solver.decide(&packet).verdict;
                    if verdict == blueprint::Verdict::Accept {
                        continue;
                    }
                    let zone = if local { format!("%{card}") } else { String::new() };
                    let target = format!("{dest}{zone}/{port}");
                    let rejected = verdict == blueprint::Verdict::Reject;
                    all.entry(from.clone()).or_default().push(Try { to: to.clone(), target, rejected });
                }
            }
        }
    }
    all
}

/// The link-local address that follows from a card's hardware address, as the network that should be has it.
fn link_local(network: &Network, guest: &GuestName) -> Option<IpAddr> {
    Some(IpAddr::V6(network.guests.get(guest)?.nic(0)?.mac?.link_local()))
}

/// The script that tries them.
#[must_use]
pub fn script(tries: &[Try]) -> String {
    let mut script = String::new();
    for (index, Try { target, .. }) in tries.iter().enumerate() {
        if index > 0 && index % AT_ONCE == 0 {
            script.push_str("wait\n");
        }
        let tried = format!("timeout {PATIENCE_S} bash -c 'exec 3<>/dev/tcp/{target} && echo {target}'");
        script.push_str(&format!("{tried} || echo {target} $? &\n"));
    }
    script + "wait\n"
}

/// What follows for one guest from what its script printed, by whom it tried.
#[must_use]
pub fn judge(from: &GuestName, own: &Own, tries: &[Try], printed: Result<(&str, &str), &String>) -> Vec<Proof> {
    let others: BTreeSet<&GuestName> = tries.iter().map(|one| &one.to).collect();
    let proofs = others.into_iter().map(|to| {
        let (verdict, says) = match printed {
            Err(why) => (Verdict::CouldNotRun, why.clone()),
            Ok((stdout, stderr)) => {
                let tries = tries.iter().filter(|one| one.to == *to);
                one(from, own, &tries.collect::<Vec<_>>(), stdout, stderr)
            }
        };
        let what = format!("{to} over IPv6");
        Proof::new(ProofKind::Ipv6, from, what, (verdict, says))
    });
    proofs.collect()
}

fn one(from: &GuestName, own: &Own, tries: &[&Try], stdout: &str, stderr: &str) -> (Verdict, String) {
    let open = |target: &str| stdout.lines().any(|line| line.trim() == target);
    let said =
        |target: &str, what: &str| stderr.lines().any(|line| line.contains(&format!("/dev/tcp/{target}: {what}")));
    let code = |target: &str| {
        let codes = stdout.lines().filter_map(|line| line.trim().split_once(' '));
        codes.into_iter().find(|(name, _)| *name == target).and_then(|(_, code)| code.parse::<i32>().ok())
    };
    for Try { target, rejected, .. } in tries {
        if open(target) {
            return (Verdict::Fail, format!("{target} is open, and must not be"));
        }
        if said(target, "Connection refused") && !rejected {
            return (Verdict::Fail, format!("{target} answers with a refusal, and nothing should get there"));
        }
        if matches!(code(target), None | Some(NO_PROGRAM)) {
            return (Verdict::CouldNotRun, format!("{target} was not tried"));
        }
    }
    let count = tries.len();
    match own.knows_neighbours {
        true => (Verdict::Pass, format!("nobody answers, {count} tried; both have IPv6 on that network")),
        false => (Verdict::Unproven, format!("nobody answers, and {from} knows no neighbour on that network")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;

    const TABLE: &str = "00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000be2411fffe00000a 02 40 20 80     eth0
fe8000000000000000425ffffe000001 04 40 20 80  docker0
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.10        0x1         0x2         bc:24:11:00:00:0a     *        eth0
";

    #[test]
    fn addresses_are_those_of_cards_that_face_the_bridge() {
        let own = read(TABLE);
        assert_eq!(own.addresses, [("fe80::be24:11ff:fe00:a".parse().unwrap(), "eth0".to_owned())]);
        assert!(own.knows_neighbours && !read("").knows_neighbours);
    }

    #[test]
    fn what_listens_must_not_be_reached_over_a_link_local_address() {
        let blueprint = with("guests: { plan-hq: { services: [ollama] }, proj-x: { uses: [plan-hq/ollama] } }");
        let (hq, x): (GuestName, GuestName) = ("plan-hq".parse().unwrap(), "proj-x".parse().unwrap());
        let own: BTreeMap<GuestName, Own> = [(hq.clone(), read(TABLE)), (x.clone(), read(TABLE))].into();
        let listening = [(hq.clone(), Ok([22, 11434].into())), (x.clone(), Ok([22].into()))].into();
        let plan = plan(&blueprint, &own, &listening);
        let targets: Vec<&str> = plan[&x].iter().map(|one| one.target.as_str()).collect();
        let at = "fe80::be24:11ff:fe00:a%eth0";
        assert_eq!(
            targets,
            [format!("{at}/22"), format!("{at}/11434")],
            "what is declared is declared for its address"
        );
        let of = |own: &Own, stdout: &str, stderr: &str| judge(&x, own, &plan[&x], Ok((stdout, stderr)))[0].verdict;
        let silent = format!("{at}/22 124\n{at}/11434 124\n");
        assert_eq!(of(&own[&x], &silent, ""), Verdict::Pass);
        assert_eq!(of(&Own::default(), &silent, ""), Verdict::Unproven);
        assert_eq!(of(&own[&x], &format!("{at}/22\n{at}/11434 124\n"), ""), Verdict::Fail);
        let refused = format!("bash: line 1: /dev/tcp/{at}/22: Connection refused\n");
        assert_eq!(of(&own[&x], &silent.replacen("124", "1", 1), &refused), Verdict::Fail);
        assert_eq!(of(&own[&x], "", ""), Verdict::CouldNotRun);
    }
}
