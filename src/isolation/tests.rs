//! Quirks of Proxmox's firewall, one test each, on a network of two guests and a host.

use std::net::IpAddr;

use super::{End, Guest, Host, Mac, Network, Nic, Packet, Payload, PortSet, Solver};
use crate::blueprint::Verdict;
use crate::model::observed::GuestKind;
use crate::model::{GuestName, HostName, Vmid};
use crate::proxmox::firewall_file::{read_cluster, read_guest, read_host};

const ON: &str = "[OPTIONS]\nenable: 1\n";
const OPEN: &str = "[OPTIONS]\nenable: 1\npolicy_in: ACCEPT\npolicy_out: ACCEPT\n";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn hq() -> HostName {
    "hq".parse().unwrap()
}

fn name(text: &str) -> GuestName {
    text.parse().unwrap()
}

/// A VM `vm` (100) and a container `ct` (101) on one host, with these files.
fn network(cluster: &str, host: &str, vm: &str, ct: &str) -> Network {
    let mut network = Network::default();
    network.sites.insert("hq".into(), read_cluster(cluster));
    let one = Host {
        site: "hq".into(),
        firewall: read_host(host),
        addresses: vec![ip("10.0.0.2"), ip("fd00::2")],
        networks: vec!["10.0.0.0/24".parse().unwrap()],
        local_network: Some("10.0.0.0/24".parse().unwrap()),
        uplink: "eno1".into(),
    };
    network.hosts.insert(hq(), one);
    for (kind, label, number, file) in [(GuestKind::Qemu, "vm", 100, vm), (GuestKind::Lxc, "ct", 101, ct)] {
        let last = u8::try_from(number - 90).unwrap();
        let nic = Nic {
            index: 0,
            mac: Some(Mac([0xbc, 0x24, 0x11, 0, 0, last])),
            bridge: "vmbr0".into(),
            vlan: None,
            firewall: true,
            addresses: vec![IpAddr::from([10, 0, 0, last]), ip(&format!("fd00::{last}"))],
        };
        let guest = Guest {
            host: hq(),
            kind,
            vmid: Vmid::try_from(number).unwrap(),
            nics: vec![nic],
            firewall: (!file.is_empty()).then(|| read_guest(file)),
        };
        network.guests.insert(name(label), guest);
    }
    network
}

/// The same with nothing but a datacenter's file.
fn named(cluster: &str) -> Network {
    network(cluster, "", "", "")
}

fn packet(from: &str, source: &str, to: &str, dest: &str, payload: Payload) -> Packet {
    let end = |text: &str| match text {
        "hq" => End::Host(hq()),
        "outside" => End::Outside,
        guest => End::guest(name(guest)),
    };
    Packet { from: end(from), source: ip(source), mac: None, to: end(to), dest: ip(dest), payload }
}

fn verdict(network: &Network, packet: &Packet) -> Verdict {
    let solver = Solver::new(network);
    let decision = solver.decide(packet);
    if let Some((_, port)) = packet.payload.ports() {
        assert_eq!(solver.open_ports(packet).contains(port), decision.passes(), "{packet:?}\n{decision}");
    }
    decision.verdict
}

#[test]
fn ipfilter_on_a_vm_without_a_set_of_its_own_stops_all_of_its_ipv4() {
    let filtered = "[OPTIONS]\nenable: 1\nipfilter: 1\n";
    let tcp = Payload::tcp(80);
    let out = |network: &Network, who: &str, source: &str| {
        verdict(network, &packet(who, source, "outside", "203.0.113.9", tcp))
    };
    let both = network(ON, "", filtered, filtered);
    assert_eq!(out(&both, "vm", "10.0.0.10"), Verdict::Drop, "Proxmox does not know a VM's address");
    assert_eq!(out(&both, "ct", "10.0.0.11"), Verdict::Accept, "but a container's");
    assert_eq!(out(&both, "ct", "10.0.0.10"), Verdict::Drop, "which is its only one");
    let told = network(ON, "", &format!("{filtered}[IPSET ipfilter-net0]\n10.0.0.10\n"), "");
    assert_eq!(out(&told, "vm", "10.0.0.10"), Verdict::Accept);
    let set_alone = network(ON, "", &format!("{ON}[IPSET ipfilter-net0]\n10.0.0.10\n"), "");
    assert_eq!(out(&set_alone, "vm", "10.0.0.11"), Verdict::Drop, "the set filters without the option");
}

