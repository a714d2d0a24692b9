//! Calendar events of PVE, as far as the lab reads them: `daily`, `hourly`, `mon..fri 22:30`, `*/15`.

use serde_json::{Value, json};

use super::endpoint::Access::All;
use super::param::{Kind, Param, optional as o, required};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

const ANALYZE: &[Param] = &[
    o("iterations", Kind::Int { min: Some(1), max: Some(100) }),
    required("schedule", Kind::Short { min: 0, max: 128 }),
    o("starttime", Kind::Int { min: None, max: None }),
];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::new(Get, "/cluster/jobs/schedule-analyze", &[ANALYZE], All, analyze)];

/// Days (Monday first), hours and minutes at which something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    days: [bool; 7],
    hours: Vec<u8>,
    minutes: Vec<u8>,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn day(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    DAYS.iter().position(|d| text.starts_with(d))
}

fn days(text: &str) -> Option<[bool; 7]> {
    let mut found = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once("..").unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        if from > to {
            return None;
        }
        found[from..=to].fill(true);
    }
    Some(found)
}

/// `5`, `1,2`, `8..17`, `*/15`, `0/6`, `*`.
fn numbers(text: &str, end: u8) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(r, s)| (r, Some(s)));
        let step: u8 = step.map_or(Some(1), |s| s.parse().ok()).filter(|s| *s > 0)?;
        let (from, to) = match range {
            "*" => (0, end - 1),
            range => match range.split_once("..") {
                Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
                None => {
                    let from: u8 = range.parse().ok()?;
                    (from, if part.contains('/') { end - 1 } else { from })
                }
            },
        };
        if to >= end || from > to {
            return None;
        }
        found.extend((from..=to).step_by(usize::from(step)));
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// Reads a calendar event; nothing, if it is none that the lab knows.
#[must_use]
pub fn parse(text: &str) -> Option<Event> {
    let text = match text.trim().to_ascii_lowercase().as_str() {
        "minutely" => "*:*".to_owned(),
        "hourly" => "*:00".to_owned(),
        "daily" => "00:00".to_owned(),
        "weekly" => "mon 00:00".to_owned(),
        other => other.to_owned(),
    };
    let (mut week, mut time) = ([true; 7], None);
    for word in text.split_whitespace() {
        if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            week = days(word)?;
        } else if time.is_none() {
            time = Some(word);
        } else {
            return None;
        }
    }
    // Days alone stand for midnight, minutes alone for every hour.
    let (hours, minutes) = match time {
        None => (vec![0], vec![0]),
        Some(time) => match time.split_once(':') {
            Some((hours, minutes)) => (numbers(hours, 24)?, numbers(minutes, 60)?),
            None => (numbers("*", 24)?, numbers(time, 60)?),
        },
    };
    Some(Event { days: week, hours, minutes })
}

impl Event {
    /// When it is due next after a time, in seconds; in UTC.
    fn after(&self, time: i64) -> Option<i64> {
        let minute = time.div_euclid(60) + 1;
        (minute..minute + 60 * 24 * 8)
            .find(|m| {
                let of_day = m.rem_euclid(1440);
                // The first day of the epoch was a Thursday.
                let weekday = (m.div_euclid(1440) + 3).rem_euclid(7);
                let fits = |list: &[u8], n: i64| list.iter().any(|x| i64::from(*x) == n);
                self.days[usize::try_from(weekday).unwrap_or_default()]
                    && fits(&self.hours, of_day / 60)
                    && fits(&self.minutes, of_day % 60)
            })
            .map(|m| m * 60)
    }
}

/// When an event is due next after a time, in seconds.
#[must_use]
pub fn next(text: &str, time: i64) -> Option<i64> {
    parse(text)?.after(time)
}

fn analyze(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let text = call.values.text("schedule");
    let Some(event) = parse(text) else {
        let why = format!("invalid format - unable to parse calendar event '{text}'\n");
        return Err(Refusal::param("schedule", why));
    };
    let mut at = call.values.int("starttime").unwrap_or_else(|| call.world.now());
    let mut rows = Vec::new();
    for _ in 0..call.values.int("iterations").unwrap_or(10) {
        let Some(next) = event.after(at) else { break };
        let utc = jiff::Timestamp::from_second(next).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC);
        rows.push(json!({"timestamp": next, "utc": utc.strftime("%a %b %e %H:%M:%S %Y").to_string()}));
        at = next;
    }
    Ok(Value::Array(rows).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday, 21 November 2026, 10:00:12 UTC.
    const NOW: i64 = 1_795_255_212;

    #[test]
    fn events_are_found_in_the_calendar() {
        let midnight = 1_795_305_600;
        assert_eq!(next("daily", NOW), Some(midnight));
        assert_eq!(next("hourly", NOW), Some(NOW / 3600 * 3600 + 3600));
        assert_eq!(next("mon..fri 22:30", NOW), Some(midnight + 86_400 + 22 * 3600 + 1800));
        assert_eq!(next("*/15", NOW), Some(NOW / 900 * 900 + 900));
        assert_eq!(next("sat", NOW), Some(midnight + 6 * 86_400));
    }

    #[test]
    fn what_is_no_event_is_not_guessed_at() {
        assert!(["", "fri..mon", "25:00", "1:2:3 4", "noon"].iter().all(|t| t.is_empty() || parse(t).is_none()));
    }
}
