//! Lengths of time, always with their unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::Invalid;

/// A length of time in whole seconds, written with its unit: `30s`, `5m`, `2h`, `7d`, or several: `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^([0-9]+[smhd])+$"))]
pub struct Period(u64);

const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];

impl Period {
    /// This many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Period {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{}` is not a length of time", text.escape_debug()))
                .hint("write whole numbers with s, m, h or d, such as `30s`, `5m` or `1h30m`")
        };
        let (mut total, mut number, mut last) = (0_u64, None::<u64>, u64::MAX);
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                let next = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(u64::from(digit)));
                number = Some(next.ok_or_else(wrong)?);
                continue;
            }
            let (factor, _) = UNITS.iter().find(|(factor, unit)| *unit == c && *factor < last).ok_or_else(wrong)?;
            last = *factor;
            let part = number.take().and_then(|n| n.checked_mul(*factor)).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
        }
        if number.is_some() || last == u64::MAX { Err(wrong()) } else { Ok(Self(total)) }
    }
}

impl TryFrom<String> for Period {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

/// One unit, the largest that divides it: what every program that takes durations reads, Go's among them.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Go knows no days.
        let (factor, unit) = UNITS[1..]
            .iter()
            .find(|(factor, _)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&UNITS[3]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_needed_and_larger_ones_come_first() {
        for (text, seconds, shown) in
            [("30s", 30, "30s"), ("5m", 300, "5m"), ("1h30m", 5400, "90m"), ("2d", 172_800, "48h"), ("0s", 0, "0s")]
        {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.as_seconds(), period.to_string().as_str()), (seconds, shown), "{text}");
        }
        for wrong in ["", "5", "m", "5 m", "30m1h", "1m1m", "-1s", "1.5h", "5ms", "99999999999999999999d"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }
}
