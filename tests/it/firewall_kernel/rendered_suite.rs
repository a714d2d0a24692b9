//! What `infra` itself writes: inventories are applied to the lab, the `.fw` files and configurations that come of it
//! are loaded into the kernel, and every pair is compared with the solver; between guests also with the declaration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use infra::blueprint::{Blueprint, Flow, GuestShape, Party};
use infra::isolation::Solver;
use infra::lab::shell::{DirectShell, run_line};
use infra::lab::{LiveSite, StateDir};
use infra::model::{HostName, Transport};
use infra::ports::{Command, Shell};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::compile::compile;
use super::site::{Card, End, Guest, Load, Packet, Site, Verdict};
use super::world::{Ground, Variant, World, v6_of};
use super::{Difference, differences, possible, random, solver};
use crate::desk::Desk;
use crate::random_inventory::{guests, inventory};
use crate::rig::Rig;

/// A host's guests as its own files say. `read` gives a file below `/etc/pve`.
fn site(blueprint: &Blueprint, host: &HostName, mut read: impl FnMut(&str) -> Option<String>) -> Site {
    let node = blueprint.hosts[host].node.as_str();
    let mut files = BTreeMap::new();
    let mut add = |name: String, text: Option<String>| files.extend(text.map(|text| (name, text)));
    add("host.fw".into(), read(&format!("nodes/{node}/host.fw")));
    // What isolates guests must not hang on who switched the datacenter's firewall on.
    let cluster = read("firewall/cluster.fw").unwrap_or_default();
    let cluster = match cluster.contains("enable: 1") {
        true => cluster,
        false => format!("[OPTIONS]\n\nenable: 1\n\n{}", cluster.replace("enable: 0\n", "")),
    };
    add("cluster.fw".into(), Some(cluster));
    let mut made = Vec::new();
    for guest in blueprint.guests.values().filter(|guest| guest.host == *host) {
        let vm = matches!(guest.shape, GuestShape::Vm(_));
        let vmid = guest.vmid.get();
        let folder = if vm { "qemu-server" } else { "lxc" };
        let config = read(&format!("nodes/{node}/{folder}/{vmid}.conf")).expect("it was made");
        made.push(Guest { vmid, vm, cards: vec![card(&config, vm)] });
        add(format!("{vmid}.fw"), read(&format!("firewall/{vmid}.fw")));
    }
    Site { files, guests: made, local_network: "192.168.10.0/24".into() }
}

fn card(config: &str, vm: bool) -> Card {
    let fields = |key: &str| -> BTreeMap<String, String> {
        let line = config.lines().take_while(|line| !line.starts_with('[')).find_map(|line| line.strip_prefix(key));
        let fields = line.unwrap_or_default().split(',').filter_map(|field| field.trim().split_once('='));
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let net = fields("net0:");
    let mac = net.get(if vm { "virtio" } else { "hwaddr" }).unwrap_or_else(|| panic!("no address in {config}"));
    let mut bytes = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap());
    let own = if vm { fields("ipconfig0:") } else { net.clone() };
    let v4: Ipv4Addr = own["ip"].split('/').next().unwrap().parse().unwrap();
    let firewall = net.get("firewall").is_some_and(|on| on == "1");
    Card {
        mac: std::array::from_fn(|_| bytes.next().unwrap()),
        firewall,
        v4,
        v6: v6_of(v4),
        named_v4: !vm,
        named_v6: false,
    }
}

fn ground() -> Ground {
    Ground { host: Ipv4Addr::new(192, 168, 10, 2), ..Ground::default() }
}

/// Sends everything through a site and tells what differs from the solver, with the packets that were let through.
fn compare(world: &mut World, site: &Site, packets: Vec<Packet>) -> (Vec<(Packet, Verdict)>, Vec<Difference>) {
    let network = solver::network(site, &world.ground);
    let solve = Solver::new(&network);
    let decide = |packet: Packet| {
        let verdict = solver::verdict(&solve.decide(&solver::packet(site, &packet)));
        (packet, verdict)
    };
    let wanted: Vec<(Packet, Verdict)> = packets.into_iter().map(decide).collect();
    world.load(&site.guests, &compile(site)).unwrap();
    let found = differences(world, &site.guests, &wanted);
    (wanted, found)
}

fn told(site: &Site, found: &[Difference]) -> String {
    let lines: Vec<String> = found.iter().map(|one| format!("{} {one:?}", one.packet)).collect();
    format!("{} differences:\n{}\n{:#?}", found.len(), lines.join("\n"), site.files)
}

