//! Names: every declared name server is asked from inside each guest that may ask it, and the guest's own system is
//! asked for what the inventory promises it.
//!
//! A name server is asked over UDP with a question of RFC 1035 that bash sends (`/dev/udp`), since `getent` asks
//! whichever server it likes. What promises a name: `dns.extra_hosts`, or a zone whose guest is a name server of the
//! one who asks.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::dns_query::{Record, Reply, question, reply};
use super::proof::{NO_PROGRAM, Proof, ProofKind, TIMED_OUT, between_marks};
use super::{Listening, Verdict};
use crate::blueprint::{Blueprint, FlowOrigin, Guest, Party, RecordData};
use crate::model::GuestName;

/// A name of the internet that stands for all others: guests are made of what is behind it.
const OUTSIDE: &str = "debian.org";
/// Seconds until a name server that does not answer is given up.
const PATIENCE_S: u32 = 3;
/// The same for the guest's own system, which tries each of its servers several times.
const SYSTEM_PATIENCE_S: u32 = 6;
/// Names of zones that one guest is asked for: each takes its time.
const MOST_NAMES: usize = 6;

/// One question to one name server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lookup {
    /// Who is asked.
    pub server: IpAddr,
    /// For what.
    pub name: String,
    record: Record,
    /// What must be answered; none, if any answer will do.
    expected: Option<IpAddr>,
}

/// What a guest is asked to look up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookups {
    /// At each of its name servers.
    pub servers: Vec<Lookup>,
    /// By its own system, with the address that must come out.
    pub system: Vec<(String, IpAddr)>,
}

/// What a guest must be able to look up.
#[must_use]
pub fn lookups(blueprint: &Blueprint, guest: &Guest) -> Lookups {
    let own = Party::Guest(guest.name.clone());
    let flows = || blueprint.flows.iter().filter(|flow| flow.from == own);
    let servers: BTreeSet<IpAddr> = flows()
        .filter(|flow| flow.why == FlowOrigin::Names)
        .filter_map(|flow| match &flow.to {
            Party::Guest(server) => Some(blueprint.guests.get(server)?.interface.address()),
            Party::Network(server) => Some(server.addr()),
            _ => None,
        })
        .collect();
    let outside = flows().any(|flow| flow.to == Party::Internet);
    let mut wanted = Lookups::default();
    let mut promised: BTreeSet<(String, IpAddr)> = BTreeSet::new();
    for server in servers {
        let zones = || blueprint.dns.zones.values().filter(|zone| zone.address == server);
        let names = zones().flat_map(|zone| {
            zone.records.iter().filter(|(name, _)| !name.starts_with('*')).filter_map(|(name, data)| {
                let full = if name == "@" { zone.name.clone() } else { format!("{name}.{}", zone.name) };
                match data {
                    RecordData::Address(address) => Some((full, *address)),
                    RecordData::Name(_) => Some((full.clone(), blueprint.look_up(&full)?.address?)),
                }
            })
        });
        let names: BTreeSet<(String, IpAddr)> = names.take(MOST_NAMES).collect();
        for (name, address) in &names {
            let record = if address.is_ipv4() { Record::A } else { Record::Aaaa };
            wanted.servers.push(Lookup { server, name: name.clone(), record, expected: Some(*address) });
        }
        promised.extend(names);
        // Who may not go out may still ask; the root is known to every server that looks things up at all.
        let (name, record) = if outside { (OUTSIDE, Record::A) } else { (".", Record::Ns) };
        // One that has zones of its own may know nothing else.
        if zones().next().is_none() {
            wanted.servers.push(Lookup { server, name: name.to_owned(), record, expected: None });
        }
    }
    if blueprint.dns.extra_hosts {
        promised.extend(blueprint.host_names().into_iter().filter(|(name, _)| *name != guest.name.as_str()));
    }
    wanted.system = promised.into_iter().take(2 * MOST_NAMES).collect();
    wanted
}

/// The script that asks all of it, servers at once, each line with its mark.
#[must_use]
pub fn script(wanted: &Lookups) -> String {
    script_at(wanted, 53)
}

/// The same, to servers on another port: for tests.
#[must_use]
pub fn script_at(wanted: &Lookups, port: u16) -> String {
    let mut lines = String::new();
    for (index, Lookup { server, name, record, .. }) in wanted.servers.iter().enumerate() {
        let bytes: String = question(name, *record).iter().map(|byte| format!("\\{byte:03o}")).collect();
        // bash ends a write at each line break, and a datagram has to be one write.
        let ask = format!("printf \"{bytes}\" | dd bs=512 iflag=fullblock status=none >&3");
        let hear = "echo \"dns $(dd bs=1232 count=1 status=none <&3 | od -An -v -tx1 | tr -d \" \\n\")\"";
        lines.push_str(&format!(
            "timeout {PATIENCE_S} bash -c 'exec 3<>/dev/udp/{server}/{port} && {ask} && {hear}'\necho \"= {index} $?\"\n"
        ));
    }
    for (name, _) in &wanted.system {
        lines.push_str(&format!("timeout {SYSTEM_PATIENCE_S} getent hosts {name}\necho \"= {name} $?\"\n"));
    }
    lines.push_str("true\n");
    lines
}

