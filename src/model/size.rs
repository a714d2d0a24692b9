//! Amounts of bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::Invalid;

/// An amount of bytes, written with its unit: `512MiB`, `20GiB`, `1.5TiB`. A number alone is refused.
///
/// Only binary units: Proxmox's `G` and ZFS's `G` are both GiB, and a `GB` that means something else
/// would be a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^[0-9]+(\.[0-9]+)?(KiB|MiB|GiB|TiB)$"))]
pub struct Size(u64);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

impl Size {
    /// From bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// From MiB.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(MIB))
    }

    /// From GiB.
    #[must_use]
    pub const fn gib(gib: u64) -> Self {
        Self(gib.saturating_mul(GIB))
    }

    /// In bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// In whole MiB, if it is a multiple of one.
    #[must_use]
    pub const fn as_mib(self) -> Option<u64> {
        if self.0.is_multiple_of(MIB) { Some(self.0 / MIB) } else { None }
    }

    /// In whole GiB, if it is a multiple of one.
    #[must_use]
    pub const fn as_gib(self) -> Option<u64> {
        if self.0.is_multiple_of(GIB) { Some(self.0 / GIB) } else { None }
    }

    /// Reads Proxmox's own notation (`528K`, `4M`, `200G`, plain bytes), which means binary units.
    #[must_use]
    pub fn from_pve(text: &str) -> Option<Self> {
        let (number, unit) = match text.char_indices().last()? {
            (i, 'K') => (&text[..i], KIB),
            (i, 'M') => (&text[..i], MIB),
            (i, 'G') => (&text[..i], GIB),
            (i, 'T') => (&text[..i], TIB),
            _ => (text, 1),
        };
        scaled(number, unit).map(Self)
    }

    /// Writes Proxmox's own notation in the largest unit that leaves no fraction.
    #[must_use]
    pub fn to_pve(self) -> String {
        for (unit, letter) in [(TIB, "T"), (GIB, "G"), (MIB, "M"), (KIB, "K")] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return format!("{}{letter}", self.0 / unit);
            }
        }
        self.0.to_string()
    }
}

fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') || fraction.len() > 6 {
        return None;
    }
    let mut bytes = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let scale = 10u64.pow(u32::try_from(fraction.len()).ok()?);
        bytes = bytes.checked_add(
            u64::try_from(u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit) / u128::from(scale)).ok()?,
        )?;
    }
    Some(bytes)
}

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = match unit.trim_start() {
            "KiB" => KIB,
            "MiB" => MIB,
            "GiB" => GIB,
            "TiB" => TIB,
            "" if !number.is_empty() => {
                return Err(Invalid::new(format!("`{text}` has no unit"))
                    .hint(format!("write the unit: `{number}MiB` or `{number}GiB`")));
            }
            other => {
                let letter = other.chars().next().map(|c| c.to_ascii_uppercase());
                let invalid = Invalid::new(format!("`{text}` is not a size"));
                return Err(match letter {
                    Some(c @ ('K' | 'M' | 'G' | 'T')) if !number.is_empty() => {
                        invalid.hint(format!("units are binary and written out: `{number}{c}iB`"))
                    }
                    _ => invalid.hint("write a number and KiB, MiB, GiB or TiB, such as `20GiB`"),
                });
            }
        };
        scaled(number, factor).map(Self).ok_or_else(|| {
            Invalid::new(format!("`{text}` is not a size"))
                .hint("write a number and KiB, MiB, GiB or TiB, such as `20GiB`")
        })
    }
}

impl TryFrom<String> for Size {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "six digits are shown; below KiB granularity nobody asks")]
        let kib = self.0 as f64 / KIB as f64;
        write!(f, "{kib}KiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed_and_binary() {
        assert_eq!("20GiB".parse(), Ok(Size::gib(20)));
        assert_eq!("1.5GiB".parse(), Ok(Size::mib(1536)));
        for wrong in ["20", "20GB", "20G", "GiB", "-1GiB", "1e3GiB", "20 gib", "", "99999999999TiB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        assert!("20".parse::<Size>().unwrap_err().hint.unwrap().contains("20GiB"));
    }

    #[test]
    fn proxmox_notation_reads_back() {
        for (text, size) in
            [("528K", Size::bytes(528 << 10)), ("4M", Size::mib(4)), ("200G", Size::gib(200)), ("1T", Size::gib(1024))]
        {
            assert_eq!(Size::from_pve(text), Some(size));
            assert_eq!(size.to_pve(), text);
        }
        assert_eq!(Size::from_pve("x"), None);
    }
}
