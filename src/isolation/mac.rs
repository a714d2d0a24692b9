//! Hardware addresses of guests' network cards.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A hardware address, such as `BC:24:11:00:01:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The link-local address that a guest with it gives itself (RFC 4291, modified EUI-64).
    #[must_use]
    pub fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
    }
}

impl FromStr for Mac {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(())?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_address_follows_from_the_hardware_address() {
        let mac: Mac = "BC:24:11:00:02:02".parse().unwrap();
        // As 9.2.11 compiled it into `PVEFW-202-ipfilter-net0-v6`.
        assert_eq!(mac.link_local().to_string(), "fe80::be24:11ff:fe00:202");
        assert_eq!(mac.to_string(), "BC:24:11:00:02:02");
        assert!("BC:24:11:00:02".parse::<Mac>().is_err() && "BC:24:11:00:02:02:03".parse::<Mac>().is_err());
    }
}
