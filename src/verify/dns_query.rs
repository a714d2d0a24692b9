//! A question to a name server and its answer, as bytes (RFC 1035): as much of it as a probe needs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number that a question bears, so that its answer is told from another one.
const ID: [u8; 2] = [0x49, 0x4e];
const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_AAAA: u16 = 28;

/// What a name is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Name servers: of the root, every name server knows them.
    Ns,
}

/// What a name server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 0 for an answer, 2 where it failed, 3 for a name that does not exist, 5 where it refuses.
    pub code: u8,
    /// Addresses among its answers.
    pub addresses: Vec<IpAddr>,
}

/// The datagram that asks for a name; `.` is the root.
#[must_use]
pub fn question(name: &str, record: Record) -> Vec<u8> {
    // One question, recursion desired.
    let mut bytes = vec![ID[0], ID[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        // A label has at most 63 bytes; names of an inventory were held to that when it was read.
        bytes.push(u8::try_from(label.len().min(63)).expect("at most 63"));
        bytes.extend(label.bytes().take(63));
    }
    bytes.push(0);
    let number = match record {
        Record::A => TYPE_A,
        Record::Aaaa => TYPE_AAAA,
        Record::Ns => TYPE_NS,
    };
    bytes.extend(number.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// Reads an answer; none, if it is no answer to a question of ours.
#[must_use]
pub fn reply(bytes: &[u8]) -> Option<Reply> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let is_answer = bytes.get(2)? & 0x80 != 0;
    if bytes.get(..2)? != ID || !is_answer {
        return None;
    }
    let code = bytes.get(3)? & 0x0f;
    let (questions, answers) = (word(4)?, word(6)?);
    let mut at = HEADER;
    for _ in 0..questions {
        at = behind_name(bytes, at)? + 4;
    }
    let mut addresses = Vec::new();
    for _ in 0..answers {
        // An answer that was cut off tells what it told.
        let Some(fixed) = behind_name(bytes, at) else { break };
        let (Some(kind), Some(length)) = (word(fixed), word(fixed + 8)) else { break };
        let Some(data) = bytes.get(fixed + 10..fixed + 10 + usize::from(length)) else { break };
        match kind {
            TYPE_A => addresses.extend(<[u8; 4]>::try_from(data).ok().map(|four| IpAddr::V4(Ipv4Addr::from(four)))),
            TYPE_AAAA => addresses.extend(<[u8; 16]>::try_from(data).ok().map(|six| IpAddr::V6(Ipv6Addr::from(six)))),
            _ => {}
        }
        at = fixed + 10 + usize::from(length);
    }
    Some(Reply { code, addresses })
}

/// The place behind a name: its labels end with an empty one, or with a pointer to another name.
fn behind_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_its_labels_and_asks_for_recursion() {
        let bytes = question("plan.example.com", Record::A);
        assert_eq!(&bytes[2..6], [1, 0, 0, 1]);
        assert_eq!(&bytes[12..], b"\x04plan\x07example\x03com\x00\x00\x01\x00\x01");
        assert_eq!(&question(".", Record::Ns)[12..], [0, 0, 2, 0, 1]);
    }

    #[test]
    fn an_answer_is_read_past_other_names_and_pointers() {
        let mut bytes = question("a.example.com", Record::A);
        (bytes[2], bytes[3], bytes[7]) = (0x81, 0x80, 2);
        // a.example.com is another name of b.example.com, which has an address.
        bytes.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x0e");
        bytes.extend(b"\xc0\x2b\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x0a");
        assert_eq!(reply(&bytes), Some(Reply { code: 0, addresses: vec!["10.0.0.10".parse().unwrap()] }));
        assert!(reply(&bytes[..60]).unwrap().addresses.is_empty(), "cut off");
        bytes[3] = 0x83;
        assert_eq!(reply(&bytes).unwrap().code, 3);
        bytes[0] = 0;
        assert_eq!((reply(&bytes), reply(b""), reply(&question("a", Record::A))), (None, None, None));
    }
}
