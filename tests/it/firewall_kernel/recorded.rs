//! The recorded configurations of a real Proxmox VE 9.2.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compile::{Chains, Compiled};
use super::site::{Card, End, Guest, Load, Packet, Site, Verdict};

/// A configuration and what Proxmox says of it.
pub struct Case {
    pub id: String,
    pub site: Site,
    /// Packets with the verdict of Proxmox's own simulator.
    pub queries: Vec<(Packet, Verdict)>,
    /// What Proxmox's own compiler made of it, where that was kept; nothing for IPv6.
    pub compiled: Option<Compiled>,
}

/// All of them, or nothing where they are not.
pub fn cases() -> Option<Vec<Case>> {
    let named = std::env::var_os("INFRA_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|parent| parent.join("shared"));
    let place = |path: PathBuf| path.join("pve/firewall-verdicts-9.2.jsonl.gz");
    let file = named.into_iter().chain(beside).map(place).find(|path| path.is_file())?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    Some(text.lines().map(|line| case(&serde_json::from_str(line).unwrap())).collect())
}

fn case(value: &Value) -> Case {
    let files = value["files"].as_object().unwrap().iter();
    let files: BTreeMap<String, String> =
        files.map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned())).collect();
    let mut guests = Vec::new();
    for (kind, vm) in [("qemu", true), ("lxc", false)] {
        for (vmid, cards) in value["vmdata"][kind].as_object().unwrap() {
            guests.push(guest(vmid.parse().unwrap(), vm, cards));
        }
    }
    let site = Site { files, guests, local_network: value["local_network"].as_str().unwrap().to_owned() };
    let queries = value["queries"].as_array().unwrap().iter().map(|query| {
        let end = |side: &str| end(&site, query[side].as_str().unwrap());
        let address = |side: &str| query[side].as_str().unwrap().parse().unwrap();
        let dport = query["dport"].as_u64().unwrap().try_into().unwrap();
        let load = match query["proto"].as_str().unwrap() {
            "tcp" => Load::Tcp { dport },
            _ => Load::Udp { dport, sport: None },
        };
        let (source, dest) = (address("source"), address("dest"));
        let packet = Packet { from: end("from"), to: end("to"), source, dest, load, foreign_mac: false };
        (packet, Verdict::parse(query["verdict"].as_str().unwrap()))
    });
    let queries = queries.collect();
    let chains = |value: &Value| -> Chains {
        let line = |line: &Value| line.as_str().unwrap().to_owned();
        let lines = |rules: &Value| rules.as_array().unwrap().iter().map(line).collect();
        value.as_object().unwrap().iter().map(|(name, rules)| (name.clone(), lines(rules))).collect()
    };
    let compiled = value.get("compiled").map(|compiled| Compiled {
        v4: chains(&compiled["filter"]),
        v6: Chains::new(),
        sets: chains(&compiled["ipset"]),
    });
    Case { id: value["id"].as_str().unwrap().to_owned(), site, queries, compiled }
}

fn guest(vmid: u32, vm: bool, cards: &Value) -> Guest {
    let card = |place: usize| {
        let text = cards[format!("net{place}")].as_str()?;
        let fields: BTreeMap<&str, &str> = text.split(',').filter_map(|field| field.split_once('=')).collect();
        let mac = fields.get("hwaddr").or(fields.get("virtio")).unwrap();
        let mut bytes = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap());
        let v4 = fields.get("ip").map(|ip| ip.split('/').next().unwrap().parse().unwrap());
        // The one VM has an address that only the alias `planhq` tells.
        let v4: Ipv4Addr = v4.unwrap_or(Ipv4Addr::new(10, 0, 0, 10));
        let v6 = super::world::v6_of(v4);
        let mac = std::array::from_fn(|_| bytes.next().unwrap());
        Some(Card {
            mac,
            firewall: fields["firewall"] == "1",
            v4,
            v6,
            named_v4: fields.contains_key("ip"),
            named_v6: false,
        })
    };
    Guest { vmid, vm, cards: (0..).map_while(card).collect() }
}

fn end(site: &Site, text: &str) -> End {
    match text {
        "host" => End::Host,
        "outside" => End::Outside,
        guest => {
            let vmid: u32 = guest[2..].parse().unwrap();
            End::Guest(site.guests.iter().position(|guest| guest.vmid == vmid).unwrap(), 0)
        }
    }
}
