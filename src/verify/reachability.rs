//! Who reaches whom, tried from inside every guest with a TCP connection and held against what the solver says.
//!
//! bash opens the connections (`/dev/tcp`) and `timeout` of coreutils ends those that nobody answers: both are part
//! of every Debian and Ubuntu. UDP is not tried: a datagram that nobody answers tells nothing.
//!
//! Behind Proxmox's firewall a port on which nobody listens is as silent as one that is dropped: the reset that
//! answers a first packet is invalid to the next bridge (measured on Linux 6.18 with the chains of 9.2.11). So
//! only a port where somebody listens proves anything, and guests are asked first who does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::blueprint::{self, Blueprint, Party};
use crate::isolation::{End, Network, Packet, Payload, Solver};
use crate::model::{GuestName, PortRange, Transport};

/// Seconds until a connection that nobody answers is given up: a lost first packet is sent again after one.
const PATIENCE_S: u32 = 3;
/// Connections of one guest at a time: a container may be allowed few processes.
const AT_ONCE: usize = 50;
/// What `timeout` exits with when it ended what it began (coreutils).
const TIMED_OUT: &str = "124";

/// One connection to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Probe {
    /// The guest that it is tried from.
    #[schemars(with = "String")]
    pub from: GuestName,
    /// Who is connected to: a guest or a host.
    pub to: String,
    /// Its address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// What is expected.
    pub expected: Expected,
    /// What decides that.
    pub because: String,
}

/// What a connection is expected to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// It arrives.
    Open,
    /// It vanishes on its way.
    Dropped,
    /// It is refused on its way; a closed port looks the same.
    Rejected,
}

/// What a connection came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "seen", content = "why")]
pub enum Seen {
    /// It was accepted.
    Open,
    /// It was refused.
    Refused,
    /// Nobody answered.
    Silent,
    /// There is no way to there, says the guest's own system or a router.
    NoRoute,
    /// It was not tried.
    NotTried(String),
}

/// Six different things, never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is not as it should be.
    Fail,
    /// Nothing is known.
    CouldNotRun,
    /// It works, and not as well as it did.
    Warning,
    /// It was tried, or could be, and proves nothing either way.
    Unproven,
    /// There is nothing to try.
    Skipped,
    /// It is as it should be.
    Pass,
}

/// A probe and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trial {
    /// What was tried.
    #[serde(flatten)]
    pub probe: Probe,
    /// What was seen.
    #[serde(flatten)]
    pub seen: Seen,
    /// What follows.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub says: String,
}

/// TCP ports on which something listens in a guest; or why that is not known.
pub type Listening = Result<BTreeSet<u16>, String>;

/// What a guest saw; or why it was not asked.
pub type Answers = Result<Heard, String>;

/// What a guest saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// What its connections came to, by address and port.
    pub seen: BTreeMap<(IpAddr, u16), Seen>,
    /// Addresses whose hardware address it was told (ARP): no rule of a firewall stops that, so it tells that the
    /// guest is on the network where all that it tries is dropped.
    pub neighbours: BTreeSet<IpAddr>,
}

/// Whether a guest can be asked and can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It runs.
    Up,
    /// It is not meant to run.
    Off,
    /// It does not run, or nothing is known of it.
    Unknown(String),
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}:{}", self.from, self.to, self.port)
    }
}

