//! Sends packets and tells what became of each.
//!
//! Whoever sends from an address of their own does so with an ordinary socket, to an ordinary listener that answers;
//! what is forged is sent by hand. Every card and the host are listened to, so that nothing hangs on how long
//! somebody waits for an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::site::{Card, End, Guest, Load, Packet, Verdict};
use super::wire::{self, Key, Proto, What};
use super::world::{OUTSIDE_MAC, World, v6_of};

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Whether the answer came back; nothing if nobody waited for one.
    pub answered: Option<bool>,
}

#[derive(Default, Clone, Copy)]
struct Seen {
    arrived: bool,
    answer: bool,
    refused: bool,
}

/// Nothing more is expected once nobody saw anything for so long.
const QUIET: Duration = Duration::from_millis(12);

/// Sends them all at once and waits until nothing moves any more.
pub fn send(world: &mut World, guests: &[Guest], packets: &[Packet], patience: Duration) -> Vec<Outcome> {
    let keys = keys(world, packets);
    let mut desk = Desk::open(world, guests, packets);
    let listeners = listeners(world, guests, packets);
    let senders = senders(world, guests, packets, &keys);
    let known: HashMap<Key, usize> = keys.iter().copied().zip(0..).collect();

    let mut seen = vec![Seen::default(); packets.len()];
    for ((sender, key), packet) in senders.iter().zip(&keys).zip(packets) {
        sender.send(*key);
        let ends = [packet.from, packet.to].map(|end| world.space(end, guests));
        desk.drain(&known, &mut seen, |space| space == "host" || ends.iter().any(|end| end == space));
    }
    desk.settle(&known, &mut seen, patience);
    answer(&listeners, &known, &mut seen);
    desk.settle(&known, &mut seen, QUIET);

    let outcome = |((sender, seen), packet): ((&Sender, &Seen), &Packet)| {
        let arrived = match packet.to {
            End::Host => seen.answer || seen.arrived,
            _ => seen.arrived,
        };
        let verdict = match (arrived, seen.refused) {
            (true, _) => Verdict::Accept,
            (false, true) => Verdict::Reject,
            (false, false) => Verdict::Drop,
        };
        Outcome { verdict, answered: sender.answered() }
    };
    senders.iter().zip(&seen).zip(packets).map(outcome).collect()
}

/// Keys that nothing before had, and that are nobody's port to listen on.
fn keys(world: &mut World, packets: &[Packet]) -> Vec<Key> {
    let listened: BTreeSet<u16> = packets.iter().filter_map(listens).map(|(_, port)| port).collect();
    let mut next = || loop {
        world.next_port = if world.next_port >= 59_000 { 20_000 } else { world.next_port + 1 };
        if !listened.contains(&world.next_port) {
            return world.next_port;
        }
    };
    let key = |packet: &Packet| {
        let (proto, sport, dport) = match packet.load {
            Load::Tcp { dport } => (Proto::Tcp, next(), dport),
            Load::Udp { dport, sport } => (Proto::Udp, sport.unwrap_or_else(&mut next), dport),
            Load::Ping => (Proto::Echo, next(), 0),
        };
        Key { source: packet.source, dest: packet.dest, proto, sport, dport }
    };
    packets.iter().map(key).collect()
}

fn listens(packet: &Packet) -> Option<(Proto, u16)> {
    match packet.load {
        Load::Tcp { dport } => Some((Proto::Tcp, dport)),
        Load::Udp { dport, .. } => Some((Proto::Udp, dport)),
        Load::Ping => None,
    }
}

/// Whoever sends.
enum Sender {
    Stream(Socket),
    Datagram(Socket),
    ByHand(Socket),
}

impl Sender {
    fn send(&self, key: Key) {
        let to = SockAddr::from(SocketAddr::new(key.dest, key.dport));
        // An error is an answer, too: the host's own chain says "not permitted" to a datagram.
        let _ = match self {
            Self::Stream(socket) => socket.connect(&to).map(|()| 0),
            Self::Datagram(socket) => socket.connect(&to).and_then(|()| socket.send(b"data")),
            Self::ByHand(socket) => socket.send_to(&wire::packet(key), &SockAddr::from(SocketAddr::new(key.dest, 0))),
        };
    }

