//! A Proxmox host of network namespaces: bridges, cards and guests as Proxmox connects them.
//!
//! All of it lives below one shell that has a network and a mount namespace of its own. Nothing is made in the
//! machine's namespace or in its file system, and everything goes when the shell does, which is when this process
//! lets go of its standard input, however it ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::compile::{Chains, Compiled, link_local};
use super::site::{End, Guest, mac_text};

/// Where everybody is.
#[derive(Debug, Clone)]
pub struct Ground {
    pub host: Ipv4Addr,
    /// Addresses of whatever is beyond the bridge's physical port.
    pub outside: Vec<Ipv4Addr>,
    /// Addresses that are sent from without being anybody's.
    pub nobody: Vec<Ipv4Addr>,
}

impl Default for Ground {
    /// That of the recorded configurations.
    fn default() -> Self {
        Self {
            host: Ipv4Addr::new(10, 0, 0, 2),
            outside: vec![Ipv4Addr::new(192, 168, 50, 9), Ipv4Addr::new(10, 0, 0, 77)],
            nobody: vec![Ipv4Addr::new(10, 0, 0, 99)],
        }
    }
}

/// The IPv6 address that stands beside one of IPv4.
pub fn v6_of(v4: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = v4.octets();
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// A link-local address that no card gives itself.
pub const NOBODYS_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
const HOST_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
pub const OUTSIDE_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];

/// Which of the two programs of the same name loads the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// `iptables-legacy`: the older tables of the kernel.
    Legacy,
    /// `iptables-nft`: the same rules through nf_tables.
    Nft,
}

impl Variant {
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Nft => "nft",
        }
    }
}

