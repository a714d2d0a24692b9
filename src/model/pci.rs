//! PCI devices by place and by identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::Invalid;

/// Where a device sits, as `0000:01:00.0`, or a whole device as `0000:01:00`. PVE wants the domain; those
/// behind an Intel VMD have five digits, as `10000:e1:00.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(\.[0-7])?$"))]
pub struct PciAddress(String);

impl PciAddress {
    /// The address without its function: the whole device.
    #[must_use]
    pub fn device(&self) -> Self {
        Self(self.0.split('.').next().unwrap_or_default().to_owned())
    }

    /// The function, if one is named.
    #[must_use]
    pub fn function(&self) -> Option<u8> {
        self.0.split_once('.').and_then(|(_, function)| function.parse().ok())
    }
}

impl FromStr for PciAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let lower = text.to_ascii_lowercase();
        let hex = |part: &str, len: std::ops::RangeInclusive<usize>| {
            len.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let (device, function) = lower.split_once('.').map_or((lower.as_str(), None), |(d, f)| (d, Some(f)));
        let parts: Vec<&str> = device.split(':').collect();
        let well_formed = matches!(parts[..], [domain, bus, slot] if hex(domain, 4..=8) && hex(bus, 2..=2) && hex(slot, 2..=2))
            && function.is_none_or(|f| f.len() == 1 && matches!(f.as_bytes(), [b'0'..=b'7']));
        if well_formed {
            Ok(Self(lower))
        } else {
            Err(Invalid::new(format!("`{text}` is not a PCI address"))
                .hint("write domain, bus, slot and perhaps function, such as `0000:01:00` or `0000:01:00.0`"))
        }
    }
}

impl TryFrom<String> for PciAddress {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PciAddress> for String {
    fn from(address: PciAddress) -> Self {
        address.0
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Vendor and device (or subsystem vendor and subsystem device), as `10de:2684`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$"))]
pub struct PciId {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub device: u16,
}

impl FromStr for PciId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let half = |part: &str| {
            let hex = part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
            if hex { u16::from_str_radix(part, 16).ok() } else { None }
        };
        text.split_once(':')
            .and_then(|(vendor, device)| Some(Self { vendor: half(vendor)?, device: half(device)? }))
            .ok_or_else(|| {
                Invalid::new(format!("`{text}` is not a PCI id"))
                    .hint("write vendor and device as `lspci -nn` shows them in brackets, such as `10de:2684`")
            })
    }
}

impl TryFrom<String> for PciId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PciId> for String {
    fn from(id: PciId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_their_domain() {
        let address: PciAddress = "0000:01:00.1".parse().unwrap();
        assert_eq!(address.device().to_string(), "0000:01:00");
        assert_eq!(address.function(), Some(1));
        assert!("10000:e1:00.0".parse::<PciAddress>().is_ok());
        for wrong in ["01:00.0", "0000:01:00.8", "0000:1:00", ""] {
            assert!(wrong.parse::<PciAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_read_back_in_lower_case() {
        assert_eq!("10DE:2684".parse::<PciId>().unwrap().to_string(), "10de:2684");
        assert!("10de".parse::<PciId>().is_err());
        assert!("0x10de:2684".parse::<PciId>().is_err());
        assert!("+0de:2684".parse::<PciId>().is_err());
    }
}