    fn answered(&self) -> Option<bool> {
        match self {
            Self::Stream(socket) => Some(socket.peer_addr().is_ok()),
            Self::Datagram(socket) => Some((&mut { socket }).read(&mut [0; 16]).is_ok()),
            Self::ByHand(_) => None,
        }
    }
}

fn card(guests: &[Guest], end: End) -> Option<&Card> {
    match end {
        End::Guest(guest, card) => Some(&guests[guest].cards[card]),
        _ => None,
    }
}

fn owns(world: &World, guests: &[Guest], packet: &Packet) -> bool {
    let own = |v4| packet.source == IpAddr::V4(v4) || packet.source == IpAddr::V6(v6_of(v4));
    match packet.from {
        End::Host => own(world.ground.host),
        End::Outside => world.ground.outside.iter().any(|v4| own(*v4)),
        End::Guest(..) => card(guests, packet.from).is_some_and(|card| own(card.v4)),
    }
}

fn senders(world: &World, guests: &[Guest], packets: &[Packet], keys: &[Key]) -> Vec<Sender> {
    let mut by_space: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, packet) in packets.iter().enumerate() {
        by_space.entry(world.space(packet.from, guests)).or_default().push(place);
    }
    let mut made: Vec<(usize, Sender)> = Vec::new();
    for (space, places) in by_space {
        made.extend(world.inside(&space, || {
            let one = |place: usize| {
                let (packet, key) = (&packets[place], keys[place]);
                let device = match (packet.from, packet.foreign_mac) {
                    (End::Guest(..), true) => Some("alien0".to_owned()),
                    (End::Guest(_, card), false) => Some(format!("eth{card}")),
                    _ => None,
                };
                (place, sender(key, device, owns(world, guests, packet) && !packet.foreign_mac))
            };
            places.into_iter().map(one).collect::<Vec<_>>()
        }));
    }
    made.sort_by_key(|(place, _)| *place);
    made.into_iter().map(|(_, sender)| sender).collect()
}

fn sender(key: Key, device: Option<String>, owns: bool) -> Sender {
    let domain = if key.source.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let open = |kind, protocol| {
        let socket = Socket::new(domain, kind, Some(protocol)).unwrap();
        socket.set_nonblocking(true).unwrap();
        if let Some(device) = &device {
            socket.bind_device(Some(device.as_bytes())).unwrap();
        }
        socket
    };
    let bound = |socket: Socket| {
        socket.set_reuse_address(true).unwrap();
        let own = SocketAddr::new(key.source, key.sport);
        socket.bind(&own.into()).unwrap_or_else(|error| panic!("{own}: {error}"));
        socket
    };
    match key.proto {
        Proto::Tcp if owns => Sender::Stream(bound(open(Type::STREAM, Protocol::TCP))),
        Proto::Udp if owns => Sender::Datagram(bound(open(Type::DGRAM, Protocol::UDP))),
        // IPPROTO_RAW: the header is in what is sent.
        _ => Sender::ByHand(open(Type::RAW, Protocol::from(255))),
    }
}

/// An open port: a stream's takes every address, a datagram's only the one that it was sent to, since that is where
/// the answer has to come from.
struct Listener {
    dest: Option<IpAddr>,
    port: u16,
    socket: Socket,
}

/// An open port for everything that is sent, at everybody whom it is sent to.
fn listeners(world: &World, guests: &[Guest], packets: &[Packet]) -> Vec<Listener> {
    let mut wanted: BTreeMap<String, BTreeSet<(Option<IpAddr>, u16)>> = BTreeMap::new();
    for packet in packets {
        if let Some((proto, port)) = listens(packet) {
            let dest = (proto == Proto::Udp).then_some(packet.dest);
            wanted.entry(world.space(packet.to, guests)).or_default().insert((dest, port));
        }
    }
    let mut made = Vec::new();
    for (space, ports) in wanted {
        made.extend(
            world.inside(&space, || ports.into_iter().map(|(dest, port)| listener(dest, port)).collect::<Vec<_>>()),
        );
    }
    made
}