#[test]
fn a_group_on_one_interface_lets_in_from_all_what_guests_were_allowed_to_send() {
    let cluster = "[OPTIONS]\nenable: 1\n[RULES]\nGROUP web -i eno1\n[group web]\nIN ACCEPT -p tcp -dport 443\n";
    let network = network(cluster, "", ON, "");
    let to_host =
        |from: &str, source: &str, port| verdict(&network, &packet(from, source, "hq", "10.0.0.2", Payload::tcp(port)));
    assert_eq!(to_host("outside", "203.0.113.9", 443), Verdict::Accept);
    assert_eq!(to_host("outside", "203.0.113.9", 9000), Verdict::Drop);
    // The guest's packet comes in on vmbr0 and still carries the mark of its own chain.
    assert_eq!(to_host("vm", "10.0.0.10", 9000), Verdict::Accept);
    // One whose firewall is off was never marked.
    assert_eq!(to_host("ct", "10.0.0.11", 9000), Verdict::Drop);
}

#[test]
fn a_group_that_cannot_be_compiled_leaves_its_guests_without_a_firewall() {
    let cluster = |set: &str| {
        format!(
            "[OPTIONS]\nenable: 1\n[IPSET friends]\n10.0.0.99\n[group g]\nIN ACCEPT -source {set} -p tcp -dport 22\n"
        )
    };
    let guest = format!("{ON}[RULES]\nGROUP g\n");
    let from_ct = packet("ct", "10.0.0.11", "vm", "10.0.0.10", Payload::tcp(22));
    assert_eq!(verdict(&network(&cluster("+dc/friends"), "", &guest, ""), &from_ct), Verdict::Drop);
    let broken = network(&cluster("+guest/friends"), "", &guest, "");
    assert_eq!(verdict(&broken, &from_ct), Verdict::Accept, "a group has no guest");
    let skipped = Solver::new(&broken).skipped();
    assert!(skipped.iter().any(|one| one.why.contains("no firewall at all")), "{skipped:?}");
}

#[test]
fn a_rule_that_proxmox_leaves_out_is_said_and_does_not_count() {
    let guest = format!("{ON}[RULES]\nIN ACCEPT -source +nobody -p tcp -dport 22\nIN ACCEPT -p tcp -dport 80\n");
    let network = network(ON, "", &guest, "");
    let to = |port| verdict(&network, &packet("ct", "10.0.0.11", "vm", "10.0.0.10", Payload::tcp(port)));
    assert_eq!((to(22), to(80)), (Verdict::Drop, Verdict::Accept));
    let skipped = Solver::new(&network).skipped();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert!(skipped[0].rule.to_string().starts_with("100.fw [RULES] 0: IN ACCEPT"), "{}", skipped[0].rule);
}

