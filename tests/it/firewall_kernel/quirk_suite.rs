//! What the kernel does with Proxmox's rules, and nobody would guess from them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::compile::compile;
use super::site::Site;
use super::world::{Variant, World};
use super::{random, world};

const OPEN: &str = "[OPTIONS]\n\nenable: 1\npolicy_in: ACCEPT\n";

/// 200 and 201 with `firewall=1` or without, and these files beside an open datacenter.
fn site(filtered: [bool; 2], files: &[(&str, &str)]) -> Site {
    let mut site = Site {
        files: [("cluster.fw".to_owned(), OPEN.to_owned()), ("201.fw".to_owned(), OPEN.to_owned())].into(),
        guests: random::population(),
        local_network: "10.0.0.0/24".to_owned(),
    };
    site.files.extend(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    for (vmid, filtered) in [200, 201].into_iter().zip(filtered) {
        site.guests.iter_mut().find(|guest| guest.vmid == vmid).unwrap().cards[0].firewall = filtered;
    }
    site
}

const TO_201: [u8; 4] = [10, 0, 0, 21];
const TO_HOST: [u8; 4] = [10, 0, 0, 2];

/// What a connection comes to, to a port where nobody listens.
fn knock(world: &mut World, site: &Site, space: &str, to: [u8; 4]) -> ErrorKind {
    world.load(&site.guests, &compile(site)).unwrap();
    let to = SocketAddr::from((to, 9));
    world.inside(space, || TcpStream::connect_timeout(&to, Duration::from_millis(400)).unwrap_err().kind())
}

/// The kernel forgets a connection at the first reset that it sees, as nobody ever answered it. The reset has more than
/// one bridge to pass, and on the next one it belongs to nothing: `--ctstate INVALID -j DROP`. So a closed port that is
/// let in looks like a firewall to whoever asks, unless neither side is behind one of its own.
#[test]
fn a_closed_port_behind_the_firewall_times_out_and_is_not_refused() {
    let Some(mut world) = world("firewall_kernel (a closed port)", &random::population(), Variant::Legacy) else {
        return;
    };
    for (filtered, from, to, wanted) in [
        ([true, true], "g200", TO_201, ErrorKind::TimedOut),
        ([true, false], "g200", TO_201, ErrorKind::TimedOut),
        ([false, true], "g200", TO_201, ErrorKind::TimedOut),
        ([false, false], "g200", TO_201, ErrorKind::ConnectionRefused),
        ([false, true], "outside", TO_201, ErrorKind::TimedOut),
        ([false, true], "host", TO_201, ErrorKind::TimedOut),
        ([true, false], "g200", TO_HOST, ErrorKind::TimedOut),
        ([false, false], "g200", TO_HOST, ErrorKind::ConnectionRefused),
    ] {
        let got = knock(&mut world, &site(filtered, &[]), from, to);
        assert_eq!(got, wanted, "{from} to {to:?}, firewall of 200 and 201: {filtered:?}");
    }
    let lax = [("host.fw", "[OPTIONS]\n\nnf_conntrack_allow_invalid: 1\n")];
    let off = [("cluster.fw", "[OPTIONS]\n\nenable: 0\n")];
    for files in [&lax, &off] {
        let got = knock(&mut world, &site([true, true], files), "g200", TO_201);
        assert_eq!(got, ErrorKind::ConnectionRefused, "{files:?}");
    }
}

/// A rule's reset goes the same way back. One that is made on the way out of a guest has no bridge to pass; one that is
/// made on the way in has that of the host, and then that of whoever asked.
#[test]
fn who_is_behind_the_firewall_hears_only_refusals_of_the_own_side_and_of_the_host() {
    let Some(mut world) = world("firewall_kernel (refusals)", &random::population(), Variant::Legacy) else { return };
    let rule = |way: &str| format!("{OPEN}\n[RULES]\n\n{way} REJECT -p tcp\n");
    let (into, out) = (rule("IN"), rule("OUT"));
    for (filtered, file, to, wanted) in [
        ([true, true], ("201.fw", &into), TO_201, ErrorKind::TimedOut),
        ([false, true], ("201.fw", &into), TO_201, ErrorKind::ConnectionRefused),
        ([true, true], ("200.fw", &out), TO_201, ErrorKind::ConnectionRefused),
        ([true, true], ("200.fw", &out), TO_HOST, ErrorKind::ConnectionRefused),
        ([true, true], ("cluster.fw", &into), TO_HOST, ErrorKind::ConnectionRefused),
    ] {
        let (name, text) = file;
        let got = knock(&mut world, &site(filtered, &[(name, text)]), "g200", to);
        assert_eq!(got, wanted, "to {to:?} with {name}: {text}, firewall of 200 and 201: {filtered:?}");
    }
}

/// Everything that a world is made of goes with it.
#[test]
fn nothing_of_a_world_is_left_behind() {
    let suite = "firewall_kernel (nothing is left behind)";
    let links = || std::fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    let named = || std::fs::read_dir("/run/netns").map_or(0, Iterator::count);
    let before = (links(), named());
    let Some(world) = world(suite, &random::population(), Variant::Legacy) else { return };
    let shell = world.process();
    assert!(std::path::Path::new(&format!("/proc/{shell}")).exists());
    assert_eq!((links(), named()), before, "the machine's own namespace has something new");
    drop(world);
    assert!(!std::path::Path::new(&format!("/proc/{shell}")).exists());
    assert_eq!((links(), named()), before);
}
