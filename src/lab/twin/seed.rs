//! From an observation to a world.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;

use super::original::{Original, Told, Untwinned};
use super::{access, firewall, guests, hosts, storages};
use crate::lab::rules;
use crate::lab::scenario::usual_appliances;
use crate::lab::world::{Appliance, Mapping, Pool, Version, World, conf};
use crate::model::observed::Site;

/// A twin of a site.
#[derive(Debug)]
pub struct Twin {
    /// Its world.
    pub world: World,
    /// The secret of every token in it; the original's is not needed.
    pub secret: SecretString,
    /// Digests of the original's files by those of the twin's.
    pub digests: BTreeMap<String, String>,
    /// What could not be taken over.
    pub untwinned: Vec<Untwinned>,
}

/// The twin of a site as it was when it was looked at, `now`.
#[must_use]
pub fn of(original: &Original<'_>, secret: &str, now: Timestamp) -> Twin {
    let mut told = Told::default();
    let site = original.site;
    let mut world = World { now_ms: now.as_millisecond(), random: 1, any_download: true, ..World::default() };
    if let Some(full) = told.take(&format!("the version of {}", original.name), &site.version) {
        world.version = version(full, &mut told);
    }
    // A host that names no cluster is a site of its own name.
    let cluster = original.hosts.iter().any(|host| host.name.as_str() != original.name);
    world.cluster = cluster.then(|| original.name.to_owned());
    world.without_quorum = site.quorate.value() == Some(&false);
    let permissions = told.take("what the token may do", &site.permissions);
    world.access = access::access(&original.hosts.iter().map(|host| host.token_id).collect(), secret, permissions);
    other_tokens(original, &mut told);
    hosts::seed(&mut world, original, &mut told);
    storages::seed(&mut world, original, &mut told);
    pools(&mut world, site, &mut told);
    guests::seed(&mut world, site, &mut told);
    guests::seed_looks(&mut world, original);
    guests::seed_tailscale(&mut world, original);
    if let Some(mappings) = told.take("PCI mappings", &site.mappings) {
        for (name, mapping) in mappings {
            let description = Some(mapping.description.clone()).filter(|text| !text.is_empty());
            let entry = Mapping { description, map: mapping.map.clone(), ..Mapping::default() };
            world.mappings.insert(name.to_string(), entry);
        }
    }
    if let Some(read) = told.take("the datacenter firewall", &site.firewall) {
        world.firewall = firewall::cluster(read);
    }
    world.doors_open = true;
    told.say("who gets in at the hosts' own firewalls", "nothing is known of the network around them");
    if let Some(read) = told.take("firewalls of guests", &site.guest_firewalls) {
        world.guest_firewalls = read.iter().map(|(vmid, one)| (vmid.get(), firewall::guest(one))).collect();
    }
    // Those of guests that the inventory does not know: they name aliases, sets and groups, too.
    for (path, one) in site.firewall_files.value().into_iter().flatten() {
        let vmid = path.strip_prefix("/etc/pve/firewall/").and_then(|file| file.strip_suffix(".fw")?.parse().ok());
        if let Some(vmid) = vmid {
            world.guest_firewalls.entry(vmid).or_insert_with(|| firewall::guest(one));
        }
    }
    appliances(&mut world, original);
    let digests = digests(&world, site);
    Twin { world, secret: secret.to_owned().into(), digests, untwinned: told.0.into_iter().collect() }
}

/// The lab's profile that is nearest.
fn version(full: &str, told: &mut Told) -> Version {
    let mut parts = full.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    let known = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (version, exact) = match known {
        (8, 4) => (Version::V8_4, true),
        (9, 1) => (Version::V9_1, true),
        (9, 2) => (Version::V9_2, true),
        (0..9, _) => (Version::V8_4, false),
        (9, 0) => (Version::V9_1, false),
        _ => (Version::V9_2, false),
    };
    if !exact {
        let like = version.release();
        told.say(format!("what {full} does otherwise than {like}"), format!("the twin answers as {like}"));
    }
    version
}

fn other_tokens(original: &Original<'_>, told: &mut Told) {
    let lead = original.hosts.first().map(|host| host.token_id);
    for host in original.hosts.iter().filter(|host| Some(host.token_id) != lead) {
        told.say(
            format!("what token `{}` of {} may do", host.token_id, host.name),
            format!("only that of `{}` was asked for: both may do the same in the twin", lead.unwrap_or_default()),
        );
    }
}

fn pools(world: &mut World, site: &Site, told: &mut Told) {
    for (name, comment) in told.take("resource pools", &site.pools).into_iter().flatten() {
        let comment = Some(comment.clone()).filter(|text| !text.is_empty());
        world.pools.insert(name.clone(), Pool { comment, ..Pool::default() });
    }
}

/// Templates by their names; what is in them is not known.
fn appliances(world: &mut World, original: &Original<'_>) {
    let usual = usual_appliances();
    for template in original.hosts.iter().filter_map(|host| host.there.appliances.value()).flatten() {
        if world.appliances.iter().any(|known| known.template == *template) {
            continue;
        }
        let known = usual.iter().find(|known| known.template == *template);
        let made_up = || Appliance {
            template: template.clone(),
            section: "system".to_owned(),
            size: 130_000_000,
            sha512: usual.first().map(|known| known.sha512.clone()).unwrap_or_default(),
            ..Appliance::default()
        };
        world.appliances.push(known.cloned().unwrap_or_else(made_up));
    }
}

fn digests(world: &World, site: &Site) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    for (vmid, config) in &site.configs {
        let original = config.value().and_then(|config| config.digest.clone());
        if let (Some(guest), Some(original)) = (world.guests.get(&vmid.get()), original) {
            digests.insert(rules::digest(guest), original);
        }
    }
    let mappings = site.mappings.value().into_iter().flatten().find_map(|(_, mapping)| mapping.digest.clone());
    if let Some(original) = mappings {
        digests.insert(conf::digest(&conf::mappings(world)), original);
    }
    digests.retain(|own, original| own != original);
    digests
}