/// Everything that is to be tried: from each guest to every other one and to the hosts, on ports that were declared and
/// on those where somebody listens.
#[must_use]
pub fn plan(blueprint: &Blueprint, listening: &BTreeMap<GuestName, Listening>) -> Vec<Probe> {
    let network = Network::desired(blueprint);
    let solver = Solver::new(&network);
    let mut probes = Vec::new();
    for from in blueprint.guests.values() {
        let site = &blueprint.host_of(from).site;
        let source = from.interface.address();
        let mut push = |to: String, end: End, address: IpAddr, ports: BTreeSet<u16>| {
            for port in ports {
                let packet = Packet {
                    from: End::guest(from.name.clone()),
                    source,
                    mac: None,
                    to: end.clone(),
                    dest: address,
                    payload: Payload::tcp(port),
                };
                let decision = solver.decide(&packet);
                let expected = match decision.verdict {
                    blueprint::Verdict::Accept => Expected::Open,
                    blueprint::Verdict::Drop => Expected::Dropped,
                    blueprint::Verdict::Reject => Expected::Rejected,
                };
                let because =
                    decision.hops.last().map_or_else(|| "nothing is in the way".to_owned(), ToString::to_string);
                probes.push(Probe { from: from.name.clone(), to: to.clone(), address, port, expected, because });
            }
        };
        for to in blueprint.guests.values().filter(|to| to.name != from.name) {
            if blueprint.host_of(to).site == *site {
                let end = End::guest(to.name.clone());
                push(
                    to.name.to_string(),
                    end,
                    to.interface.address(),
                    ports_of(blueprint, to, listening.get(&to.name)),
                );
            }
        }
        for host in blueprint.hosts.values().filter(|host| host.site == *site) {
            let named = [Some(&host.access.api.host), host.access.ssh.as_ref().map(|ssh| &ssh.host)];
            let addresses: BTreeSet<IpAddr> =
                named.into_iter().flatten().filter_map(|text| text.parse().ok()).collect();
            for address in addresses {
                push(host.name.to_string(), End::Host(host.name.clone()), address, [22, 8006].into());
            }
        }
    }
    probes
}

/// Ports of a guest that are worth a try: SSH, those of its services, those that a flow leads to, and all on which
/// something listens.
fn ports_of(blueprint: &Blueprint, guest: &blueprint::Guest, listening: Option<&Listening>) -> BTreeSet<u16> {
    let ends = |range: PortRange| [range.first(), range.last()];
    let services = guest.services.iter().filter_map(|name| blueprint.services.get(name));
    let offered = services.flat_map(|service| service.ports.values());
    let offered = offered.filter(|port| port.transport == Transport::Tcp).flat_map(|port| ends(port.ports));
    let here = Party::Guest(guest.name.clone());
    let declared = blueprint.flows.iter().filter(|flow| flow.to == here && flow.transport == Transport::Tcp);
    let declared = declared.filter(|flow| flow.ports != PortRange::ALL).flat_map(|flow| ends(flow.ports));
    let heard = listening.and_then(|listening| listening.as_ref().ok()).into_iter().flatten().copied();
    offered.chain(declared).chain(heard).chain([22]).collect()
}

/// Ports that must be closed to somebody and on which nobody listens, by guest: a listener there makes a silence tell.
#[must_use]
pub fn unheard(probes: &[Probe], listening: &BTreeMap<GuestName, Listening>) -> BTreeMap<GuestName, BTreeSet<u16>> {
    let mut wanted: BTreeMap<GuestName, BTreeSet<u16>> = BTreeMap::new();
    for probe in probes.iter().filter(|probe| probe.expected != Expected::Open) {
        let there = listening.iter().find(|(name, _)| name.as_str() == probe.to);
        if let Some((name, Ok(ports))) = there
            && !ports.contains(&probe.port)
        {
            wanted.entry(name.clone()).or_default().insert(probe.port);
        }
    }
    wanted
}

/// The script that a guest runs: some connections at a time, each with its exit code where it did not stand, then whom
/// the guest knows on its network.
#[must_use]
pub fn script(targets: impl IntoIterator<Item = (IpAddr, u16)>) -> String {
    let mut script = String::new();
    for (index, (address, port)) in targets.into_iter().enumerate() {
        if index > 0 && index % AT_ONCE == 0 {
            script.push_str("wait\n");
        }
        let target = format!("{address}/{port}");
        let tried = format!("timeout {PATIENCE_S} bash -c 'exec 3<>/dev/tcp/{target} && echo {target}'");
        script.push_str(&format!("{tried} || echo {target} $? &\n"));
    }
    script + "wait\ncat /proc/net/arp\n"
}

