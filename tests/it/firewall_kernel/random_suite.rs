//! The solver against the kernel, on sites at random.

use std::fmt::Write as _;
use std::time::Instant;

use infra::isolation::Solver;

use super::compile::compile;
use super::site::{End, Load, Packet, Site, Verdict};
use super::world::{Variant, World};
use super::{differences, random, solver, world};

/// How many sites; each is another seed.
const SITES: u64 = 200;

fn wanted(site: &Site, world: &World, packets: Vec<Packet>) -> Vec<(Packet, Verdict)> {
    let network = solver::network(site, &world.ground);
    let solver = Solver::new(&network);
    let decide = |packet: Packet| {
        let decision = solver.decide(&solver::packet(site, &packet));
        (packet, solver::verdict(&decision))
    };
    packets.into_iter().map(decide).collect()
}

/// Whether the kernel and the solver differ about these packets, and about which first.
fn differ(world: &mut World, site: &Site, packets: Vec<Packet>) -> Vec<super::Difference> {
    let wanted = wanted(site, world, packets);
    world.load(&site.guests, &compile(site)).unwrap();
    differences(world, &site.guests, &wanted)
}

/// Takes lines out of the files as long as the two still differ about the packet, and tells what is left.
fn smallest(world: &mut World, site: &Site, packet: &Packet) -> String {
    let mut small = site.clone();
    let files: Vec<String> = small.files.keys().cloned().collect();
    for file in files {
        let mut line = small.files[&file].lines().count();
        while line > 0 {
            line -= 1;
            let mut lines: Vec<&str> = small.files[&file].lines().collect();
            lines.remove(line);
            let mut tried = small.clone();
            tried.files.insert(file.clone(), format!("{}\n", lines.join("\n")));
            // A file that was left without anything would be no file.
            if !differ(world, &tried, vec![packet.clone()]).is_empty() {
                small = tried;
            }
        }
    }
    let network = solver::network(&small, &world.ground);
    let decision = Solver::new(&network).decide(&solver::packet(&small, packet));
    let mut text = String::new();
    for (name, file) in &small.files {
        let _ = write!(text, "== {name}\n{file}");
    }
    for guest in &small.guests {
        let _ = writeln!(text, "{guest:?}");
    }
    let _ = write!(text, "packet: {packet}\nsolver:\n{decision}\n");
    text
}

/// Compares on all seeds; gives the number of packets.
fn compare(world: &mut World, seeds: impl Iterator<Item = u64>) -> (usize, [usize; 3]) {
    let (mut packets, mut verdicts) = (0, [0; 3]);
    for seed in seeds {
        let site = random::site(seed);
        let sent = wanted(&site, world, random::packets(&site, &world.ground, seed));
        world.load(&site.guests, &compile(&site)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = differences(world, &site.guests, &sent);
        if let Some(first) = found.first() {
            let small = smallest(world, &site, &first.packet);
            let all: Vec<String> = found.iter().map(|one| format!("{} {one:?}", one.packet)).collect();
            panic!("seed {seed}: {} of {} differ:\n{}\n{small}", found.len(), sent.len(), all.join("\n"));
        }
        packets += sent.len();
        for (_, verdict) in sent {
            verdicts[verdict as usize] += 1;
        }
    }
    (packets, verdicts)
}

#[test]
fn the_solver_and_the_kernel_agree_on_every_pair_of_random_sites() {
    let started = Instant::now();
    let suite = "firewall_kernel (the solver on random sites)";
    let Some(mut world) = world(suite, &random::population(), Variant::Legacy) else { return };
    let (packets, [accepted, dropped, rejected]) = compare(&mut world, 0..SITES);
    println!(
        "{packets} packets through {SITES} random sites, no difference: {accepted} accepted, {dropped} dropped, \
         {rejected} rejected, in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    assert!(accepted > 5_000 && dropped > 5_000 && rejected > 1_000);
}

#[test]
fn the_solver_and_the_kernel_agree_where_iptables_speaks_nftables() {
    let suite = "firewall_kernel (the solver on random sites through nf_tables)";
    let Some(mut world) = world(suite, &random::population(), Variant::Nft) else { return };
    let (packets, _) = compare(&mut world, SITES..SITES + 20);
    println!("{packets} packets through 20 random sites, no difference");
}

/// What the first comparison found: the solver looked for `dc/NAME` everywhere but in the datacenter's own file.
#[test]
fn a_set_of_the_datacenter_may_name_an_alias_of_the_datacenter_in_full() {
    let suite = "firewall_kernel (an alias in full)";
    let Some(mut world) = world(suite, &random::population(), Variant::Legacy) else { return };
    let cluster = "[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nsix fd00::a00:14\nfour 10.0.0.20\n\n[IPSET friends]\n\n\
                   dc/four\ndc/six\n\n[RULES]\n\nIN ACCEPT -source +friends -p tcp -dport 4000\n";
    let site = Site {
        files: [("cluster.fw".to_owned(), cluster.to_owned())].into(),
        guests: random::population(),
        local_network: "192.0.2.0/24".to_owned(),
    };
    let packets = random::packets(&site, &world.ground, 1);
    let from_200 = |packet: &&Packet| packet.from == End::Guest(2, 0) && packet.to == End::Host;
    let mut knocks: Vec<Packet> = packets.iter().filter(from_200).cloned().collect();
    for knock in &mut knocks {
        knock.load = Load::Tcp { dport: 4000 };
    }
    let wanted = wanted(&site, &world, knocks.clone());
    assert!(wanted.iter().any(|(packet, verdict)| packet.source.is_ipv6() && *verdict == Verdict::Accept));
    let found = differ(&mut world, &site, knocks);
    assert!(found.is_empty(), "{found:#?}");
}
