//! What a real Proxmox VE 9.2 said and compiled, against our compiler and against the kernel.

use super::compile::compile;
use super::site::Site;
use super::world::{Variant, World};
use super::{Difference, differences, recorded, world};

const NO_RECORDINGS: &str =
    "not run: the recorded verdicts: set INFRA_SHARED to the directory that holds pve/firewall-verdicts-9.2.jsonl.gz";

#[test]
fn the_compiler_makes_the_chains_that_proxmox_made() {
    let Some(cases) = recorded::cases() else { return println!("{NO_RECORDINGS}") };
    let mut count = (0, 0, 0);
    for case in &cases {
        let Some(theirs) = &case.compiled else { continue };
        let ours = compile(&case.site);
        for (chain, rules) in &theirs.v4 {
            assert_eq!(ours.v4.get(chain), Some(rules), "{} {chain}", case.id);
            count.1 += rules.len();
        }
        assert_eq!(ours.v4.len(), theirs.v4.len(), "{}: {:?}", case.id, ours.v4.keys());
        assert_eq!(ours.sets, theirs.sets, "{}", case.id);
        count.2 += theirs.sets.len();
        count.0 += 1;
    }
    println!("{} configurations, {} rules and {} sets are those of Proxmox", count.0, count.1, count.2);
    assert_eq!(count.0, 12);
}

fn everybody(cases: &[recorded::Case]) -> Vec<super::site::Guest> {
    let mut all = Vec::new();
    for guest in cases.iter().flat_map(|case| &case.site.guests) {
        if !all.iter().any(|known: &super::site::Guest| known.vmid == guest.vmid) {
            all.push(guest.clone());
        }
    }
    all
}

fn told(case: &recorded::Case, differences: &[Difference]) -> Vec<String> {
    differences
        .iter()
        .map(|found| format!("{}: {}: wanted {:?}, got {:?}", case.id, found.packet, found.wanted, found.got))
        .collect()
}

fn hold(world: &mut World, case: &recorded::Case, compiled: &super::compile::Compiled) -> Vec<String> {
    let Site { guests, .. } = &case.site;
    world.load(guests, compiled).unwrap();
    told(case, &differences(world, guests, &case.queries))
}

#[test]
fn the_kernel_decides_with_proxmoxs_own_chains_as_proxmox_says() {
    let Some(cases) = recorded::cases() else { return println!("{NO_RECORDINGS}") };
    for variant in [Variant::Legacy, Variant::Nft] {
        let Some(mut world) = world("firewall_kernel (recorded chains)", &everybody(&cases), variant) else { return };
        let mut packets = 0;
        let mut found = Vec::new();
        for case in &cases {
            let Some(theirs) = &case.compiled else { continue };
            found.extend(hold(&mut world, case, theirs));
            packets += case.queries.len();
        }
        println!("iptables-{}: {packets} packets through 12 recorded rule sets", variant.name());
        assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    }
}

#[test]
fn the_kernel_decides_with_our_chains_as_proxmox_says() {
    let Some(cases) = recorded::cases() else { return println!("{NO_RECORDINGS}") };
    let Some(mut world) = world("firewall_kernel (recorded verdicts)", &everybody(&cases), Variant::Legacy) else {
        return;
    };
    let mut packets = 0;
    let mut found = Vec::new();
    for case in &cases {
        found.extend(hold(&mut world, case, &compile(&case.site)));
        packets += case.queries.len();
    }
    println!("{packets} packets through {} configurations", cases.len());
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