/// What the script printed.
///
/// # Errors
/// With what is missing in the guest.
pub fn read(targets: &[(IpAddr, u16)], stdout: &str, stderr: &str) -> Answers {
    // `timeout` passes on 127 for what it does not find, and the shell does for `timeout` itself
    if stderr.lines().any(|line| line.contains("timeout: not found")) {
        return Err("there is no `timeout` in it".to_owned());
    }
    if stdout.lines().any(|line| line.ends_with(" 127")) {
        return Err("there is no `bash` in it".to_owned());
    }
    let open: BTreeSet<&str> = stdout.lines().map(str::trim).collect();
    let codes: BTreeMap<&str, &str> = stdout.lines().filter_map(|line| line.trim().split_once(' ')).collect();
    let seen = targets.iter().map(|&(address, port)| {
        let name = format!("{address}/{port}");
        let said = stderr.lines().find_map(|line| line.split_once(&format!("/dev/tcp/{name}: ")).map(|(_, why)| why));
        let seen = match (codes.get(name.as_str()), said.map(str::trim)) {
            _ if open.contains(name.as_str()) => Seen::Open,
            (Some(&TIMED_OUT), _) | (_, Some("Connection timed out")) => Seen::Silent,
            (_, Some("Connection refused")) => Seen::Refused,
            (_, Some("No route to host" | "Network is unreachable")) => Seen::NoRoute,
            (_, Some(other)) => Seen::NotTried(other.to_owned()),
            (Some(code), None) => Seen::NotTried(format!("the connection was not tried: exit code {code}")),
            (None, None) => Seen::NotTried("the guest says nothing about it".to_owned()),
        };
        ((address, port), seen)
    });
    Ok(Heard { seen: seen.collect(), neighbours: stdout.lines().filter_map(neighbour).collect() })
}

/// `10.0.0.1  0x1  0x2  bc:24:11:…  *  eth0`: flag 2 says that the address is known (`include/uapi/linux/if_arp.h`).
fn neighbour(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    let address = words.next()?.parse().ok()?;
    let flags = u32::from_str_radix(words.nth(1)?.strip_prefix("0x")?, 16).ok()?;
    (flags & 2 != 0).then_some(address)
}

/// What follows from all that was seen.
///
/// Silence is only taken for a closed way where its cause is known: the one who asked is on the network, as it got some
/// answer, be it a neighbour's hardware address, or gave one; the one who was asked is up and listens.
#[must_use]
pub fn verdicts(
    probes: &[Probe],
    answers: &BTreeMap<GuestName, Answers>,
    standing: &BTreeMap<GuestName, Standing>,
    listening: &BTreeMap<GuestName, Listening>,
) -> Vec<Trial> {
    let answered = |seen: Option<&Seen>| matches!(seen, Some(Seen::Open | Seen::Refused));
    let seen = |probe: &Probe| answers.get(&probe.from)?.as_ref().ok()?.seen.get(&(probe.address, probe.port));
    let known = |heard: &Answers| heard.as_ref().is_ok_and(|heard| !heard.neighbours.is_empty());
    // Whoever got an answer, or gave one, is on the network.
    let connected: BTreeSet<&str> = probes
        .iter()
        .filter(|probe| answered(seen(probe)))
        .flat_map(|probe| [probe.from.as_str(), probe.to.as_str()])
        .chain(answers.iter().filter(|(_, heard)| known(heard)).map(|(guest, _)| guest.as_str()))
        .collect();
    let judge = |probe: &Probe| {
        let at = (probe.address, probe.port);
        let seen = match answers.get(&probe.from) {
            Some(Ok(heard)) => heard.seen.get(&at).cloned().unwrap_or(Seen::NotTried("it was not asked".to_owned())),
            Some(Err(why)) => Seen::NotTried(why.clone()),
            None => Seen::NotTried("it was not asked".to_owned()),
        };
        let of = |guest: &str| standing.iter().find(|(name, _)| name.as_str() == guest).map(|(_, standing)| standing);
        let (verdict, says) = match (of(probe.from.as_str()), of(&probe.to)) {
            (Some(Standing::Off), _) => (Verdict::Skipped, format!("{} is not meant to run", probe.from)),
            (_, Some(Standing::Off)) => (Verdict::Skipped, format!("{} is not meant to run", probe.to)),
            (Some(Standing::Unknown(why)), _) => (Verdict::CouldNotRun, format!("{}: {why}", probe.from)),
            (_, Some(Standing::Unknown(why))) => (Verdict::CouldNotRun, format!("{}: {why}", probe.to)),
            _ => {
                let there = listening.iter().find(|(name, _)| name.as_str() == probe.to).map(|(_, ports)| ports);
                // Who is no guest is a host, whose own doors are tried: somebody listens there.
                let heard = there.map_or(Ok(true), |ports| ports.as_ref().map(|ports| ports.contains(&probe.port)));
                follows(probe, &seen, connected.contains(probe.from.as_str()), heard)
            }
        };
        Trial { probe: probe.clone(), seen, verdict, says }
    };
    probes.iter().map(judge).collect()
}