/// `inventories/vrooli`, and what it became on a lab's host.
fn vrooli() -> (Blueprint, Site) {
    let desk = Desk::new();
    desk.run(0, &["apply", "--lab", "--yes"]);
    let files = infra::adapters::files::read_inventory(&[
        camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories/vrooli")
    ]);
    let (blueprint, _) = infra::blueprint::resolve(&infra::inventory::load(&files).inventory.unwrap());
    let blueprint = blueprint.unwrap();
    let host: HostName = "hq".parse().unwrap();
    let state = StateDir::open(&desk.path(".infra/lab/vrooli")).unwrap();
    let mut lab = state.store("hq").load().unwrap().expect("a world");
    let site = site(&blueprint, &host, |path| {
        let output = run_line(&mut lab, "hq", &format!("cat /etc/pve/{path}"), b"");
        (output.code == 0).then(|| String::from_utf8(output.stdout).unwrap())
    });
    assert!(site.guests.len() == 5 && site.guests.iter().all(|guest| guest.cards[0].firewall));
    (blueprint, site)
}

/// What did not fare between guests as it was declared.
fn not_as_declared(blueprint: &Blueprint, site: &Site, sent: &[(Packet, Verdict)]) -> Vec<String> {
    let other = sent.iter().filter(|(packet, verdict)| {
        declared(blueprint, site, packet).is_some_and(|flow| flow != (*verdict == Verdict::Accept))
    });
    other.map(|(packet, verdict)| format!("{packet}: {verdict:?}")).collect()
}

#[test]
fn a_mistake_planted_in_the_rendered_files_is_given_away_by_the_declaration() {
    if !possible("firewall_kernel (planted mistakes)") {
        return;
    }
    let (blueprint, site) = vrooli();
    let mut world = World::build(ground(), site.guests.clone(), Variant::Legacy).unwrap();
    let mut given_away = |site: &Site| {
        // The kernel does what the files say, and the solver knows it; only the declaration can tell.
        let (sent, found) = compare(&mut world, site, everything_declared(&blueprint, site));
        assert!(found.is_empty(), "{}", told(site, &found));
        not_as_declared(&blueprint, site, &sent)
    };
    assert_eq!(given_away(&site), Vec::<String>::new());
    // A line of a file is taken out, or says something else.
    type Mistake = fn(&str) -> Option<String>;
    let mistakes: [(&str, Mistake); 4] = [
        ("guests accept what no rule names, and are not set apart", |line| match line {
            line if line.starts_with("policy_in:") => Some("policy_in: ACCEPT".to_owned()),
            line if line.starts_with("policy_out:") => Some("policy_out: ACCEPT".to_owned()),
            line if line.starts_with("GROUP infra_") => None,
            line => Some(line.to_owned()),
        }),
        ("what a flow opens is left out", |line| {
            (!(line.starts_with("IN ACCEPT") && line.contains("+dc/infra_"))).then(|| line.to_owned())
        }),
        ("a flow between guests opens every port", |line| match line.split_once(" -dport ") {
            Some((before, after)) if before.contains("dc/infra_") => {
                let comment = after.split_once(' ').map(|(_, rest)| rest).unwrap_or_default();
                Some(format!("{before} {comment}"))
            }
            _ => Some(line.to_owned()),
        }),
        ("guests are no members of the sets that they were put into", |line| {
            (!line.starts_with("dc/infra_")).then(|| line.to_owned())
        }),
    ];
    for (what, mistake) in mistakes {
        let mut wrong = site.clone();
        for text in wrong.files.values_mut() {
            *text = text.lines().filter_map(mistake).map(|line| line + "\n").collect();
        }
        assert!(wrong.files != site.files, "nothing was planted: {what}\n{:#?}", site.files);
        let told = given_away(&wrong);
        println!("{what}: {} packets give it away", told.len());
        assert!(!told.is_empty(), "{what}");
    }
}

#[test]
fn the_rendered_firewall_of_vrooli_does_in_the_kernel_what_the_solver_says() {
    if !possible("firewall_kernel (inventories/vrooli)") {
        return;
    }
    let (blueprint, site) = vrooli();
    let mut world = World::build(ground(), site.guests.clone(), Variant::Legacy).unwrap();
    let mut packets: Vec<Packet> = (0..4).flat_map(|seed| random::packets(&site, &world.ground, seed)).collect();
    packets.extend(everything_declared(&blueprint, &site));
    let (sent, found) = compare(&mut world, &site, packets);
    assert!(found.is_empty(), "{}", told(&site, &found));
    let accepted = sent.iter().filter(|(_, verdict)| *verdict == Verdict::Accept).count();
    println!("inventories/vrooli: {} packets, {accepted} of them let through, no difference", sent.len());

    // Between guests, what is let through is what was declared, over IPv4; and nothing else is.
    let other = not_as_declared(&blueprint, &site, &sent);
    assert!(other.is_empty(), "not as declared: {other:#?}\n{:#?}", site.files);
    let flows = sent.iter().filter(|(packet, _)| declared(&blueprint, &site, packet) == Some(true)).count();
    println!("between guests exactly what was declared: {flows} packets of flows, the rest of nobody");
    let between = |flow: &&Flow| matches!((&flow.from, &flow.to), (Party::Guest(_), Party::Guest(_)));
    let all = blueprint.flows.iter().filter(between).count();
    assert!(all > 0 && flows >= all, "{flows} packets for {all} flows");
}