fn listener(dest: Option<IpAddr>, port: u16) -> Listener {
    let (kind, protocol) = match dest {
        Some(_) => (Type::DGRAM, Protocol::UDP),
        None => (Type::STREAM, Protocol::TCP),
    };
    let own = SocketAddr::new(dest.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
    let socket = Socket::new(Domain::for_address(own), kind, Some(protocol)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    if dest.is_none() {
        socket.set_only_v6(false).unwrap();
    }
    socket.bind(&own.into()).unwrap_or_else(|error| panic!("{own}: {error}"));
    if dest.is_none() {
        socket.listen(1024).unwrap();
    }
    Listener { dest, port, socket }
}

/// Every datagram that came in is sent back.
fn answer(listeners: &[Listener], known: &HashMap<Key, usize>, seen: &mut [Seen]) {
    for listener in listeners {
        let Some(dest) = listener.dest else { continue };
        let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
        while let Ok((_, from)) = listener.socket.recv_from(&mut buffer) {
            let Some(source) = from.as_socket() else { continue };
            let (sport, dport) = (source.port(), listener.port);
            let key = Key { source: source.ip(), dest, proto: Proto::Udp, sport, dport };
            if let Some(place) = known.get(&key) {
                seen[*place].answer = true;
            }
            let _ = listener.socket.send_to(b"back", &from);
        }
    }
}

/// Whoever listens to what the cards see.
struct Desk {
    ears: Vec<(String, Socket)>,
    /// Where a packet is going, and by which hardware address.
    wanted: Vec<(String, Option<[u8; 6]>)>,
}

impl Desk {
    fn open(world: &World, guests: &[Guest], packets: &[Packet]) -> Self {
        let mut spaces: BTreeSet<String> = BTreeSet::from(["host".to_owned()]);
        let mut wanted = Vec::new();
        for packet in packets {
            spaces.extend([packet.from, packet.to].map(|end| world.space(end, guests)));
            let mac = match packet.to {
                End::Host => None,
                End::Outside => Some(OUTSIDE_MAC),
                End::Guest(..) => card(guests, packet.to).map(|card| card.mac),
            };
            wanted.push((world.space(packet.to, guests), mac));
        }
        let ear = |space: String| {
            let socket = world.inside(&space, || {
                // AF_PACKET and ETH_P_ALL, which the kernel wants in the network's order.
                let everything = Protocol::from(i32::from(3_u16.to_be()));
                Socket::new(Domain::from(17), Type::RAW, Some(everything)).unwrap()
            });
            socket.set_nonblocking(true).unwrap();
            (space, socket)
        };
        Self { ears: spaces.into_iter().map(ear).collect(), wanted }
    }

    /// Whether anything was heard.
    fn drain(&mut self, known: &HashMap<Key, usize>, seen: &mut [Seen], at: impl Fn(&str) -> bool) -> bool {
        let mut buffer = [0; 256];
        let mut heard = false;
        for (space, socket) in self.ears.iter().filter(|(space, _)| at(space)) {
            while let Ok(length) = (&mut { socket }).read(&mut buffer) {
                heard = true;
                let Some(frame) = wire::read(&buffer[..length]) else { continue };
                let about = match frame.what {
                    What::First | What::Unreachable => frame.key,
                    What::Answer | What::Reset => frame.key.back(),
                    What::Other => continue,
                };
                let Some(place) = known.get(&about).copied() else { continue };
                match frame.what {
                    What::First => {
                        let (to, mac) = &self.wanted[place];
                        seen[place].arrived |= space == to && *mac == Some(frame.to_mac);
                    }
                    What::Answer => seen[place].answer = true,
                    _ => seen[place].refused = true,
                }
            }
        }
        heard
    }

    /// Listens until nobody has anything to tell.
    fn settle(&mut self, known: &HashMap<Key, usize>, seen: &mut [Seen], patience: Duration) {
        let mut last = Instant::now();
        while last.elapsed() < patience {
            if self.drain(known, seen, |_| true) {
                last = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