/// The host and everybody around it.
pub struct World {
    pub ground: Ground,
    /// All guests that there may be; a site has some of them.
    pub guests: Vec<Guest>,
    spaces: BTreeMap<String, File>,
    connected: String,
    variant: Variant,
    /// The next source port.
    pub(super) next_port: u16,
    shell: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// Where programs are looked for: those of an administrator as well.
fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// Why nothing can be built here, with what to do about it.
pub fn missing() -> Option<String> {
    let root = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t0\t0"));
    if !root {
        return Some("namespaces of its own need root: run it as root".to_owned());
    }
    let path = path();
    let there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    for (program, package) in [
        ("ip", "iproute2"),
        ("bridge", "iproute2"),
        ("unshare", "util-linux"),
        ("iptables-legacy-restore", "iptables"),
        ("iptables-nft-restore", "iptables"),
        ("ipset", "ipset"),
    ] {
        if !there(program) {
            return Some(format!("no `{program}`: install {package}"));
        }
    }
    let own = Command::new("unshare").args(["--net", "--mount", "test", "-e"]).arg(BRIDGE_FILTER).output();
    match own {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "no network namespace with a bridge that iptables sees (CONFIG_NET_NS, CONFIG_BRIDGE_NETFILTER): {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

const BRIDGE_FILTER: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

impl World {
    /// Builds it for these guests.
    pub fn build(ground: Ground, guests: Vec<Guest>, variant: Variant) -> Result<Self, String> {
        let mut shell = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh"])
            .env("PATH", path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| error.to_string())?;
        let stdin = shell.stdin.take();
        let stdout = BufReader::new(shell.stdout.take().expect("it was asked for"));
        let mut world = Self {
            ground,
            guests,
            spaces: BTreeMap::new(),
            connected: String::new(),
            variant,
            next_port: 20_000,
            shell,
            stdin,
            stdout,
        };
        let script = world.script();
        world.run(&script)?;
        let process = format!("/proc/{}", world.shell.id());
        let open = |path: String| File::open(&path).map_err(|error| format!("{path}: {error}"));
        world.spaces.insert("host".to_owned(), open(format!("{process}/ns/net"))?);
        let names: Vec<String> = world.names().collect();
        for name in names {
            let space = open(format!("{process}/root/run/netns/{name}"))?;
            world.spaces.insert(name, space);
        }
        Ok(world)
    }

    /// The process that all of it hangs on.
    pub fn process(&self) -> u32 {
        self.shell.id()
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.guests.iter().map(|guest| format!("g{}", guest.vmid)).chain(["outside".to_owned()])
    }

    /// The namespace of an end.
    pub fn space(&self, end: End, guests: &[Guest]) -> String {
        match end {
            End::Host => "host".to_owned(),
            End::Outside => "outside".to_owned(),
            End::Guest(place, _) => format!("g{}", guests[place].vmid),
        }
    }

    /// Does something in a namespace, in a thread of its own. What is opened there stays there.
    pub fn inside<T: Send>(&self, space: &str, work: impl FnOnce() -> T + Send) -> T {
        let space = &self.spaces[space];
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    /// Connects the guests of a site, loads what was compiled of it, and forgets what was loaded before.
    pub fn load(&mut self, guests: &[Guest], compiled: &Compiled) -> Result<(), String> {
        let mut script = String::new();
        let connected = self.connections(guests);
        if connected != self.connected {
            script.push_str(&connected);
            self.connected = connected;
        }
        let program = |version: u8| {
            format!("{}-{}-restore", if version == 4 { "iptables" } else { "ip6tables" }, self.variant.name())
        };
        let empty = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n";
        // A set that a rule still names cannot be destroyed.
        for version in [4, 6] {
            let _ = write!(script, "{} <<'END'\n{empty}END\n", program(version));
        }
        script.push_str("ipset destroy\n");
        let sets: Vec<&str> = compiled.sets.values().flatten().map(String::as_str).collect();
        let _ = write!(script, "ipset restore <<'END'\n{}\nEND\n", sets.join("\n"));
        for (version, chains) in [(4, &compiled.v4), (6, &compiled.v6)] {
            if !chains.is_empty() {
                let _ = write!(script, "{} <<'END'\n{}END\n", program(version), restore(chains));
            }
        }
        self.run(&script)
    }

    /// Runs a script on the host; it fails with what it wrote.
    pub fn run(&mut self, script: &str) -> Result<(), String> {
        let stdin = self.stdin.as_mut().expect("taken on drop only");
        write!(stdin, "( set -e\n{script}\n) 2>&1\necho \"--end $?\"\n").map_err(|error| error.to_string())?;
        stdin.flush().map_err(|error| error.to_string())?;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
                return Err(format!("the shell ended: {said}"));
            }
            match line.trim_end().strip_prefix("--end ") {
                Some("0") => return Ok(()),
                Some(code) => return Err(format!("exit code {code}: {said}\n{script}")),
                None => said.push_str(&line),
            }
        }
    }

    /// Everything but who is on which bridge.
    fn script(&self) -> String {
        let mut script = "mount -t tmpfs tmpfs /run\n".to_owned();
        for name in self.names() {
            let _ = writeln!(script, "ip netns add {name}");
        }
        script.push_str(HOST_SETTINGS);
        for name in self.names() {
            let _ = writeln!(script, "ip netns exec {name} sh -ec '{END_SETTINGS}'");
        }
        let mut host = format!(
            "link set lo up\nlink add vmbr0 address {} type bridge mcast_snooping 0\nlink set vmbr0 up\n\
             link add eno1 type veth peer name eth0 address {} netns outside\nlink set eno1 master vmbr0 up\n",
            mac_text(HOST_MAC),
            mac_text(OUTSIDE_MAC)
        );
        for (guest, place) in self.cards() {
            let (vmid, port, mac) = (guest.vmid, guest.port(place), mac_text(guest.cards[place].mac));
            let _ = write!(
                host,
                "link add fwbr{vmid}i{place} type bridge mcast_snooping 0\nlink set fwbr{vmid}i{place} up\n\
                 link add fwln{vmid}i{place} type veth peer name fwpr{vmid}p{place}\n\
                 link set fwln{vmid}i{place} master fwbr{vmid}i{place} up\nlink set fwpr{vmid}p{place} up\n\
                 link add {port} type veth peer name eth{place} address {mac} netns g{vmid}\nlink set {port} up\n"
            );
        }
        let _ = writeln!(script, "ip -batch - <<'END'\n{host}END\necho 0 > /proc/sys/net/ipv6/conf/vmbr0/disable_ipv6");
        script.push_str(&self.addresses("ip", "vmbr0", &[self.ground.host], 0));
        script.push_str("ip -n outside link set lo up\nip -n outside link set eth0 up\n");
        script.push_str(&self.addresses("ip -n outside", "eth0", &self.ground.outside, 0));
        for guest in &self.guests {
            let ip = format!("ip -n g{}", guest.vmid);
            let mut batch = "link set lo up\n".to_owned();
            for place in 0..guest.cards.len() {
                let _ = writeln!(batch, "link set eth{place} up");
            }
            batch.push_str("link add link eth0 name alien0 address 02:00:00:00:00:66 type macvlan mode private\n");
            batch.push_str("link set alien0 up\nroute add 0.0.0.0/0 dev alien0 metric 3000\n");
            batch.push_str("route add ::/0 dev alien0 metric 3000\n");
            batch.push_str(&self.neighbours("alien0"));
            let _ = writeln!(script, "{ip} -batch - <<'END'\n{batch}END");
            for (place, card) in guest.cards.iter().enumerate() {
                script.push_str(&self.addresses(&ip, &format!("eth{place}"), &[card.v4], place));
            }
        }
        script
    }

    fn cards(&self) -> impl Iterator<Item = (&Guest, usize)> {
        self.guests.iter().flat_map(|guest| (0..guest.cards.len()).map(move |place| (guest, place)))
    }

    /// Addresses, routes and neighbours of a device. `place` tells the cards of a guest apart, which answers by the
    /// card that it was asked by.
    fn addresses(&self, ip: &str, device: &str, own: &[Ipv4Addr], place: usize) -> String {
        let (mut batch, mut batch_v6) = (String::new(), String::new());
        for v4 in own {
            let (v6, table) = (v6_of(*v4), 100 + place);
            let _ = writeln!(batch, "addr add {v4}/24 dev {device}\nrule add from {v4} table {table}");
            let _ = writeln!(batch_v6, "addr add {v6}/64 dev {device} nodad\nrule add from {v6} table {table}");
        }
        for table in ["main".to_owned(), (100 + place).to_string()] {
            for batch in [&mut batch, &mut batch_v6] {
                let _ = writeln!(batch, "route add default dev {device} metric {} table {table}", 1024 + place);
            }
        }
        batch.push_str(&self.neighbours(device));
        format!("{ip} -batch - <<'END'\n{batch}END\n{ip} -6 -batch - <<'END'\n{batch_v6}END\n")
    }

    /// Everybody's hardware address, so that nobody has to ask for it.
    fn neighbours(&self, device: &str) -> String {
        let cards = self.cards().map(|(guest, place)| (guest.cards[place].v4, guest.cards[place].mac));
        let others = self.ground.outside.iter().chain(&self.ground.nobody).map(|address| (*address, OUTSIDE_MAC));
        let mut batch = String::new();
        let nobody = (IpAddr::V6(NOBODYS_LINK_LOCAL), OUTSIDE_MAC);
        let own = self.cards().map(|(guest, place)| guest.cards[place].mac).map(|mac| (link_local(mac).into(), mac));
        let routed = cards.chain(others).chain([(self.ground.host, HOST_MAC)]);
        let routed = routed.flat_map(|(v4, mac)| [(IpAddr::V4(v4), mac), (IpAddr::V6(v6_of(v4)), mac)]);
        for (address, mac) in routed.chain(own).chain([nobody]) {
            let _ = writeln!(batch, "neigh replace {address} lladdr {} dev {device} nud permanent", mac_text(mac));
        }
        batch
    }

    /// Who is on which bridge, and where each bridge finds whom: a packet that is flooded would be judged by the rules
    /// of guests that it is not for.
    fn connections(&self, guests: &[Guest]) -> String {
        let mut links = String::new();
        // Own bridge, port of it, and port of vmbr0 of everybody who is there.
        let mut ends: Vec<(Option<String>, String, String, [u8; 6])> = Vec::new();
        for (known, place) in self.cards() {
            let (port, vmid) = (known.port(place), known.vmid);
            let guest = guests.iter().find(|guest| guest.vmid == vmid);
            let Some(card) = guest.and_then(|guest| guest.cards.get(place)) else {
                let _ = writeln!(links, "link set {port} nomaster\nlink set fwpr{vmid}p{place} nomaster");
                continue;
            };
            let (master, of_vmbr0) = match card.firewall {
                true => (format!("fwbr{vmid}i{place}"), format!("fwpr{vmid}p{place}")),
                false => ("vmbr0".to_owned(), port.clone()),
            };
            let other = if card.firewall { "master vmbr0" } else { "nomaster" };
            let _ = writeln!(links, "link set {port} master {master}\nlink set fwpr{vmid}p{place} {other}");
            let own = card.firewall.then(|| format!("fwln{vmid}i{place}"));
            ends.push((own, port, of_vmbr0, card.mac));
        }
        ends.push((None, "eno1".to_owned(), "eno1".to_owned(), OUTSIDE_MAC));
        let mut places = String::new();
        for (_, _, of_vmbr0, mac) in &ends {
            let _ = writeln!(places, "fdb replace {} dev {of_vmbr0} master static", mac_text(*mac));
        }
        for (own, port, _, own_mac) in &ends {
            let Some(fwln) = own else { continue };
            let everybody = ends.iter().map(|(_, _, _, mac)| *mac).chain([HOST_MAC]);
            for mac in everybody {
                let device = if mac == *own_mac { port } else { fwln };
                let _ = writeln!(places, "fdb replace {} dev {device} master static", mac_text(mac));
            }
        }
        format!("ip -batch - <<'END'\n{links}END\nbridge -batch - <<'END'\n{places}END\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.shell.wait();
    }
}

/// As `pve-firewall` hands it over.
pub fn restore(chains: &Chains) -> String {
    let mut text = "*filter\n".to_owned();
    for chain in chains.keys() {
        let _ = writeln!(text, ":{chain} - [0:0]");
    }
    for hook in ["INPUT", "OUTPUT", "FORWARD"] {
        if chains.contains_key(&format!("PVEFW-{hook}")) {
            let _ = writeln!(text, "-A {hook} -j PVEFW-{hook}");
        }
    }
    for rule in chains.values().flatten() {
        let _ = writeln!(text, "{rule}");
    }
    text.push_str("COMMIT\n");
    text
}

/// `pve-firewall` switches the first two on. The rest keeps the host from answering more seldom than it is asked, and
/// from remembering what was sent through another site.
const HOST_SETTINGS: &str = "\
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
echo 1 > /proc/sys/net/bridge/bridge-nf-call-ip6tables
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
for all in default all; do echo 0 > /proc/sys/net/ipv4/conf/$all/rp_filter; done
echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
echo 0 > /proc/sys/net/ipv4/icmp_ratemask
echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
if test -w /proc/sys/net/ipv4/icmp_msgs_per_sec; then echo 100000 > /proc/sys/net/ipv4/icmp_msgs_per_sec; fi
if test -w /proc/sys/net/ipv4/icmp_msgs_burst; then echo 10000 > /proc/sys/net/ipv4/icmp_msgs_burst; fi
cd /proc/sys/net/netfilter
for kind in tcp_timeout_established tcp_timeout_syn_sent tcp_timeout_syn_recv tcp_timeout_fin_wait \
    tcp_timeout_close_wait tcp_timeout_last_ack tcp_timeout_unacknowledged tcp_timeout_max_retrans \
    udp_timeout udp_timeout_stream icmp_timeout icmpv6_timeout; do echo 5 > nf_conntrack_$kind; done
cd /
";

const END_SETTINGS: &str = "\
for all in default all; do
echo 0 > /proc/sys/net/ipv4/conf/$all/rp_filter
echo 0 > /proc/sys/net/ipv6/conf/$all/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/$all/accept_ra
echo 0 > /proc/sys/net/ipv6/conf/$all/router_solicitations
done";
