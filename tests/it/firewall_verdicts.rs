//! The solver held against Proxmox's own compiler and simulator: every recorded verdict, from the files alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use infra::blueprint::Verdict;
use infra::isolation::{End, Guest, Host, Network, Nic, Packet, Payload, Solver, macro_names, verdict_word};
use infra::model::entrance::HostFirewall;
use infra::model::observed::{FirewallRule, GuestKind};
use infra::model::{GuestName, HostName, Vmid};
use infra::proxmox::firewall_file::{read_cluster, read_guest};
use infra::proxmox::options::Options;
use serde_json::Value;

use crate::contract::shared;

fn host() -> HostName {
    "host".parse().unwrap()
}

/// The recorded configurations, or a word why they are not there.
fn cases() -> Option<Vec<Value>> {
    let Some(bytes) = shared("firewall-verdicts-9.2.jsonl.gz") else {
        println!("not run: the recorded verdicts are not here (set INFRA_SHARED)");
        return None;
    };
    let text = String::from_utf8(bytes).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("text: {value}"))
}

/// A configuration as the solver takes it; only the way into its types is written here.
pub fn network(case: &Value) -> Network {
    let file = |name: &str| case["files"][name].as_str();
    let host_ip: IpAddr = text(&case["host_ip"]).parse().unwrap();
    let local = text(&case["local_network"]).parse().unwrap();
    let mut network = Network::default();
    network.sites.insert("site".into(), file("cluster.fw").map(read_cluster).unwrap_or_default());
    network.hosts.insert(
        host(),
        Host {
            site: "site".into(),
            firewall: HostFirewall::default(),
            addresses: vec![host_ip],
            networks: vec![local],
            local_network: Some(local),
            uplink: "vmbr0".into(),
        },
    );
    for (kind, word, prefix) in [(GuestKind::Qemu, "qemu", "vm"), (GuestKind::Lxc, "lxc", "ct")] {
        for (vmid, config) in case["vmdata"][word].as_object().into_iter().flatten() {
            let nics = config.as_object().unwrap().iter().map(|(net, value)| {
                let options = Options::parse(text(value));
                let address = options.get("ip").map(|ip| ip.split('/').next().unwrap().parse().unwrap());
                let mac = options.get("hwaddr").or_else(|| options.get("virtio")).unwrap();
                Nic {
                    index: net.strip_prefix("net").unwrap().parse().unwrap(),
                    mac: Some(mac.parse().unwrap()),
                    bridge: options.get("bridge").unwrap().to_owned(),
                    vlan: None,
                    firewall: options.flag("firewall") == Some(true),
                    addresses: address.into_iter().collect(),
                }
            });
            let name: GuestName = format!("{prefix}{vmid}").parse().unwrap();
            let guest = Guest {
                host: host(),
                kind,
                vmid: Vmid::try_from(vmid.parse::<u32>().unwrap()).unwrap(),
                nics: nics.collect(),
                firewall: file(&format!("{vmid}.fw")).map(read_guest),
            };
            network.guests.insert(name, guest);
        }
    }
    network
}

fn end(word: &str) -> End {
    match word {
        "host" => End::Host(host()),
        "outside" => End::Outside,
        guest => End::guest(guest.parse().unwrap()),
    }
}

fn packet(query: &Value) -> Packet {
    let port = u16::try_from(query["dport"].as_u64().unwrap()).unwrap();
    Packet {
        from: end(text(&query["from"])),
        source: text(&query["source"]).parse().unwrap(),
        mac: None,
        to: end(text(&query["to"])),
        dest: text(&query["dest"]).parse().unwrap(),
        payload: if query["proto"] == "tcp" { Payload::tcp(port) } else { Payload::udp(port) },
    }
}

/// How many questions were asked, and those that were answered otherwise.
fn differences(cases: &[Value], spoil: impl Fn(&mut Network)) -> (usize, Vec<String>) {
    let (mut asked, mut wrong) = (0, Vec::new());
    for case in cases {
        let mut network = network(case);
        spoil(&mut network);
        let solver = Solver::new(&network);
        for query in case["queries"].as_array().unwrap() {
            asked += 1;
            let decision = solver.decide(&packet(query));
            let expected = text(&query["verdict"]);
            if verdict_word(decision.verdict).to_ascii_uppercase() != expected {
                wrong.push(format!("{}: {query}\n{decision}", text(&case["id"])));
            }
        }
    }
    (asked, wrong)
}

