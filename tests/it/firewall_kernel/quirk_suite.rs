//! What the kernel does with Proxmox's rules, and nobody would guess from them.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::compile::compile;
use super::site::Site;
use super::world::{Variant, World};
use super::{random, world};

fn site(host: &str) -> Site {
    let open = "[OPTIONS]\n\nenable: 1\npolicy_in: ACCEPT\n";
    let files = [("cluster.fw", "[OPTIONS]\n\nenable: 1\npolicy_in: ACCEPT\n"), ("201.fw", open), ("host.fw", host)];
    Site {
        files: files.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        guests: random::population(),
        local_network: "10.0.0.0/24".to_owned(),
    }
}

/// What becomes of a connection to a port of 201 that is let in and that nobody listens on.
fn knock(world: &mut World, site: &Site, space: &str) -> ErrorKind {
    world.load(&site.guests, &compile(site)).unwrap();
    let to = SocketAddr::from(([10, 0, 0, 21], 9));
    world.inside(space, || TcpStream::connect_timeout(&to, Duration::from_millis(400)).unwrap_err().kind())
}

/// The kernel forgets a connection at the first reset that it sees, as nobody ever answered it. The reset has more than
/// one bridge to pass, and on the next one it belongs to nothing: `--ctstate INVALID -j DROP`. So a closed port that is
/// let in looks like a firewall to whoever asks, unless the host lets invalid packets through.
#[test]
fn a_closed_port_behind_the_firewall_times_out_and_is_not_refused() {
    let suite = "firewall_kernel (a closed port)";
    let Some(mut world) = world(suite, &random::population(), Variant::Legacy) else { return };
    let usual = site("");
    for space in ["g200", "outside", "host"] {
        assert_eq!(knock(&mut world, &usual, space), ErrorKind::TimedOut, "from {space}");
    }
    let lax = site("[OPTIONS]\n\nnf_conntrack_allow_invalid: 1\n");
    for space in ["g200", "outside"] {
        assert_eq!(knock(&mut world, &lax, space), ErrorKind::ConnectionRefused, "from {space}");
    }
    let mut off = usual;
    off.files.insert("cluster.fw".to_owned(), "[OPTIONS]\n\nenable: 0\n".to_owned());
    assert_eq!(knock(&mut world, &off, "g200"), ErrorKind::ConnectionRefused);
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
