//! The host's clock against ours, and what keeps it right.

use jiff::Timestamp;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::HostClock;
use crate::ports::Output;

/// Asks what time it is: once before everything else, and once after.
pub const TIME: &[&str] = &["date", "-u", "+%s.%N"];

/// Asks who keeps the clock. It knows of every time service that says so to systemd, chrony among them.
pub const COMMANDS: &[&[&str]] = &[&["timedatectl", "show"]];

/// When the question was sent and its answer had, on our clock.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Before the first command.
    pub before: Timestamp,
    /// After the last one.
    pub after: Timestamp,
}

/// Reads it. What `timedatectl` does not say stays unknown; the time is worth reading all the same.
///
/// # Errors
/// When the host does not tell the time.
pub fn read(first: &Output, last: &Output, kept: &[Output], asked: Asked) -> Result<HostClock, Invalid> {
    let (first, last) = (milliseconds(first)?, milliseconds(last)?);
    let said = kept.first().and_then(|output| text::good(output, "timedatectl").ok()).unwrap_or_default();
    let flag = |key: &str| match said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')) {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => None,
    };
    Ok(HostClock {
        ahead_at_least_ms: last.saturating_sub(asked.after.as_millisecond()),
        ahead_at_most_ms: first.saturating_sub(asked.before.as_millisecond()),
        kept: flag("NTP"),
        synchronized: flag("NTPSynchronized"),
    })
}

fn milliseconds(output: &Output) -> Result<i64, Invalid> {
    let text = text::good(output, "date")?;
    let strange = || Invalid::new(format!("`date` printed `{}`", text.trim()));
    let (seconds, nanoseconds) = text.trim().split_once('.').ok_or_else(strange)?;
    if seconds.is_empty() || !seconds.bytes().all(|b| b.is_ascii_digit()) || nanoseconds.len() != 9 {
        return Err(strange());
    }
    let (seconds, nanoseconds): (i64, i64) =
        (seconds.parse().map_err(|_| strange())?, nanoseconds.parse().map_err(|_| strange())?);
    seconds.checked_mul(1000).and_then(|ms| ms.checked_add(nanoseconds / 1_000_000)).ok_or_else(strange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    fn clock(first: &str, last: &str, kept: &str) -> Result<HostClock, Invalid> {
        let at = |text: &str| text.parse().unwrap();
        let asked = Asked { before: at("2026-11-21T10:00:00Z"), after: at("2026-11-21T10:00:03Z") };
        read(&output(0, first, ""), &output(0, last, ""), &[output(0, kept, "")], asked)
    }

    #[test]
    fn time_on_the_way_is_no_skew() {
        let right = clock("1795255201.500000000\n", "1795255202.900000000\n", "NTP=yes\nNTPSynchronized=no\n").unwrap();
        assert_eq!(right.surely_off_ms(), 0);
        assert_eq!((right.kept, right.synchronized), (Some(true), Some(false)));
    }

    #[test]
    fn what_the_way_cannot_explain_is_skew() {
        let ahead = clock("1795255211.500000000\n", "1795255212.900000000\n", "").unwrap();
        assert_eq!((ahead.surely_off_ms(), ahead.kept), (9900, None));
        let behind = clock("1795255191.500000000\n", "1795255192.900000000\n", "").unwrap();
        assert_eq!(behind.surely_off_ms(), -8500);
    }

    #[test]
    fn what_is_no_time_is_no_answer() {
        for wrong in ["", "1795255211", "-5.000000000", "1.%N", "99999999999999999999.000000000"] {
            assert!(clock(wrong, "1795255212.900000000\n", "").is_err(), "{wrong}");
        }
    }
}
