//! `ss -Hlntup`: what listens on a node of Proxmox VE by itself.

use crate::lab::shell::call::Call;

/// The daemons of a node and where they listen, as the documentation of Proxmox VE lists them ("Ports used").
const LISTEN: [(&str, &str, &str, &str); 10] = [
    ("udp", "0.0.0.0:111", "0.0.0.0:*", "rpcbind"),
    ("udp", "127.0.0.1:323", "0.0.0.0:*", "chronyd"),
    ("udp", "[::]:111", "[::]:*", "rpcbind"),
    ("tcp", "127.0.0.1:85", "0.0.0.0:*", "pvedaemon"),
    ("tcp", "127.0.0.1:25", "0.0.0.0:*", "master"),
    ("tcp", "0.0.0.0:22", "0.0.0.0:*", "sshd"),
    ("tcp", "0.0.0.0:111", "0.0.0.0:*", "rpcbind"),
    ("tcp", "*:8006", "*:*", "pveproxy"),
    ("tcp", "*:3128", "*:*", "spiceproxy"),
    ("tcp", "[::]:22", "[::]:*", "sshd"),
];

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let [words] = call.args else { return call.unknown(&call.args.join(" ")) };
    if words != "-Hlntup" {
        return call.unknown(&call.args.join(" "));
    }
    for (number, (protocol, local, peer, program)) in LISTEN.iter().enumerate() {
        let state = if *protocol == "udp" { "UNCONN" } else { "LISTEN" };
        let pid = 900 + number;
        call.print(format!("{protocol} {state} 0 4096 {local} {peer} users:((\"{program}\",pid={pid},fd=6))"));
    }
    0
}
