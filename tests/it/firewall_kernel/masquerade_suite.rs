//! A host that translates its guests' addresses, with the firewall's bridge before a guest: who the answer would go to.
//!
//! Only addresses and bridges are those of Proxmox; what decides is the kernel's connection tracking.

use std::process::Command;

use super::possible;

/// A guest behind `fwbr104i0`, its host with `MASQUERADE`, and whoever is outside and counts where packets come from.
/// `$1`: whether bridges ask iptables, as pve-firewall has it; `$2`: the rule of Proxmox's documentation, or none.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs tmpfs /run; mkdir -p /run/netns
# As a host has it: else it answers for its address on the firewall's bridge, which has none.
for all in default all; do echo 2 > /proc/sys/net/ipv4/conf/$all/rp_filter; done
ip link set lo up; ip netns add guest; ip netns add outside
ip link add vmbr0 type bridge; ip link set vmbr0 up; ip addr add 10.0.0.1/24 dev vmbr0
ip link add fwbr104i0 type bridge; ip link set fwbr104i0 up
ip link add fwln104i0 type veth peer name fwpr104p0
ip link set fwln104i0 master fwbr104i0 up; ip link set fwpr104p0 master vmbr0 up
ip link add veth104i0 type veth peer name eth0 netns guest; ip link set veth104i0 master fwbr104i0 up
ip link add eno1 type veth peer name eth0 netns outside; ip link set eno1 up; ip addr add 203.0.113.1/24 dev eno1
ip netns exec guest sh -c 'ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.0.1'
ip netns exec outside sh -c 'ip addr add 203.0.113.9/24 dev eth0; ip link set eth0 up; ip route add default via 203.0.113.1'
echo 1 > /proc/sys/net/ipv4/ip_forward
echo "$1" > /proc/sys/net/bridge/bridge-nf-call-iptables
iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-legacy -A FORWARD -m physdev --physdev-is-bridged --physdev-in veth104i0 -j ACCEPT
iptables-legacy -t nat -A POSTROUTING -s 10.0.0.0/24 -o eno1 -j MASQUERADE
test -z "$2" || iptables-legacy -t raw -I PREROUTING $2
for from in 10.0.0.2 203.0.113.1; do ip netns exec outside iptables-legacy -A INPUT -p udp -s $from; done
for i in 1 2 3 4 5; do
  ip netns exec guest bash -c 'echo x > /dev/udp/203.0.113.9/5000' || true
  seen=$(ip netns exec outside iptables-legacy -L INPUT -v -n -x | awk '$1 ~ /^[1-9][0-9]*$/ { print $7 }' | tail -n 1)
  test -z "$seen" || break
  sleep 0.2
done
echo "$seen"
"#;

fn seen_from(bridges_ask: bool, zone: &str) -> String {
    let argv = ["--net", "--mount", "bash", "-c", SCRIPT, "bash", if bridges_ask { "1" } else { "0" }, zone];
    let output = Command::new("unshare").args(argv).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_masquerading_host_translates_no_guest_behind_the_firewalls_bridge_without_a_zone() {
    if !possible("firewall_kernel (masquerading)") {
        return;
    }
    let zone = "-i fwbr+ -j CT --zone 1";
    assert_eq!(seen_from(false, ""), "203.0.113.1", "before any firewall");
    assert_eq!(seen_from(true, ""), "10.0.0.2", "nobody outside can answer that");
    assert_eq!(seen_from(true, zone), "203.0.113.1", "with the rule of Proxmox's documentation");
}
