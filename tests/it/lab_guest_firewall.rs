//! The lab's judge of guests' packets, held against what Proxmox's own compiler and packet simulator answered (9.2).

use std::net::IpAddr;

use infra::lab::rules::guest_firewall::{Interface, Packet, judge};
use infra::lab::rules::host_firewall::{self, Verdict};
use infra::lab::world::{Firewall, firewall_file};
use serde_json::Value;

/// A guest of a recorded case.
struct Guest {
    firewall: Firewall,
    filtered: bool,
    address: Option<IpAddr>,
}

fn guest(case: &Value, name: &str) -> Option<Guest> {
    let (kind, vmid) = (name.get(..2)?, name.get(2..)?);
    let section = match kind {
        "vm" => "qemu",
        "ct" => "lxc",
        _ => return None,
    };
    let net = case["vmdata"][section][vmid]["net0"].as_str()?;
    let value = |key: &str| net.split(',').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
    let address = value("ip").filter(|_| kind == "ct").and_then(|ip| ip.split('/').next()?.parse().ok());
    Some(Guest {
        firewall: firewall_file::read(case["files"][format!("{vmid}.fw")].as_str().unwrap_or_default()),
        filtered: value("firewall") == Some("1"),
        address,
    })
}

#[test]
fn who_reaches_a_guest_is_as_proxmoxs_own_compiler_has_it() {
    let Some(bytes) = crate::contract::shared("firewall-verdicts-9.2.jsonl.gz") else {
        println!("not run: the recorded verdicts are not there");
        return;
    };
    let text = String::from_utf8(bytes).unwrap();
    let mut asked = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let cluster = firewall_file::read(case["files"]["cluster.fw"].as_str().unwrap());
        let local = case["local_network"].as_str().unwrap().parse().ok();
        for query in case["queries"].as_array().unwrap() {
            let text = |key: &str| query[key].as_str().unwrap();
            // What a host sends itself is no guest's business.
            if text("from") == "host" {
                continue;
            }
            let (source, dest): (IpAddr, IpAddr) = (text("source").parse().unwrap(), text("dest").parse().unwrap());
            let port = query["dport"].as_u64().map(|port| u16::try_from(port).unwrap());
            let at = |end: &str, inbound: bool| {
                let Some(guest) = guest(&case, end) else { return Verdict::Accept };
                let interface = Interface {
                    number: 0,
                    filtered: guest.filtered,
                    address: guest.address,
                    firewall: &guest.firewall,
                };
                judge(&cluster, interface, local, Packet { inbound, source, dest, protocol: text("proto"), port })
            };
            let mut verdict = at(text("from"), false);
            if verdict == Verdict::Accept {
                verdict = match text("to") {
                    "host" => {
                        let own = firewall_file::read(case["files"]["host.fw"].as_str().unwrap_or_default());
                        let packet = host_firewall::Packet { source, protocol: text("proto"), port };
                        host_firewall::judge(&cluster, &own, (text("dest"), local), packet)
                    }
                    to => at(to, true),
                };
            }
            assert_eq!(format!("{verdict:?}").to_uppercase(), text("verdict"), "{}: {query}", case["id"]);
            asked += 1;
        }
    }
    println!("{asked} packets of guests judged as Proxmox judges them");
    assert!(asked > 4000);
}
