//! A wrong rule is noticed: the comparison is no better than what it would catch.

use fastrand::Rng;

use super::compile::{Chains, Compiled, compile};
use super::site::{Packet, Site, Verdict};
use super::world::{Variant, World};
use super::{Difference, MORE_PATIENCE, differences, probe, random, world};

/// A site that uses what there is to use, and has few rules enough that each of them matters.
fn site() -> Site {
    let files = [
        (
            "cluster.fw",
            "[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nplanhq 10.0.0.10\n\n[IPSET projects]\n\n10.0.0.20\n10.0.0.21\n\n\
             [group gateway]\n\nIN ACCEPT -source +projects -p tcp -dport 4000\nIN DROP -source planhq\n",
        ),
        ("100.fw", "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nGROUP gateway\nIN ACCEPT -p udp -dport 53\n"),
        (
            "101.fw",
            "[OPTIONS]\n\nenable: 1\npolicy_in: REJECT\npolicy_out: DROP\n\n[RULES]\n\nOUT ACCEPT -dest planhq\n",
        ),
        (
            "200.fw",
            "[OPTIONS]\n\nenable: 1\nipfilter: 1\nmacfilter: 1\n\n[RULES]\n\nIN DROP -p tcp -dport 80\nIN Web(ACCEPT)\n",
        ),
        ("201.fw", "[OPTIONS]\n\nenable: 1\npolicy_in: ACCEPT\n\n[RULES]\n\nIN REJECT -p tcp -dport 443\n"),
        ("202.fw", "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nIN ACCEPT -source fd00::/64 -p tcp -dport 22\n"),
    ];
    Site {
        files: files.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        guests: random::population(),
        local_network: "10.0.0.0/24".to_owned(),
    }
}

/// What is sent, in batches, with what becomes of it while nothing is wrong.
fn batches(world: &mut World, site: &Site) -> Vec<Vec<(Packet, Verdict)>> {
    world.load(&site.guests, &compile(site)).unwrap();
    let batch = |seed| {
        let packets = random::packets(site, &world.ground, seed);
        let seen = probe::send(world, &site.guests, &packets, MORE_PATIENCE);
        packets.into_iter().zip(seen.iter().map(|outcome| outcome.verdict)).collect()
    };
    (0..4).map(batch).collect()
}

type Change = fn(&mut Compiled);

/// The packets that give a changed rule set away.
fn caught(world: &mut World, site: &Site, batches: &[Vec<(Packet, Verdict)>], changed: &Compiled) -> Vec<Difference> {
    world.load(&site.guests, changed).unwrap();
    batches.iter().flat_map(|wanted| differences(world, &site.guests, wanted)).collect()
}

fn without(chains: &mut Chains, chain: &str, part: &str) {
    let rules = chains.get_mut(chain).unwrap_or_else(|| panic!("no chain {chain}"));
    let place = rules.iter().position(|rule| rule.contains(part));
    rules.remove(place.unwrap_or_else(|| panic!("no `{part}` in {rules:#?}")));
}

#[test]
fn every_planted_mistake_is_caught() {
    let suite = "firewall_kernel (planted mistakes)";
    let Some(mut world) = world(suite, &random::population(), Variant::Legacy) else { return };
    let site = site();
    let wanted = batches(&mut world, &site);
    let unchanged = caught(&mut world, &site, &wanted, &compile(&site));
    assert!(unchanged.is_empty(), "nothing was changed, and yet: {unchanged:#?}");
    let mistakes: [(&str, Change); 12] = [
        ("everything is let in to a guest", |made| {
            made.v4.get_mut("tap100i0-IN").unwrap().insert(0, "-A tap100i0-IN -j ACCEPT".into());
        }),
        ("everything is let in to a guest over IPv6", |made| {
            made.v6.get_mut("veth202i0-IN").unwrap().insert(0, "-A veth202i0-IN -j ACCEPT".into());
        }),
        ("the policy is missing", |made| {
            made.v4.get_mut("tap100i0-IN").unwrap().pop();
        }),
        ("a refusal is silent", |made| without(&mut made.v4, "veth201i0-IN", "-j PVEFW-reject")),
        ("addresses are not filtered", |made| without(&mut made.v4, "veth200i0-OUT", "ipfilter")),
        ("hardware addresses are not filtered", |made| without(&mut made.v4, "veth200i0-OUT", "--mac-source")),
        ("a set lacks a member", |made| without(&mut made.sets, "PVEFW-0-projects-v4", "10.0.0.21")),
        ("rules are in the wrong order", |made| {
            let rules = made.v4.get_mut("veth200i0-IN").unwrap();
            let drop = rules.iter().position(|rule| rule.contains("--dport 80 -j DROP")).unwrap();
            rules.swap(drop, drop + 1);
        }),
        ("a group's mark is not looked at", |made| without(&mut made.v4, "tap100i0-IN", "-m mark")),
        ("a guest is not hooked in", |made| without(&mut made.v4, "PVEFW-FWBR-OUT", "tap101i0")),
        ("the host is not guarded", |made| without(&mut made.v4, "PVEFW-INPUT", "PVEFW-HOST-IN")),
        ("answers are not let back", |made| without(&mut made.v4, "PVEFW-FORWARD", "RELATED,ESTABLISHED")),
    ];
    for (what, change) in mistakes {
        let mut changed = compile(&site);
        change(&mut changed);
        let count = caught(&mut world, &site, &wanted, &changed).len();
        println!("{what}: {count} of {} packets tell", wanted.iter().map(Vec::len).sum::<usize>());
        assert!(count > 0, "not caught: {what}");
    }
}

/// Rules whose absence nothing could show: those for DHCP, which is not sent, those that count or mark for others, and
/// what only keeps noise out of the log.
fn shows(rule: &str) -> bool {
    let silent = ["CONNMARK", "--dport 67", "--dport 68", "MARK --set-mark", "-g PVEFW-SET-ACCEPT", "-j PVEFW-Drop"];
    !silent.iter().any(|part| rule.contains(part)) && !rule.contains("-j PVEFW-Reject")
}

#[test]
fn most_rules_that_are_left_out_at_random_are_missed() {
    let suite = "firewall_kernel (rules left out)";
    let Some(mut world) = world(suite, &random::population(), Variant::Legacy) else { return };
    let site = site();
    let wanted = batches(&mut world, &site);
    let unchanged = caught(&mut world, &site, &wanted, &compile(&site));
    assert!(unchanged.is_empty(), "nothing was changed, and yet: {unchanged:#?}");
    let mut rng = Rng::with_seed(7);
    let mut rules: Vec<(String, usize)> = Vec::new();
    for (chain, lines) in compile(&site).v4.iter().filter(|(chain, _)| !chain.starts_with("PVEFW-")) {
        let places = (0..lines.len()).filter(|place| shows(&lines[*place]));
        rules.extend(places.map(|place| (chain.clone(), place)));
    }
    rng.shuffle(&mut rules);
    rules.truncate(24);
    let mut unnoticed = Vec::new();
    for (chain, place) in &rules {
        let mut changed = compile(&site);
        let rule = changed.v4.get_mut(chain).unwrap().remove(*place);
        if caught(&mut world, &site, &wanted, &changed).is_empty() {
            unnoticed.push(rule);
        }
    }
    println!(
        "{} of {} rules left out are missed; not these: {unnoticed:#?}",
        rules.len() - unnoticed.len(),
        rules.len()
    );
    assert!(unnoticed.len() * 4 < rules.len());
}