#[test]
fn every_recorded_verdict_is_ours() {
    let Some(cases) = cases() else { return };
    let (asked, wrong) = differences(&cases, |_| {});
    println!("{asked} verdicts of {} configurations, {} differences", cases.len(), wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {asked} differ, the first:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
    assert_eq!(asked, 5322);
}

/// Spoils every guest's firewall in one way.
fn guests(spoil: impl Fn(&mut infra::model::observed::GuestFirewall)) -> impl Fn(&mut Network) {
    move |network| network.guests.values_mut().filter_map(|guest| guest.firewall.as_mut()).for_each(&spoil)
}

#[test]
fn a_mistake_in_reading_the_files_is_caught() {
    let Some(cases) = cases() else { return };
    let forget = |option: &'static str| {
        guests(move |firewall| {
            firewall.options.remove(option);
        })
    };
    let swap_verdicts = |rules: &mut Vec<FirewallRule>| {
        for rule in rules {
            match rule.0.get("action").map(String::as_str) {
                Some("DROP") => rule.0.insert("action".into(), "REJECT".into()),
                Some("REJECT") => rule.0.insert("action".into(), "DROP".into()),
                _ => None,
            };
        }
    };
    let mut caught = BTreeMap::new();
    let mut plant = |what: &'static str, spoil: &dyn Fn(&mut Network)| {
        caught.insert(what, differences(&cases, spoil).1.len());
    };
    plant("rules are read from the end", &guests(|firewall| firewall.rules.reverse()));
    plant("ipfilter is not looked at", &forget("ipfilter"));
    plant("policy_in is not looked at", &forget("policy_in"));
    plant("policy_out is not looked at", &forget("policy_out"));
    plant("enable is not looked at", &guests(|firewall| drop(firewall.options.insert("enable".into(), "1".into()))));
    plant(
        "a disabled rule counts",
        &guests(|firewall| {
            for rule in &mut firewall.rules {
                rule.0.insert("enable".into(), "1".into());
            }
        }),
    );
    plant("drop and reject are mixed up", &guests(|firewall| swap_verdicts(&mut firewall.rules)));
    plant("the firewall of a card is not looked at", &|network| {
        network.guests.values_mut().flat_map(|guest| &mut guest.nics).for_each(|nic| nic.firewall = true);
    });
    plant("the local network may not manage", &|network| {
        network.hosts.values_mut().for_each(|host| host.local_network = None);
    });
    plant("groups are empty", &|network| {
        network.sites.values_mut().for_each(|site| site.groups.values_mut().for_each(|group| group.rules.clear()));
    });
    plant("groups are read from the end", &|network| {
        network.sites.values_mut().for_each(|site| site.groups.values_mut().for_each(|group| group.rules.reverse()));
    });
    plant("the datacenter's rules are not looked at", &|network| {
        network.sites.values_mut().for_each(|site| site.rules.clear());
    });
    println!("planted mistakes and the verdicts that give them away: {caught:?}");
    let missed: Vec<_> = caught.iter().filter(|(_, verdicts)| **verdicts == 0).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn the_verdicts_name_what_decided() {
    let Some(cases) = cases() else { return };
    for case in &cases {
        let network = network(case);
        let solver = Solver::new(&network);
        for query in case["queries"].as_array().unwrap() {
            let decision = solver.decide(&packet(query));
            assert!(decision.hops.iter().all(|hop| !hop.by.is_empty()), "{query}: {decision}");
            let last = decision.hops.last().map(|hop| hop.verdict);
            assert_eq!(last, Some(decision.verdict), "{query}: {decision}");
            let before = &decision.hops[..decision.hops.len() - 1];
            assert!(before.iter().all(|hop| hop.verdict == Verdict::Accept), "{query}: {decision}");
        }
    }
}

#[test]
fn whole_sets_of_ports_agree_with_single_packets() {
    let Some(cases) = cases() else { return };
    // Either side of every boundary that the configurations have, and some more.
    let ports = [1, 22, 53, 67, 68, 79, 80, 81, 135, 137, 139, 443, 445, 1900, 2999, 3000, 3999, 4000, 4001, 6379];
    let more = [5353, 7999, 8000, 8001, 8006, 8050, 8080, 8099, 8100, 8101, 11434, 60000, 60050, 60051, 65535];
    let mut compared = 0;
    for case in &cases {
        let network = network(case);
        let solver = Solver::new(&network);
        for query in case["queries"].as_array().unwrap() {
            let mut packet = packet(query);
            let open = solver.open_ports(&packet);
            for port in ports.iter().chain(&more).copied() {
                packet.payload = match packet.payload {
                    Payload::Tcp { .. } => Payload::tcp(port),
                    _ => Payload::udp(port),
                };
                let decision = solver.decide(&packet);
                assert_eq!(open.contains(port), decision.passes(), "{query} {port}: {open}\n{decision}");
                compared += 1;
            }
        }
    }
    println!("{compared} packets compared with sets of ports");
}

#[test]
fn every_macro_of_proxmox_is_known() {
    let Some(bytes) = shared("recordings-9.2.jsonl.gz") else {
        println!("not run: the recordings are not here (set INFRA_SHARED)");
        return;
    };
    let text = String::from_utf8(bytes).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let answer = rows.into_iter().find(|row| row["name"] == "fw.macros").unwrap();
    let recorded: std::collections::BTreeSet<String> = answer["response"]["json"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["macro"].as_str().unwrap().to_owned())
        .collect();
    let ours = macro_names().map(str::to_owned).collect();
    assert_eq!(recorded, ours);
    println!("{} macros", recorded.len());
}