#[test]
fn whatever_is_off_lets_everything_through() {
    let packet = packet("ct", "10.0.0.11", "vm", "10.0.0.10", Payload::tcp(22));
    let closed = network(ON, "", ON, "");
    assert_eq!(verdict(&closed, &packet), Verdict::Drop);
    let why = |network: &Network| {
        let decision = Solver::new(network).decide(&packet);
        assert!(decision.passes(), "{decision}");
        decision.hops.last().unwrap().by[0].to_string()
    };
    assert_eq!(why(&network("[OPTIONS]\nenable: 0\n", "", ON, "")), "cluster.fw [OPTIONS] enable: 0");
    assert_eq!(why(&network("", "", ON, "")), "cluster.fw [OPTIONS] enable: 0 (default)");
    assert_eq!(why(&network(ON, "", "[OPTIONS]\nenable: 0\n", "")), "100.fw [OPTIONS] enable: 0");
    assert_eq!(why(&network(ON, "", "", "")), "100.fw [OPTIONS] enable: 0 (default)");
    let mut bare = network(ON, "", ON, "");
    bare.guests.get_mut(&name("vm")).unwrap().nics[0].firewall = false;
    assert_eq!(why(&bare), "net0 of 100 has no firewall=1");
}

#[test]
fn who_is_on_the_blacklist_stays_out_of_cards_with_a_firewall_even_if_their_guest_has_none() {
    let cluster = "[OPTIONS]\nenable: 1\npolicy_in: ACCEPT\n[IPSET blacklist]\n203.0.113.0/24\n!203.0.113.7\n";
    let mut network = network(cluster, "", "", OPEN);
    let to = |network: &Network, source: &str, to: &str, dest: &str| {
        verdict(network, &packet("outside", source, to, dest, Payload::tcp(80)))
    };
    for (name, dest) in [("vm", "10.0.0.10"), ("ct", "10.0.0.11"), ("hq", "10.0.0.2")] {
        assert_eq!(to(&network, "203.0.113.9", name, dest), Verdict::Drop, "{name}");
        assert_eq!(to(&network, "203.0.113.7", name, dest), Verdict::Accept, "{name}: an exception");
    }
    network.guests.get_mut(&name("vm")).unwrap().nics[0].firewall = false;
    assert_eq!(to(&network, "203.0.113.9", "vm", "10.0.0.10"), Verdict::Accept, "no card, no list");
}

#[test]
fn a_foreign_hardware_address_is_dropped_unless_macfilter_is_off() {
    let mut forged = packet("vm", "10.0.0.10", "ct", "10.0.0.11", Payload::tcp(80));
    forged.mac = Some(Mac([2, 0, 0, 0, 0, 1]));
    assert_eq!(verdict(&network(ON, "", ON, OPEN), &forged), Verdict::Drop);
    let off = "[OPTIONS]\nenable: 1\nmacfilter: 0\n";
    assert_eq!(verdict(&network(ON, "", off, OPEN), &forged), Verdict::Accept);
    forged.mac = Some(Mac([0xbc, 0x24, 0x11, 0, 0, 10]));
    assert_eq!(verdict(&network(ON, "", ON, OPEN), &forged), Verdict::Accept, "its own");
}

#[test]
fn ipv6_has_rules_of_its_own() {
    let guest = format!("{ON}[RULES]\nIN SSH(ACCEPT) -source 10.0.0.0/24\nIN Ping(ACCEPT)\nIN HTTP(ACCEPT)\n");
    let both = network(ON, "", &guest, OPEN);
    let six = |payload| verdict(&both, &packet("ct", "fd00::11", "vm", "fd00::10", payload));
    assert_eq!(six(Payload::tcp(22)), Verdict::Drop, "the rule is about IPv4");
    assert_eq!(six(Payload::tcp(80)), Verdict::Accept, "the rule is about both");
    assert_eq!(six(Payload::ping(ip("fd00::10"))), Verdict::Accept);
    let message = |kind| Payload::Icmp { kind, code: 0 };
    assert_eq!(six(message(135)), Verdict::Accept, "neighbours are found");
    assert_eq!(six(message(129)), Verdict::Drop);
    let advertise = packet("ct", "fe80::1", "outside", "ff02::1", message(134));
    assert_eq!(verdict(&both, &advertise), Verdict::Drop, "no guest advertises a router");
    let router = network(ON, "", "", "[OPTIONS]\nenable: 1\nradv: 1\n");
    assert_eq!(verdict(&router, &advertise), Verdict::Accept);
    let silent = network(ON, "", "[OPTIONS]\nenable: 1\nndp: 0\n", OPEN);
    assert_eq!(verdict(&silent, &packet("ct", "fd00::11", "vm", "fd00::10", message(135))), Verdict::Drop);
}