/// From every guest to every other one on every port that any flow names, on SSH and on one that nobody names.
fn everything_declared(blueprint: &Blueprint, site: &Site) -> Vec<Packet> {
    let named = blueprint.flows.iter().map(|flow| (flow.transport == Transport::Tcp, flow.ports.first()));
    let ports: BTreeSet<(bool, u16)> = named.chain([(true, 22), (true, 9)]).collect();
    let all = || site.guests.iter().enumerate();
    let pairs = all().flat_map(|from| all().map(move |to| (from, to))).filter(|((from, _), (to, _))| from != to);
    let packet = |((from, sender), (to, receiver)): ((usize, &Guest), (usize, &Guest)), (tcp, dport)| Packet {
        from: End::Guest(from, 0),
        to: End::Guest(to, 0),
        source: sender.cards[0].v4.into(),
        dest: receiver.cards[0].v4.into(),
        load: if tcp { Load::Tcp { dport } } else { Load::Udp { dport, sport: None } },
        foreign_mac: false,
    };
    pairs.flat_map(|pair| ports.iter().map(move |port| packet(pair, *port)).collect::<Vec<_>>()).collect()
}

/// Whether a flow says that this may pass from one guest to another; nothing about everything else.
fn declared(blueprint: &Blueprint, site: &Site, packet: &Packet) -> Option<bool> {
    let (End::Guest(from, card), End::Guest(to, _)) = (packet.from, packet.to) else { return None };
    let named = |place: usize| {
        let vmid = site.guests[place].vmid;
        blueprint.guests.values().find(|guest| guest.vmid.get() == vmid).map(|guest| Party::Guest(guest.name.clone()))
    };
    let (transport, port) = match packet.load {
        Load::Tcp { dport } => (Transport::Tcp, dport),
        Load::Udp { dport, .. } => (Transport::Udp, dport),
        Load::Ping => return None,
    };
    // Guests have addresses of IPv4 only, and say whose they are.
    let honest = IpAddr::V4(site.guests[from].cards[card].v4) == packet.source && !packet.foreign_mac;
    let (from, to) = (named(from)?, named(to)?);
    let flow = blueprint.flows.iter().any(|flow| {
        let covers = flow.ports.first() <= port && port <= flow.ports.last();
        flow.from == from && flow.to == to && flow.transport == transport && covers
    });
    Some(flow && honest)
}

#[test]
fn the_rendered_firewalls_of_random_inventories_do_in_the_kernel_what_the_solver_and_their_flows_say() {
    if !possible("firewall_kernel (random inventories)") {
        return;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let host: HostName = "hq".parse().unwrap();
    let (mut inventories, mut packets, mut flows) = (0, 0, 0);
    for seed in 0..40 {
        let guests = guests().new_tree(&mut runner).unwrap().current();
        // What is written by hand says more than flows do: every second inventory is held against them alone.
        let by_flows = seed % 2 == 0;
        let mut document: serde_json::Value = serde_json::from_str(&inventory(&guests)).unwrap();
        for guest in document["guests"].as_object_mut().unwrap().values_mut().filter(|_| by_flows) {
            guest.as_object_mut().unwrap().remove("firewall");
        }
        let blueprint = crate::rig::blueprint(&document.to_string()).unwrap();
        let rig = Rig::new(0);
        let run = runtime.block_on(rig.apply(&blueprint));
        assert!(run.failures.is_empty(), "{:?}", run.failures);
        let shell = DirectShell::new(Arc::<LiveSite>::clone(&rig.site), "pve1");
        let site = site(&blueprint, &host, |path| {
            let command = Command::new(["cat", &format!("/etc/pve/{path}")]);
            let output = runtime.block_on(shell.run(&command)).unwrap();
            (output.code == 0).then(|| String::from_utf8(output.stdout).unwrap())
        });
        let mut world = World::build(ground(), site.guests.clone(), Variant::Legacy).unwrap();
        let mut asked: Vec<Packet> =
            (seed..seed + 2).flat_map(|seed| random::packets(&site, &world.ground, seed)).collect();
        asked.extend(everything_declared(&blueprint, &site).into_iter().filter(|_| by_flows));
        let (sent, found) = compare(&mut world, &site, asked);
        assert!(found.is_empty(), "inventory {seed}: {}", told(&site, &found));
        if by_flows {
            let other = not_as_declared(&blueprint, &site, &sent);
            assert!(other.is_empty(), "inventory {seed} is not as declared: {other:#?}\n{:#?}", site.files);
            flows += sent.iter().filter(|(packet, _)| declared(&blueprint, &site, packet) == Some(true)).count();
        }
        inventories += 1;
        packets += sent.len();
    }
    assert!(flows > 0, "some of it was declared");
    println!("{inventories} random inventories, {packets} packets, {flows} of flows, no difference");
}
