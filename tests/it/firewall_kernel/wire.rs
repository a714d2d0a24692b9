//! Packets as bytes: those that are sent by hand, and what is seen of all.

use std::net::IpAddr;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP_V6: u8 = 58;

/// What tells a packet from all others of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub source: IpAddr,
    pub dest: IpAddr,
    pub proto: Proto,
    /// The identifier, of an echo.
    pub sport: u16,
    /// 0, of an echo.
    pub dport: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proto {
    Tcp,
    Udp,
    Echo,
}

impl Key {
    /// That of the answer.
    pub fn back(self) -> Self {
        let (sport, dport) = if self.proto == Proto::Echo { (self.sport, 0) } else { (self.dport, self.sport) };
        Self { source: self.dest, dest: self.source, sport, dport, ..self }
    }
}

/// A frame that somebody's card saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub to_mac: [u8; 6],
    pub key: Key,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A first packet: SYN, echo request, any datagram.
    First,
    /// SYN and ACK, or echo reply; the key is that of the answer.
    Answer,
    /// A reset (the key is that of the answer), or an ICMP error (that of the packet it is about).
    Reset,
    Unreachable,
    Other,
}

/// Reads a frame; nothing if it is none of ours.
pub fn read(bytes: &[u8]) -> Option<Frame> {
    let to_mac = bytes.get(..6)?.try_into().ok()?;
    let packet = bytes.get(14..)?;
    let (key, what) = match bytes.get(12..14)? {
        [0x08, 0x00] | [0x86, 0xdd] => ip(packet)?,
        _ => return None,
    };
    Some(Frame { to_mac, key, what })
}

fn ip(packet: &[u8]) -> Option<(Key, What)> {
    let (source, dest, proto, load): (IpAddr, IpAddr, u8, &[u8]) = if packet.first()? >> 4 == 4 {
        let length = usize::from(packet.first()? & 0xf) * 4;
        let address = |from: usize| Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(from..from + 4)?).ok()?));
        (address(12)?, address(16)?, *packet.get(9)?, packet.get(length..)?)
    } else {
        let address = |from: usize| Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(from..from + 16)?).ok()?));
        (address(8)?, address(24)?, *packet.get(6)?, packet.get(40..)?)
    };
    let word = |from: usize| Some(u16::from_be_bytes(load.get(from..from + 2)?.try_into().ok()?));
    let ported = |proto| Some(Key { source, dest, proto, sport: word(0)?, dport: word(2)? });
    match (proto, *load.first()?) {
        (TCP, _) => {
            let what = match load.get(13)? & 0b1_0110 {
                0b0_0010 => What::First,
                0b1_0010 => What::Answer,
                flags if flags & 0b100 != 0 => What::Reset,
                _ => What::Other,
            };
            Some((ported(Proto::Tcp)?, what))
        }
        (UDP, _) => Some((ported(Proto::Udp)?, What::First)),
        (ICMP, kind @ (0 | 8)) | (ICMP_V6, kind @ (128 | 129)) => {
            let what = if kind == 8 || kind == 128 { What::First } else { What::Answer };
            Some((Key { source, dest, proto: Proto::Echo, sport: word(4)?, dport: 0 }, what))
        }
        (ICMP, 3) | (ICMP_V6, 1) => Some((ip(load.get(8..)?)?.0, What::Unreachable)),
        _ => None,
    }
}

/// A whole IP packet with this key, for a socket that takes the header from us.
pub fn packet(key: Key) -> Vec<u8> {
    let proto = match (key.proto, key.source) {
        (Proto::Tcp, _) => TCP,
        (Proto::Udp, _) => UDP,
        (Proto::Echo, IpAddr::V4(_)) => ICMP,
        (Proto::Echo, IpAddr::V6(_)) => ICMP_V6,
    };
    let mut load = match key.proto {
        Proto::Tcp => [
            &key.sport.to_be_bytes()[..],
            &key.dport.to_be_bytes(),
            &[0, 0, 0x10, 0, 0, 0, 0, 0],
            &[0x50, 0b10, 0x20, 0, 0, 0, 0, 0],
        ]
        .concat(),
        Proto::Udp => [&key.sport.to_be_bytes()[..], &key.dport.to_be_bytes(), &[0, 12, 0, 0], b"data"].concat(),
        Proto::Echo => {
            [&[if proto == ICMP { 8 } else { 128 }, 0, 0, 0][..], &key.sport.to_be_bytes(), &[0, 1]].concat()
        }
    };
    let length = u16::try_from(load.len()).expect("a few bytes");
    let at = match key.proto {
        Proto::Tcp => 16,
        Proto::Udp => 6,
        Proto::Echo => 2,
    };
    let mut summed = Vec::new();
    if proto != ICMP {
        summed.extend(octets(key.source));
        summed.extend(octets(key.dest));
        summed.extend([0, proto]);
        summed.extend(length.to_be_bytes());
    }
    summed.extend(&load);
    load[at..at + 2].copy_from_slice(&checksum(&summed).to_be_bytes());
    // The kernel fills in the sum of an IPv4 header.
    let header = match key.source {
        IpAddr::V4(_) => {
            let total = (length + 20).to_be_bytes();
            [&[0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, proto, 0, 0][..], &octets(key.source), &octets(key.dest)]
                .concat()
        }
        IpAddr::V6(_) => {
            let total = length.to_be_bytes();
            [&[0x60, 0, 0, 0, total[0], total[1], proto, 64][..], &octets(key.source), &octets(key.dest)].concat()
        }
    };
    [header, load].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}