/// What follows from what the script printed. `listens` tells of a guest whether somebody answers on TCP 53 there:
/// name servers do on both.
#[must_use]
pub fn judge(
    blueprint: &Blueprint,
    guest: &GuestName,
    wanted: &Lookups,
    printed: Result<&str, &String>,
    listens: impl Fn(&GuestName) -> Option<Listening>,
) -> Vec<Proof> {
    let marks = printed.map(between_marks);
    let found = |key: &str| match &marks {
        Ok(marks) => match marks.iter().find(|(name, ..)| name == key) {
            Some((_, code, text)) => Ok((*code, text.as_str())),
            None => Err("it was not asked".to_owned()),
        },
        Err(why) => Err((*why).clone()),
    };
    let proof = |of, what: String, came: (Verdict, String)| Proof::new(of, guest, what, came);
    let mut proofs = Vec::new();
    let mut absent: BTreeSet<IpAddr> = BTreeSet::new();
    for (index, lookup) in wanted.servers.iter().enumerate() {
        let what = format!("{} at {}", lookup.name, lookup.server);
        let server = blueprint.guests.values().find(|other| other.interface.address() == lookup.server);
        let there = server.and_then(|server| Some((server, listens(&server.name)?)));
        let came = match there {
            Some((server, Ok(ports))) if !ports.contains(&53) => {
                absent.insert(lookup.server);
                (Verdict::Skipped, format!("no name server runs in {} yet", server.name))
            }
            Some((server, Err(why))) => (Verdict::CouldNotRun, format!("{}: {why}", server.name)),
            _ => match found(&index.to_string()) {
                Ok((code, text)) => heard(lookup, code, text),
                Err(why) => (Verdict::CouldNotRun, why),
            },
        };
        proofs.push(proof(ProofKind::NameServer, what, came));
    }
    // Where none of those who know it is there yet, nobody can tell.
    let waits = !wanted.servers.is_empty() && !absent.is_empty() && !blueprint.dns.extra_hosts;
    for (name, address) in &wanted.system {
        let came = match found(name) {
            _ if waits => (Verdict::Skipped, "the name server of its zone does not run yet".to_owned()),
            Err(why) => (Verdict::CouldNotRun, why),
            Ok((NO_PROGRAM, _)) => (Verdict::CouldNotRun, "there is no `getent` in it".to_owned()),
            Ok((TIMED_OUT, _)) => (Verdict::Fail, "its name servers do not answer".to_owned()),
            Ok((0, text)) => {
                let first = text.split_whitespace().next().unwrap_or_default();
                match first.parse() == Ok(*address) {
                    true => (Verdict::Pass, format!("it is {address}")),
                    false => (Verdict::Fail, format!("it is {first}, and should be {address}")),
                }
            }
            Ok(_) => (Verdict::Fail, "the guest does not find it".to_owned()),
        };
        proofs.push(proof(ProofKind::Name, name.clone(), came));
    }
    proofs
}