/// `listens` is whether somebody does there, or why that is not known.
fn follows(probe: &Probe, seen: &Seen, connected: bool, listens: Result<bool, &String>) -> (Verdict, String) {
    let Probe { to, expected, because, .. } = probe;
    let fail = |what: &str| (Verdict::Fail, format!("{what}: {because}"));
    let blind = |what: &str| (Verdict::CouldNotRun, what.to_owned());
    let pass = |what: &str| (Verdict::Pass, what.to_owned());
    match (expected, seen) {
        (_, Seen::NotTried(why)) => blind(why),
        (Expected::Open, Seen::Open) => pass("it is open"),
        (Expected::Open, Seen::Refused) => match listens {
            Ok(false) => pass("the way is open; nobody listens there"),
            Ok(true) => fail("it is refused though it listens there, and it should be open"),
            Err(why) => blind(&format!("it is refused, and whether {to} listens there is not known: {why}")),
        },
        (Expected::Open, Seen::NoRoute) => fail("no way leads there, and it should be open"),
        (_, Seen::Open) => fail("it is open, and must not be"),
        (Expected::Rejected, Seen::Refused) => pass("it is refused, as a rule says"),
        (Expected::Dropped, Seen::Refused) => fail("it got through to where nobody listens, and must not"),
        (_, Seen::NoRoute) => blind("no way leads there: whether it is closed is not known"),
        (_, Seen::Silent) => match (listens, expected) {
            (Err(why), _) => blind(&format!("nobody answers, and whether {to} listens there is not known: {why}")),
            (Ok(false), _) => (Verdict::Skipped, "nobody listens there, so there is nothing to reach".to_owned()),
            (Ok(true), Expected::Open) => fail("nobody answers though it listens there, and it should be open"),
            (Ok(true), _) if connected => pass("nobody answers, though it listens there"),
            (Ok(true), _) => {
                blind("it neither got nor gave any answer and knows no neighbour, so this silence proves nothing")
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 10));

    fn probe(port: u16, expected: Expected) -> Probe {
        Probe { from: "x".parse().unwrap(), to: "y".into(), address: A, port, expected, because: "a rule".into() }
    }

    fn judged(probes: &[Probe], seen: &[(u16, Seen)], listens: Listening) -> Vec<Verdict> {
        let seen = seen.iter().map(|(port, seen)| ((A, *port), seen.clone())).collect();
        let up = |name: &str| (name.parse().unwrap(), Standing::Up);
        let answers = [("x".parse().unwrap(), Ok(Heard { seen, neighbours: BTreeSet::new() }))].into();
        let listening = [("y".parse().unwrap(), listens)].into();
        let trials = verdicts(probes, &answers, &[up("x"), up("y")].into(), &listening);
        trials.into_iter().map(|trial| trial.verdict).collect()
    }

    #[test]
    fn what_bash_says_is_read() {
        let targets: Vec<(IpAddr, u16)> = [1, 2, 3, 4].map(|port| (A, port)).to_vec();
        let stderr = "bash: connect: Connection refused\nbash: line 1: /dev/tcp/10.0.0.10/2: Connection refused\n\
                      bash: connect: No route to host\nbash: line 1: /dev/tcp/10.0.0.10/3: No route to host\n";
        let stdout = "10.0.0.10/1\n10.0.0.10/2 1\n10.0.0.10/3 1\n10.0.0.10/4 124\nIP address       HW type     Flags       HW address            Mask     Device\n\
                      10.0.0.1         0x1         0x2         bc:24:11:00:00:01     *        eth0\n\
                      10.0.0.9         0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        let heard = read(&targets, stdout, stderr).unwrap();
        assert_eq!(heard.neighbours, ["10.0.0.1".parse().unwrap()].into());
        let seen: Vec<&Seen> = heard.seen.values().collect();
        assert_eq!(seen, [&Seen::Open, &Seen::Refused, &Seen::NoRoute, &Seen::Silent]);
        assert!(read(&targets, "", "sh: 1: timeout: not found\n").unwrap_err().contains("`timeout`"));
    }

    #[test]
    fn what_did_not_run_is_no_silence() {
        let targets = [(A, 1), (A, 2), (A, 3)];
        let missing = "timeout: failed to run command 'bash': No such file or directory\n";
        assert!(read(&targets, "10.0.0.10/1 127\n", missing).unwrap_err().contains("`bash`"));
        let heard = read(&targets, "10.0.0.10/1 124\n10.0.0.10/2 125\n", "").unwrap();
        let seen: Vec<&Seen> = heard.seen.values().collect();
        assert!(matches!(seen[..], [Seen::Silent, Seen::NotTried(_), Seen::NotTried(_)]), "{seen:?}");
    }

    #[test]
    fn a_flow_that_is_refused_where_somebody_listens_is_broken() {
        let probes = [probe(1, Expected::Open)];
        let refused = [(1, Seen::Refused)];
        assert_eq!(judged(&probes, &refused, Ok([1].into())), [Verdict::Fail]);
        assert_eq!(judged(&probes, &refused, Err("?".into())), [Verdict::CouldNotRun]);
    }

    #[test]
    fn a_port_where_nobody_listens_is_reached_all_the_same() {
        let probes = [probe(1, Expected::Dropped), probe(2, Expected::Open), probe(3, Expected::Rejected)];
        let seen = [1, 2, 3].map(|port| (port, Seen::Refused));
        assert_eq!(judged(&probes, &seen, Ok([].into())), [Verdict::Fail, Verdict::Pass, Verdict::Pass]);
    }

    #[test]
    fn a_reset_gets_lost_behind_the_firewall_so_silence_tells_only_of_who_listens() {
        let probes = [probe(1, Expected::Dropped), probe(2, Expected::Open), probe(3, Expected::Dropped)];
        let seen = [(1, Seen::Silent), (2, Seen::Open), (3, Seen::Silent)];
        assert_eq!(judged(&probes, &seen, Ok([1, 2].into())), [Verdict::Pass, Verdict::Pass, Verdict::Skipped]);
        assert_eq!(judged(&probes, &seen, Err("?".into()))[0], Verdict::CouldNotRun);
        let closed = [probe(2, Expected::Open)];
        assert_eq!(judged(&closed, &[(2, Seen::Silent)], Ok([2].into())), [Verdict::Fail]);
        assert_eq!(judged(&closed, &[(2, Seen::Silent)], Ok([].into())), [Verdict::Skipped]);
    }

    #[test]
    fn a_listener_is_wanted_where_a_closed_port_has_none() {
        let probes = [
            probe(1, Expected::Dropped),
            probe(2, Expected::Open),
            probe(3, Expected::Rejected),
            probe(4, Expected::Dropped),
        ];
        let listening = [("y".parse().unwrap(), Ok([4].into()))].into();
        assert_eq!(unheard(&probes, &listening), [("y".parse().unwrap(), [1, 3].into())].into());
        assert_eq!(unheard(&probes, &[("y".parse().unwrap(), Err("?".into()))].into()), BTreeMap::new());
    }

    #[test]
    fn silence_proves_nothing_where_nothing_answers() {
        let probes = [probe(1, Expected::Dropped), probe(2, Expected::Open)];
        let all = || Ok([1, 2].into());
        let silent = [(1, Seen::Silent), (2, Seen::Silent)];
        assert_eq!(judged(&probes, &silent, all()), [Verdict::CouldNotRun, Verdict::Fail]);
        assert_eq!(judged(&probes, &[(1, Seen::Silent), (2, Seen::Open)], all()), [Verdict::Pass, Verdict::Pass]);
        assert_eq!(judged(&probes, &[(1, Seen::Open), (2, Seen::Open)], all()), [Verdict::Fail, Verdict::Pass]);
    }

    #[test]
    fn who_is_not_up_proves_nothing_and_who_is_off_is_left_out() {
        let probes = [probe(1, Expected::Dropped)];
        let heard = Heard { seen: [((A, 1), Seen::Silent)].into(), ..Heard::default() };
        let answers = [("x".parse().unwrap(), Ok(heard))].into();
        let of = |y: Standing| {
            let standing = [("x".parse().unwrap(), Standing::Up), ("y".parse().unwrap(), y)].into();
            verdicts(&probes, &answers, &standing, &BTreeMap::new())[0].verdict
        };
        assert_eq!(of(Standing::Unknown("it is stopped".into())), Verdict::CouldNotRun);
        assert_eq!(of(Standing::Off), Verdict::Skipped);
    }
}