#[test]
fn a_client_of_dhcp_is_answered_unless_dhcp_is_off() {
    let answer = Payload::Udp { from: 67, to: 68 };
    let from_server = packet("outside", "10.0.0.1", "vm", "10.0.0.10", answer);
    assert_eq!(verdict(&network(ON, "", ON, ""), &from_server), Verdict::Accept);
    assert_eq!(verdict(&network(ON, "", "[OPTIONS]\nenable: 1\ndhcp: 0\n", ""), &from_server), Verdict::Drop);
}

#[test]
fn rejecting_drops_what_nobody_must_be_told() {
    let network = network(ON, "", "[OPTIONS]\nenable: 1\npolicy_in: REJECT\n", OPEN);
    let to = |dest: &str, payload| verdict(&network, &packet("ct", "10.0.0.11", "vm", dest, payload));
    assert_eq!(to("10.0.0.10", Payload::tcp(22)), Verdict::Reject);
    assert_eq!(to("10.0.0.10", Payload::ping(ip("10.0.0.10"))), Verdict::Drop, "ICMP");
    assert_eq!(to("10.0.0.255", Payload::udp(22)), Verdict::Drop, "a broadcast");
    assert_eq!(to("10.0.0.10", Payload::udp(1900)), Verdict::Drop, "UPnP");
    assert_eq!(to("10.0.0.10", Payload::Icmp { kind: 3, code: 4 }), Verdict::Accept, "fragmentation needed");
}

#[test]
fn whoever_is_in_the_local_network_or_in_management_may_manage() {
    let cluster = "[OPTIONS]\nenable: 1\n[IPSET management]\n192.168.10.0/24\n!192.168.10.66\n";
    let network = network(cluster, "", "", "");
    let open =
        |source: &str| Solver::new(&network).open_ports(&packet("outside", source, "hq", "10.0.0.2", Payload::tcp(1)));
    let managed = PortSet::of([(22, 22), (3128, 3128), (5900, 5999), (8006, 8006), (60000, 60050)]);
    assert_eq!(open("192.168.10.5"), managed);
    assert_eq!(open("10.0.0.77"), managed);
    assert_eq!(open("192.168.10.66"), PortSet::default());
    assert_eq!(open("203.0.113.9"), PortSet::default());
    let moved = named("[OPTIONS]\nenable: 1\n[ALIASES]\nlocal_network 172.16.0.0/16\n");
    let open =
        |source: &str| Solver::new(&moved).open_ports(&packet("outside", source, "hq", "10.0.0.2", Payload::tcp(1)));
    assert_eq!((open("10.0.0.77"), open("172.16.3.4")), (PortSet::default(), managed));
}

#[test]
fn a_decision_names_the_group_and_the_rule_in_it() {
    let cluster =
        "[OPTIONS]\nenable: 1\n[group apart]\nIN ACCEPT -p tcp -dport 80\nIN DROP -source 10.0.0.0/24 # east-west\n";
    let guest = format!("{ON}[RULES]\nIN ACCEPT -p tcp -dport 22\nGROUP apart\n");
    let network = network(cluster, "", &guest, OPEN);
    let decision = Solver::new(&network).decide(&packet("ct", "10.0.0.11", "vm", "10.0.0.10", Payload::tcp(443)));
    assert_eq!(
        decision.to_string(),
        "out of ct net0: accept by 101.fw [OPTIONS] policy_out: ACCEPT\n\
         in to vm net0: drop by 100.fw [RULES] 1: GROUP apart → cluster.fw [group apart] 1: IN DROP -source 10.0.0.0/24 \
         # east-west\n\
         drop"
    );
}