fn heard(lookup: &Lookup, code: i32, text: &str) -> (Verdict, String) {
    let hex = text.lines().find_map(|line| line.strip_prefix("dns "));
    let bytes = hex.and_then(|hex| {
        let pairs = hex.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect::<Option<Vec<u8>>>()
    });
    let fail = |what: String| (Verdict::Fail, what);
    match (code, bytes.as_deref().and_then(reply)) {
        (NO_PROGRAM, _) => (Verdict::CouldNotRun, "there is no `bash` or `timeout` in it".to_owned()),
        (_, Some(Reply { code: 0, addresses })) => match lookup.expected {
            Some(address) if !addresses.contains(&address) => {
                let said: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                fail(format!(
                    "it is said to be {}, and should be {address}",
                    if said.is_empty() { "nothing".into() } else { said.join(", ") }
                ))
            }
            Some(address) => (Verdict::Pass, format!("it is {address}")),
            None => (Verdict::Pass, "it answers".to_owned()),
        },
        (_, Some(Reply { code, .. })) => fail(match code {
            2 => "the name server answers that it failed".to_owned(),
            3 => "the name server answers that there is no such name".to_owned(),
            5 => "the name server refuses to answer".to_owned(),
            other => format!("the name server answers with error {other}"),
        }),
        (TIMED_OUT, None) => fail("the name server does not answer".to_owned()),
        (_, None) if hex.is_some_and(|hex| !hex.is_empty()) => fail("what answers is no name server".to_owned()),
        (_, None) => fail("nobody answers there".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;

    fn of(blueprint: &Blueprint, guest: &str) -> Lookups {
        lookups(blueprint, &blueprint.guests[&guest.parse::<GuestName>().unwrap()])
    }

    fn said(wanted: &Lookups) -> Vec<String> {
        wanted.servers.iter().map(|one| format!("{} {} {:?}", one.server, one.name, one.expected)).collect()
    }

    const ZONE: &str = "
ingress: { guest: plan-hq, from: [internet], tls: acme }
dns: { zones: { example.com: { guest: plan-hq } } }
hosts: { hq: { network: { dns: [10.0.0.10, 10.0.0.1] } } }
guests: { plan-hq: { routes: { chat.example.com: 3000 } } }
";

    #[test]
    fn every_declared_server_is_asked_for_what_it_has_to_know() {
        assert_eq!(said(&of(&with(""), "proj-x")), ["10.0.0.1 debian.org None"]);
        let only = with("guests: { proj-x: { internet: [203.0.113.0/24] } }");
        assert_eq!(said(&of(&only, "proj-x")), ["10.0.0.1 . None"], "who may not go out asks for what all know");
        assert_eq!(of(&with("guests: { proj-x: { internet: false } }"), "proj-x"), Lookups::default());
        let zone = of(&with(ZONE), "proj-x");
        assert!(said(&zone).contains(&"10.0.0.10 chat.example.com Some(10.0.0.10)".to_owned()), "{:?}", said(&zone));
        assert!(said(&zone).contains(&"10.0.0.1 debian.org None".to_owned()));
        assert!(zone.system.iter().any(|(name, _)| name == "chat.example.com"));
        let hosts = of(&with("dns: { extra_hosts: true }"), "proj-x");
        assert_eq!(hosts.system, [("plan-hq".to_owned(), "10.0.0.10".parse().unwrap())]);
    }

    #[test]
    fn silence_refusal_and_a_wrong_answer_are_three_things() {
        let blueprint = with(ZONE);
        let wanted = of(&blueprint, "proj-x");
        let guest = "proj-x".parse().unwrap();
        let index = wanted.servers.iter().position(|one| one.name == "chat.example.com").unwrap();
        let of = |text: &str, listens: &[u16]| {
            let listens: Listening = Ok(listens.iter().copied().collect());
            let proofs = judge(&blueprint, &guest, &wanted, Ok(text), |_| Some(listens.clone()));
            (proofs[index].verdict, proofs[index].says.clone())
        };
        let mut bytes = question("chat.example.com", Record::A);
        (bytes[2], bytes[3], bytes[7]) = (0x81, 0x80, 1);
        bytes.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x0a");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let printed = |bytes: &[u8]| format!("dns {}\n= {index} 0\n", hex(bytes));
        assert_eq!(of(&printed(&bytes), &[53]).0, Verdict::Pass);
        *bytes.last_mut().unwrap() = 11;
        assert_eq!(
            of(&printed(&bytes), &[53]),
            (Verdict::Fail, "it is said to be 10.0.0.11, and should be 10.0.0.10".into())
        );
        bytes[3] = 0x85;
        assert!(of(&printed(&bytes), &[53]).1.contains("refuses"));
        assert_eq!(of(&format!("= {index} 124\n"), &[53]).0, Verdict::Fail);
        assert_eq!(of(&format!("= {index} 127\n"), &[53]).0, Verdict::CouldNotRun);
        assert_eq!(of(&format!("= {index} 124\n"), &[22]).0, Verdict::Skipped, "nobody is there yet");
        assert_eq!(of("", &[53]).0, Verdict::CouldNotRun);
    }

    #[test]
    fn what_the_system_of_a_guest_finds_has_to_be_what_is_declared() {
        let blueprint = with("dns: { extra_hosts: true }\nguests: { proj-x: { internet: false } }");
        let wanted = of(&blueprint, "proj-x");
        let of = |text: &str| judge(&blueprint, &"proj-x".parse().unwrap(), &wanted, Ok(text), |_| None)[0].verdict;
        assert_eq!(of("10.0.0.10       plan-hq\n= plan-hq 0\n"), Verdict::Pass);
        assert_eq!(of("10.0.0.11       plan-hq\n= plan-hq 0\n"), Verdict::Fail);
        assert_eq!(of("= plan-hq 2\n"), Verdict::Fail);
        assert_eq!(of("= plan-hq 127\n"), Verdict::CouldNotRun);
    }
}
